"""Routes of projects and their tags. Source: identity API reference, "Projects" and "Project tags"."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import astuple
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Forbidden
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Condition, Reach, Viewer, tags
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Extended, JsonValue, Listed
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity import listing
from gureum.services.identity.assignments.model import ancestors
from gureum.services.identity.config import IdentityConfig
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import (
    ADMIN,
    ADMIN_OR_SYSTEM_READER,
    check_mutable,
    extra_of,
    options_of,
    scope_domain,
    taken,
)
from gureum.services.identity.finding import existing, existing_domain
from gureum.services.identity.limits.rules import STRICT_TWO_LEVEL
from gureum.services.identity.listing import declared, query
from gureum.services.identity.projects.bodies import NewProject, ProjectChange, distinct
from gureum.services.identity.projects.hierarchy import nested, reach, subtree
from gureum.services.identity.projects.model import ROOT, Project
from gureum.services.identity.projects.views import FamilyMember, ProjectRow, ProjectView, WithFamily, view_of
from gureum.services.identity.tokens import revocations

IN_DOMAIN = " or (role:manager and domain_id:%(target.project.domain_id)s)"
READ_DOMAIN = " or (role:reader and domain_id:%(target.project.domain_id)s)"
OWN = " or project_id:%(target.project.id)s"
RULES = (
    Rule("identity:get_project", ADMIN_OR_SYSTEM_READER + READ_DOMAIN + OWN, "Show a project", scopes=EVERY_SCOPE),
    Rule(
        "identity:list_projects",
        ADMIN_OR_SYSTEM_READER + " or (role:reader and domain_id:%(target.domain_id)s)",
        "List",
        scopes=EVERY_SCOPE,
    ),
    Rule("identity:create_project", ADMIN + IN_DOMAIN, "Create a project", scopes=EVERY_SCOPE),
    Rule("identity:update_project", ADMIN + IN_DOMAIN, "Update a project", scopes=EVERY_SCOPE),
)


def find(call: Call[IdentityDeps], project_id: str, rule: str | None = None) -> Project:
    """The project, if the caller may do `rule` (the route's own by default) to it.

    One that acts as a domain is in no domain: whoever manages it may not change it, here as little as in `domains`.
    """
    row = call.tx.get(Project, project_id)
    domain_id = None if row is None or row.is_domain else row.domain_id
    call.enforce(rule, **{"target.project.id": row.id if row else None, "target.project.domain_id": domain_id})
    return existing(row, "project", project_id)


def create(call: Call[IdentityDeps], body: Extended[NewProject]) -> Extended[ProjectView]:
    new = body.fields
    if new.is_domain:
        return _create_domain(call, body)
    parent = call.tx.get(Project, new.parent_id) if new.parent_id else None
    domain_id = new.domain_id or (parent and (parent.id if parent.is_domain else parent.domain_id))
    domain_id = domain_id or scope_domain(call)
    call.enforce(**{"target.project.domain_id": domain_id})
    existing_domain(call.tx, domain_id)
    parent_id = new.parent_id or domain_id
    _check_parent(call.tx, parent_id, domain_id, deepest(call.deps.options))
    return _store(call, body, domain_id, parent_id)


def _create_domain(call: Call[IdentityDeps], body: Extended[NewProject]) -> Extended[ProjectView]:
    call.enforce(**{"target.project.domain_id": None})
    if body.fields.parent_id is not None or body.fields.domain_id is not None:
        raise BadRequest("A project that acts as a domain has neither parent_id nor domain_id.")
    return _store(call, body, ROOT, None)


def _store(
    call: Call[IdentityDeps], body: Extended[NewProject], domain_id: str, parent_id: str | None
) -> Extended[ProjectView]:
    new = body.fields
    if call.tx.scalar(select(Project.id).where(Project.domain_id == domain_id, Project.is_named(new.name))):
        raise taken("project", new.name)
    row = Project(
        id=ids.new_hex(),
        name=new.name,
        domain_id=domain_id,
        parent_id=parent_id,
        is_domain=new.is_domain,
        description=new.description or "",
        enabled=new.enabled,
        tags=distinct(new.tags),
        options=options_of({}, new.options),
        extra=extra_of(body.extra),
    )
    call.tx.add(row)
    return view_of(call, row)


def deepest(options: IdentityConfig) -> int:
    """Levels of projects below a domain."""
    return 1 if options.limit_model == STRICT_TWO_LEVEL else options.project_depth


def _check_parent(tx: Tx, parent_id: str, domain_id: str, levels: int) -> None:
    parent = existing(tx.get(Project, parent_id), "project", parent_id)
    if domain_id not in (parent.id, parent.domain_id):
        raise BadRequest("The parent project is in another domain.")
    if not parent.enabled:
        raise Forbidden("A project may not be created under a disabled one.")
    if len(ancestors(tx, parent_id)) >= levels:
        raise Forbidden("Max hierarchy depth reached for this branch.")


def _acts_as_domain(call: Call[IdentityDeps]) -> bool:
    """Whether the list is of projects that act as domains."""
    text = call.param("is_domain")
    return text is not None and filters.boolean("is_domain", text)


def _reach(call: Call[IdentityDeps], viewer: Viewer) -> list[Condition]:
    conditions: list[Condition] = [Project.is_domain.is_(_acts_as_domain(call))]
    if call.caller.domain_id is not None:
        conditions.append(Project.domain_id == viewer.domain_id)
    return conditions


_PROJECTS = declared(
    "projects",
    Project,
    {
        "name": Project.name,
        "domain_id": Project.domain_id,
        "parent_id": Project.parent_id,
        "enabled": Project.enabled,
        "id": Project.id,
    },
    ProjectRow,
    reach=Reach(
        _reach, lambda call: (call.caller.domain_id is not None, _acts_as_domain(call)), frozenset({"is_domain"})
    ),
    tagged=Project.tags,
    tag_values=tags.last_even_empty,
)


def index(call: Call[IdentityDeps]) -> Listed[Extended[ProjectView]]:
    call.enforce(**{"target.domain_id": call.caller.domain_id})
    return listing.index(call, _PROJECTS, view_of)


def show(call: Call[IdentityDeps], project_id: str) -> Extended[WithFamily]:
    row = find(call, project_id)
    family = WithFamily(*astuple(view_of(call, row).fields))
    if call.param("parents_as_list") is not None:
        parents = [call.tx.get(Project, id_) for id_ in ancestors(call.tx, row.id)]
        family.parents = _members(call, [parent for parent in parents if parent and not parent.is_domain])
    if call.param("parents_as_ids") is not None:
        above: dict[str, JsonValue] | None = None
        for id_ in reversed(ancestors(call.tx, row.id)):
            above = {id_: above}
        family.parents = above
    if call.param("subtree_as_list") is not None:
        family.subtree = _members(call, subtree(call.tx, row.id))
    if call.param("subtree_as_ids") is not None:
        family.subtree = nested(call.tx, row.id)
    return Extended(family, row.extra)


def _members(call: Call[IdentityDeps], rows: list[Project]) -> list[FamilyMember]:
    """Those whose documents the caller may see."""
    visible = reach(call)
    return [FamilyMember(view_of(call, row)) for row in rows if visible is None or row.id in visible]


def update(call: Call[IdentityDeps], body: Extended[ProjectChange], project_id: str) -> Extended[ProjectView]:
    return view_of(call, change(call, find(call, project_id), body))


def change(call: Call[IdentityDeps], row: Project, body: Extended[ProjectChange]) -> Project:
    """Apply a PATCH to a project or domain."""
    fields = body.fields
    check_mutable("project", row.options, fields, body.extra)
    _check_fixed(row, fields)
    if fields.name is not UNSET and fields.name != row.name:
        others = (Project.domain_id == row.domain_id, Project.id != row.id)
        if call.tx.scalar(select(Project.id).where(*others, Project.is_named(fields.name))):
            raise taken("project", fields.name)
        row.name = fields.name
    if fields.description is not UNSET:
        row.description = fields.description or ""
    if fields.enabled is not UNSET and fields.enabled != row.enabled:
        row.enabled = fields.enabled
        _tokens_end(call, row)
    if fields.tags is not UNSET:
        row.tags = distinct(fields.tags)
    row.options = options_of(row.options, fields.options)
    row.extra = extra_of(body.extra, present=row.extra)
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_ALL, row.id)
    return row


def _check_fixed(row: Project, wanted: ProjectChange) -> None:
    own = None if row.is_domain else row.domain_id
    for name, value, present in (
        ("domain_id", wanted.domain_id, own),
        ("parent_id", wanted.parent_id, row.parent_id),
        ("is_domain", wanted.is_domain, row.is_domain),
    ):
        if value is not UNSET and value != present:
            raise (Forbidden if name == "parent_id" else BadRequest)(f"The {name} of a project may not be changed.")


def _tokens_end(call: Call[IdentityDeps], row: Project) -> None:
    if not row.enabled:
        kind = revocations.DOMAIN if row.is_domain else revocations.PROJECT
        call.deps.tokens.revocations.add(call.tx, kind, row.id)


_ALL = "/v3/projects"
_ONE = _ALL + "/{project_id}"
_FAMILY = ("parents_as_list", "parents_as_ids", "subtree_as_list", "subtree_as_ids")
ROUTES = (
    Route(
        "GET",
        _ALL,
        index,
        "identity:list_projects",
        target="handler",
        envelope="projects",
        query=query(_PROJECTS, "is_domain"),
    ),
    Route(
        "POST",
        _ALL,
        create,
        "identity:create_project",
        201,
        body=Extended[NewProject],
        envelope="project",
        target="handler",
    ),
    Route("GET", _ONE, show, "identity:get_project", target="handler", envelope="project", query=_FAMILY),
    Route(
        "PATCH",
        _ONE,
        update,
        "identity:update_project",
        body=Extended[ProjectChange],
        envelope="project",
        target="handler",
    ),
)
