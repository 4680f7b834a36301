"""What the database says about a user, a project, a domain and roles, remembered until an event makes it stale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import bindparam, select

from gureum.foundation import clock
from gureum.foundation.cache import Cache
from gureum.foundation.caller import AccessRule
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.prepared import Prepared, only
from gureum.services.identity.application_credentials.model import ApplicationCredential, StoredAccessRule
from gureum.services.identity.assignments.model import SYSTEM, ancestors, direct_roles, with_implied
from gureum.services.identity.catalog.model import Endpoint, Service
from gureum.services.identity.catalog.urls import NAMES, replaced, values_of
from gureum.services.identity.config import IdentityConfig
from gureum.services.identity.endpoint_filters.model import filtered_projects, given_to
from gureum.services.identity.names import folded
from gureum.services.identity.oauth.model import AccessToken
from gureum.services.identity.projects.model import Project
from gureum.services.identity.roles.model import Role
from gureum.services.identity.tokens.views import CatalogEndpoint, CatalogService
from gureum.services.identity.trusts.model import Trust
from gureum.services.identity.users.compliance import is_enabled, standing_of
from gureum.services.identity.users.model import User

Fact = TypeVar("Fact")


@dataclass(frozen=True, slots=True)
class UserFacts:
    id: str
    name: str
    domain_id: str
    domain_name: str
    enabled: bool
    password_expires_at: datetime | None
    default_project_id: str | None
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ScopeFacts:
    """A project or domain, usable only when it and everything above it is enabled."""

    id: str
    name: str
    domain_id: str
    domain_name: str
    enabled: bool
    is_domain: bool


@dataclass(frozen=True, slots=True)
class RoleFacts:
    id: str
    name: str
    domain_id: str | None


@dataclass(frozen=True, slots=True)
class CredentialFacts:
    id: str
    name: str
    user_id: str
    project_id: str
    secret_hash: str
    role_ids: tuple[str, ...]
    unrestricted: bool
    access_rules: tuple[AccessRule, ...] | None
    access_rule_ids: tuple[str, ...]
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class TrustFacts:
    id: str
    trustor_id: str
    trustee_id: str
    project_id: str | None
    impersonation: bool
    role_ids: tuple[str, ...]
    expires_at: float | None
    redelegated_trust_id: str | None
    redelegation_count: int


@dataclass(frozen=True, slots=True)
class AccessTokenFacts:
    id: str
    consumer_id: str
    role_ids: tuple[str, ...]
    expires_at: float


class NotRememberedError(Exception):
    """A fact would have to be read, where nothing may wait for a database."""


_ONLY_REMEMBERED: ContextVar[bool] = ContextVar("only_remembered", default=False)


@contextmanager
def only_remembered() -> Iterator[None]:
    """For the event loop: in here, a fact that is not in memory raises NotRememberedError."""
    outside = _ONLY_REMEMBERED.set(True)
    try:
        yield
    finally:
        _ONLY_REMEMBERED.reset(outside)


CACHED_FACTS = 20_000


class Facts:
    """A read-through cache over the database. `forget` drops all of it: reading it again is cheap."""

    def __init__(self, database: Database, options: IdentityConfig) -> None:
        self._database = database
        self._options = options
        self._cache: Cache[tuple[str, ...], Any] = Cache(CACHED_FACTS)

    def forget(self) -> None:
        self._cache.clear()

    def _remembered(self, key: tuple[str, ...], read: Callable[[Tx], Fact]) -> Fact:
        """The cached fact, or what `read` finds in a transaction of its own; None is not cached."""
        fact: Fact | None = self._cache.get(key)
        if fact is not None:
            return fact
        if _ONLY_REMEMBERED.get():
            raise NotRememberedError
        generation = self._cache.generation
        with self._database.read() as tx:
            read_fact = read(tx)
        self._cache.put(key, read_fact, generation)
        return read_fact

    def user(self, user_id: str) -> UserFacts | None:
        return self._remembered(("user", user_id), lambda tx: _user(tx, user_id, self._options))

    def scope(self, project_id: str) -> ScopeFacts | None:
        return self._remembered(("scope", project_id), lambda tx: _scope(tx, project_id))

    def project_named(self, domain_id: str, name: str) -> str | None:
        """The id of the project of this name in a domain; of a domain, in ROOT."""
        key = folded(name)
        return self._remembered(("named", domain_id, key), lambda tx: _NAMED.first(tx, domain=domain_id, key=key))

    def roles(self, user_id: str, target_kind: str, target_id: str) -> tuple[RoleFacts, ...]:
        """The roles in effect, implied ones included, by name."""
        key = ("roles", user_id, target_kind, target_id)
        return self._remembered(key, lambda tx: _roles(tx, user_id, target_kind, target_id))

    def expanded(self, role_ids: tuple[str, ...]) -> tuple[RoleFacts, ...]:
        """Given roles with what they imply."""
        return self._remembered(("expanded", *role_ids), lambda tx: _named(tx, with_implied(tx, role_ids)))

    def credential(self, credential_id: str) -> CredentialFacts | None:
        return self._remembered(("credential", credential_id), lambda tx: _credential(tx, credential_id))

    def trust(self, trust_id: str) -> TrustFacts | None:
        return self._remembered(("trust", trust_id), lambda tx: _trust(tx, trust_id))

    def access_token(self, token_id: str) -> AccessTokenFacts | None:
        return self._remembered(("access", token_id), lambda tx: _access_token(tx, token_id))

    def catalog(self, project_id: str | None, user_id: str) -> bytes:
        """The catalog of a token as encoded JSON.

        One for all scopes, but for projects that are given endpoints, and where URLs name the project or the user.
        """
        own = project_id if project_id and project_id in self._remembered(("filtered",), filtered_projects) else ""
        named = self._remembered(("named in URLs",), _named_in_urls)
        project = project_id or "" if named - {"user_id"} else ""
        user = user_id if "user_id" in named else ""
        return self._remembered(
            ("catalog", own, project, user),
            lambda tx: msgspec.json.encode(catalog_of(tx, values_of(project_id, user_id), own)),
        )


_NAMED: Prepared[str] = Prepared(
    select(Project.id).where(Project.domain_id == bindparam("domain"), Project.name_key == bindparam("key")), only
)


def _user(tx: Tx, user_id: str, options: IdentityConfig) -> UserFacts | None:
    row = tx.execute(
        select(User, Project.name, Project.enabled)
        .join(Project, Project.id == User.domain_id)
        .where(User.id == user_id)
    ).one_or_none()
    if row is None:
        return None
    user, domain_name, domain_enabled = row
    return UserFacts(
        user.id,
        user.name,
        user.domain_id,
        domain_name,
        domain_enabled and is_enabled(options, standing_of(user), clock.utcnow()),
        user.password_expires_at,
        user.default_project_id,
        user.options,
    )


def _scope(tx: Tx, project_id: str) -> ScopeFacts | None:
    project = tx.get(Project, project_id)
    if project is None:
        return None
    if project.is_domain:
        return ScopeFacts(project.id, project.name, project.id, project.name, project.enabled, is_domain=True)
    above = ancestors(tx, project_id)
    rows = tx.scalars(select(Project).where(Project.id.in_([*above, project.domain_id]))).all()
    domain = next(row for row in rows if row.id == project.domain_id)
    enabled = project.enabled and all(row.enabled for row in rows)
    return ScopeFacts(project.id, project.name, domain.id, domain.name, enabled, is_domain=False)


def _roles(tx: Tx, user_id: str, target_kind: str, target_id: str) -> tuple[RoleFacts, ...]:
    above = ancestors(tx, target_id) if target_kind == "project" else []
    target = SYSTEM if target_kind == "system" else target_id
    return _named(tx, with_implied(tx, direct_roles(tx, user_id, target_kind, target, above)))


def _named(tx: Tx, role_ids: set[str]) -> tuple[RoleFacts, ...]:
    rows = tx.scalars(select(Role).where(Role.id.in_(sorted(role_ids))).order_by(Role.name)).all()
    return tuple(RoleFacts(row.id, row.name, row.domain_id) for row in rows if row.domain_id is None)


def _credential(tx: Tx, credential_id: str) -> CredentialFacts | None:
    row = tx.get(ApplicationCredential, credential_id)
    if row is None:
        return None
    return CredentialFacts(
        row.id,
        row.name,
        row.user_id,
        row.project_id,
        row.secret_hash,
        tuple(row.role_ids),
        row.unrestricted,
        _rules_of(tx, row.access_rule_ids) if row.access_rule_ids else None,
        tuple(row.access_rule_ids),
        None if row.expires_at is None else clock.seconds(row.expires_at),
    )


def _rules_of(tx: Tx, rule_ids: list[str]) -> tuple[AccessRule, ...]:
    found = {row.id: row for row in tx.scalars(select(StoredAccessRule).where(StoredAccessRule.id.in_(rule_ids)))}
    return tuple(AccessRule(found[id_].service, found[id_].method, found[id_].path) for id_ in rule_ids)


def _trust(tx: Tx, trust_id: str) -> TrustFacts | None:
    row = tx.get(Trust, trust_id)
    if row is None:
        return None
    return TrustFacts(
        row.id,
        row.trustor_id,
        row.trustee_id,
        row.project_id,
        row.impersonation,
        tuple(row.role_ids),
        None if row.expires_at is None else clock.seconds(row.expires_at),
        row.redelegated_trust_id,
        row.redelegation_count,
    )


def _access_token(tx: Tx, token_id: str) -> AccessTokenFacts | None:
    row = tx.get(AccessToken, token_id)
    if row is None:
        return None
    return AccessTokenFacts(row.id, row.consumer_id, tuple(row.role_ids), clock.seconds(row.expires_at))


def _named_in_urls(tx: Tx) -> frozenset[str]:
    urls = tx.scalars(select(Endpoint.url).where(Endpoint.url.contains("(", autoescape=True)))
    return frozenset(name for url in urls for name in NAMES if f"({name})" in url)


def catalog_of(tx: Tx, values: Mapping[str, str], project_id: str = "") -> list[CatalogService]:
    """A token's catalog: every enabled service with its enabled endpoints, or with those that a project is given.

    `values` replace the names in URLs. An endpoint whose URL names what the token has not is left out.
    """
    services = tx.scalars(select(Service).where(Service.enabled.is_(True)).order_by(Service.type)).all()
    endpoints: dict[str, list[CatalogEndpoint]] = {}
    shown = select(Endpoint).where(Endpoint.enabled.is_(True)).order_by(Endpoint.interface)
    if project_id:
        shown = shown.where(given_to(tx, project_id))
    for row in tx.scalars(shown):
        url = replaced(row.url, values)
        if url is not None:
            view = CatalogEndpoint(row.id, row.interface, row.region_id, row.region_id, url)
            endpoints.setdefault(row.service_id, []).append(view)
    return [CatalogService(row.id, row.type, row.name or "", endpoints.get(row.id, [])) for row in services]
