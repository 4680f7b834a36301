"""Routes of domains. Source: identity API reference, "Domains"."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.errors import Forbidden
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Condition, Reach, Viewer
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Extended, JsonValue, Listed, View, fields_shown
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity import listing
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import (
    ADMIN,
    ADMIN_OR_SYSTEM_READER,
    CLOUD,
    LOOKED_UP_FIRST,
    Description,
    IdText,
    ProjectName,
    ResourceOptions,
    ShownOptions,
    check_mutable,
    extra_of,
    options_of,
    taken,
)
from gureum.services.identity.finding import existing, existing_domain
from gureum.services.identity.listing import SelfLink, declared, query, self_link
from gureum.services.identity.projects.api import change
from gureum.services.identity.projects.bodies import ProjectChange, Tags, distinct
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


class NewDomain(Struct):
    """What only projects have is kept as a property of the client's own."""

    name: ProjectName
    description: Description = ""
    enabled: bool = True
    tags: Tags = []
    options: ResourceOptions = ResourceOptions()
    domain_id: IdText | None | UnsetType = UNSET
    parent_id: IdText | None | UnsetType = UNSET
    is_domain: bool | UnsetType = UNSET


class DomainRow(Struct, frozen=True, gc=False):
    """What lists read of a domain."""

    id: str
    name: str
    description: str
    enabled: bool
    tags: list[str]
    options: ShownOptions
    extra: dict[str, JsonValue]


class DomainView(View):
    id: str
    name: str
    description: str
    enabled: bool
    tags: list[str]
    options: ShownOptions
    links: SelfLink


def view_of(call: Call[IdentityDeps], row: Project | DomainRow) -> Extended[DomainView]:
    """A domain as lists and its own page show it."""
    links = self_link(call, "domains", row.id)
    view = DomainView(row.id, row.name, row.description, row.enabled, row.tags, row.options, links)
    return Extended(view, row.extra)


def _find(call: Call[IdentityDeps], domain_id: str) -> Project | None:
    row = call.tx.get(Project, domain_id)
    return row if row is not None and row.is_domain else None


def create(call: Call[IdentityDeps], body: Extended[NewDomain]) -> Extended[DomainView]:
    new = body.fields
    if call.tx.scalar(select(Project.id).where(Project.domain_id == ROOT, Project.is_named(new.name))):
        raise taken("domain", new.name)
    of_projects = {name: value for name, value in fields_shown(new).items() if name in _OF_PROJECTS}
    row = Project(
        id=ids.new_hex(),
        name=new.name,
        domain_id=ROOT,
        is_domain=True,
        description=new.description or "",
        enabled=new.enabled,
        tags=distinct(new.tags),
        options=options_of({}, new.options),
        extra=extra_of({**body.extra, **of_projects}),
    )
    call.tx.add(row)
    return view_of(call, row)


_OF_PROJECTS = frozenset({"domain_id", "parent_id", "is_domain"})


def _reach(call: Call[IdentityDeps], viewer: Viewer) -> list[Condition]:
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
    DomainRow,
    reach=Reach(_reach, lambda call: bool(call.caller.domain_id)),
)


def index(call: Call[IdentityDeps]) -> Listed[Extended[DomainView]]:
    call.enforce(**{"target.domain.id": call.caller.domain_id})
    return listing.index(call, _DOMAINS, view_of)


def show(call: Call[IdentityDeps], domain_id: str) -> Extended[DomainView]:
    row = _find(call, domain_id)
    call.enforce(**{"target.domain.id": row.id if row else None})
    return view_of(call, existing(row, "domain", domain_id))


def update(call: Call[IdentityDeps], body: Extended[ProjectChange], domain_id: str) -> Extended[DomainView]:
    row = existing_domain(call.tx, domain_id)
    call.enforce(**{"target.domain.id": row.id})
    if row.id == DEFAULT_DOMAIN and body.fields.enabled is False:
        raise Forbidden("The default domain may not be disabled.")
    return view_of(call, change(call, row, body))


def delete(call: Call[IdentityDeps], domain_id: str) -> None:
    row = existing_domain(call.tx, domain_id)
    call.enforce(**{"target.domain.id": row.id})
    check_mutable("domain", row.options)
    delete_domain(call, row)


_ALL = "/v3/domains"
_ONE = _ALL + "/{domain_id}"
ROUTES = (
    Route("GET", _ALL, index, "identity:list_domains", envelope="domains", target="handler", query=query(_DOMAINS)),
    Route("POST", _ALL, create, "identity:create_domain", 201, body=Extended[NewDomain], envelope="domain"),
    Route("GET", _ONE, show, "identity:get_domain", envelope="domain", target="handler"),
    Route(
        "PATCH",
        _ONE,
        update,
        "identity:update_domain",
        body=Extended[ProjectChange],
        envelope="domain",
        target="handler",
    ),
    Route("DELETE", _ONE, delete, "identity:delete_domain", 204, target="handler"),
)
