"""What other services and the HTTP edge may ask of identity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.http.authentication import Authentication
from gureum.foundation.quota import UnifiedSource
from gureum.services.identity.bootstrap import Bootstrap, bootstrap
from gureum.services.identity.catalog.urls import values_of
from gureum.services.identity.dialect import error_body
from gureum.services.identity.endpoint_filters.model import filtered_projects
from gureum.services.identity.events import DomainDeleted, ProjectDeleted, UserDeleted
from gureum.services.identity.limits.memory import LimitMemory
from gureum.services.identity.projects.model import Project
from gureum.services.identity.tokens.facts import catalog_of
from gureum.services.identity.tokens.fernet import SealingKeys
from gureum.services.identity.tokens.issuing import Tokens
from gureum.services.identity.tokens.passwords import Passwords
from gureum.services.identity.tokens.revocations import STALE_ALL
from gureum.services.identity.users.model import User

__all__ = ["DomainDeleted", "IdentityFacade", "ProjectDeleted", "ProjectFacts", "UserDeleted"]


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    id: str
    name: str
    domain_id: str
    enabled: bool


class IdentityFacade:
    """One per process. `secrets` seals texts that have to be kept and read again, with the keys of credentials.

    `unified` has the unified limits, for `Quotas.following`. From memory, in processes that follow revocations, as all
    that answer requests do.
    """

    def __init__(self, tokens: Tokens, passwords: Passwords, limits: LimitMemory, secrets: SealingKeys) -> None:
        self.secrets = secrets
        self._tokens = tokens
        self._passwords = passwords
        self.unified: UnifiedSource = limits

    @property
    def authentication(self) -> Authentication:
        """What the HTTP edge asks of every request's token."""
        return Authentication(self._remembered, self._checked, error_body, 'Keystone uri="{url}/identity"')

    def _remembered(self, token: str) -> Caller | None:
        checked = self._tokens.remembered(token)
        return checked.caller if checked else None

    def _checked(self, token: str) -> Caller:
        return self._tokens.check(token).caller

    def project(self, tx: Tx, project_id: str) -> ProjectFacts | None:
        return self.projects(tx, [project_id]).get(project_id)

    def projects(self, tx: Tx, ids: Iterable[str]) -> dict[str, ProjectFacts]:
        columns = (Project.id, Project.name, Project.domain_id, Project.enabled)
        rows = tx.execute(select(*columns).where(Project.id.in_(list(ids)))).all()
        return {row.id: ProjectFacts(*row) for row in rows}

    def project_id(self, tx: Tx, name: str) -> str | None:
        """The id of a project of the default domain by its name."""
        return tx.scalar(select(Project.id).where(Project.domain_id == "default", Project.is_named(name)))

    def project_ids(self, tx: Tx) -> list[str]:
        """Every project of every domain."""
        return list(tx.scalars(select(Project.id)))

    def project_created_at(self, tx: Tx, project_id: str) -> datetime | None:
        return tx.scalar(select(Project.created_at).where(Project.id == project_id))

    def user_name(self, tx: Tx, user_id: str) -> str | None:
        return tx.scalar(select(User.name).where(User.id == user_id))

    def endpoint(self, tx: Tx, service_type: str, place: tuple[str, str], project_id: str | None) -> str | None:
        """The URL of a service in `place`, region and interface, as the catalog of a project's tokens has it, or None.

        From the database: a worker asks too, and follows no events.
        """
        own = project_id if project_id and project_id in filtered_projects(tx) else ""
        for service in catalog_of(tx, values_of(project_id, ""), own):
            for endpoint in service.endpoints if service.type == service_type else ():
                if (endpoint.region_id, endpoint.interface) == place:
                    return endpoint.url
        return None

    def bootstrap(self, tx: Tx, wanted: Bootstrap) -> None:
        """Make sure of the domain, roles, users, projects and catalog that a new cloud starts with."""
        revocations = self._tokens.revocations
        bootstrap(tx, wanted, self._passwords, lambda tx: revocations.add(tx, STALE_ALL, ""))

    def read_revocations(self) -> None:
        """Take in what was revoked since the last call."""
        self._tokens.revocations.read()

    def purge_revocations(self) -> None:
        self._tokens.revocations.purge()
