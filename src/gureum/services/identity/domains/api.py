"""Routes of domains. Source: identity API reference, "Domains"."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.errors import Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Condition, Reach, Viewer
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity import listing
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import (
    ADMIN,
    ADMIN_OR_SYSTEM_READER,
    CLOUD,
    LOOKED_UP_FIRST,
    check_mutable,
    extra_of,
    merged_options,
    taken,
    typed,
)
from gureum.services.identity.listing import declared, query, self_link
from gureum.services.identity.projects import api as projects
from gureum.services.identity.projects.model import DEFAULT_DOMAIN, ROOT, Project
from gureum.services.identity.projects.removal import delete_domain

RULES = (
    Rule(
        "identity:get_domain",
        ADMIN_OR_SYSTEM_READER + " or domain_id:%(target.domain.id)s or project_domain_id:%(target.domain.id)s",
        "Show a domain",
        scopes=EVERY_SCOPE,
    ),  # fmt: skip
    Rule(
        "identity:list_domains",
        ADMIN_OR_SYSTEM_READER + " or (role:reader and domain_id:%(target.domain.id)s)",
        "List domains; the token of a domain sees its own",
        EVERY_SCOPE,
    ),
    Rule("identity:create_domain", ADMIN, "Create a domain", scopes=CLOUD),
    Rule("identity:update_domain", LOOKED_UP_FIRST, "Update a domain", EVERY_SCOPE),
    Rule("identity:delete_domain", LOOKED_UP_FIRST, "Delete a domain", EVERY_SCOPE),
)
KNOWN = frozenset({"id", "name", "description", "enabled", "tags", "options", "links"})


class DomainBody(Struct, forbid_unknown_fields=True):
    domain: dict[str, Any]


def _view(call: Call[Any], row: Project) -> dict[str, Any]:
    return {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "enabled": row.enabled,
        "tags": row.tags,
        "options": row.options,
        "links": self_link(call, "domains", row.id),
    }


def _find(call: Call[Any], domain_id: str) -> Project | None:
    row = call.tx.get(Project, domain_id)
    return row if row is not None and row.is_domain else None


def _found(domain: Project | None, domain_id: str) -> Project:
    if domain is None:
        raise NotFound(f"Could not find domain: {domain_id}.")
    return domain


def create(call: Call[IdentityDeps], body: DomainBody) -> dict[str, Any]:
    new = typed(projects.NewProject, body.domain)
    if call.tx.scalar(select(Project.id).where(Project.domain_id == ROOT, Project.is_named(new.name))):
        raise taken("domain", new.name)
    row = Project(
        id=ids.new_hex(),
        name=new.name,
        domain_id=ROOT,
        is_domain=True,
        description=new.description or "",
        enabled=new.enabled,
        tags=projects.distinct(new.tags),
        options=merged_options({}, new.options),
        extra=extra_of(body.domain, KNOWN),
    )
    call.tx.add(row)
    return {"domain": _view(call, row)}


def _reach(call: Call[Any], viewer: Viewer) -> list[Condition]:
    """A token of a domain sees its own."""
    domains = Project.is_domain.is_(True)
    return [domains, Project.id == viewer.domain_id] if call.caller.domain_id else [domains]


_DOMAINS = declared(
    "domains",
    Project,
    {
        "name": Project.name,
        "enabled": Project.enabled,
        "id": Project.id,
    },
    reach=Reach(_reach, lambda call: bool(call.caller.domain_id)),
)


def index(call: Call[IdentityDeps]) -> dict[str, Any]:
    call.enforce(**{"target.domain.id": call.caller.domain_id})
    return listing.index(call, _DOMAINS, _view)


def show(call: Call[IdentityDeps], domain_id: str) -> dict[str, Any]:
    row = _find(call, domain_id)
    call.enforce(**{"target.domain.id": row.id if row else None})
    return {"domain": _view(call, _found(row, domain_id))}


def update(call: Call[IdentityDeps], body: DomainBody, domain_id: str) -> dict[str, Any]:
    row = _found(_find(call, domain_id), domain_id)
    call.enforce(**{"target.domain.id": row.id})
    if row.id == DEFAULT_DOMAIN and body.domain.get("enabled") is False:
        raise Forbidden("The default domain may not be disabled.")
    return {"domain": _view(call, projects.change(call, row, body.domain))}


def delete(call: Call[IdentityDeps], domain_id: str) -> None:
    row = _found(_find(call, domain_id), domain_id)
    call.enforce(**{"target.domain.id": row.id})
    check_mutable("domain", row.options)
    delete_domain(call, row)


_ALL = "/v3/domains"
_ONE = _ALL + "/{domain_id}"
ROUTES = (
    Route("GET", _ALL, index, "identity:list_domains", target="handler", query=query(_DOMAINS)),
    Route("POST", _ALL, create, "identity:create_domain", 201, body=DomainBody),
    Route("GET", _ONE, show, "identity:get_domain", target="handler"),
    Route("PATCH", _ONE, update, "identity:update_domain", body=DomainBody, target="handler"),
    Route("DELETE", _ONE, delete, "identity:delete_domain", 204, target="handler"),
)
