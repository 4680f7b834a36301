"""Routes of projects and their tags. Source: identity API reference, "Projects" and "Project tags"."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import delete as delete_from
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.config import IdentityConfig
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Forbidden, NotFound
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.policy import Rule
from gureum.services.identity.application_credentials.model import ApplicationCredential
from gureum.services.identity.assignments.model import Assignment, ancestors
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import (
    ADMIN,
    ADMIN_OR_SYSTEM_READER,
    Description,
    IdText,
    ProjectName,
    Tag,
    check_mutable,
    extra_of,
    merged_options,
    scope_domain,
    taken,
    typed,
)
from gureum.services.identity.limits.rules import STRICT_TWO_LEVEL
from gureum.services.identity.listing import page, self_link
from gureum.services.identity.projects.model import ROOT, Project
from gureum.services.identity.tokens import revocations

IN_DOMAIN = " or (role:manager and domain_id:%(target.project.domain_id)s)"
READ_DOMAIN = " or (role:reader and domain_id:%(target.project.domain_id)s)"
OWN = " or project_id:%(target.project.id)s"
RULES = (
    Rule("identity:get_project", ADMIN_OR_SYSTEM_READER + READ_DOMAIN + OWN, "Show a project"),
    Rule("identity:list_projects", ADMIN_OR_SYSTEM_READER + " or role:reader and domain_id:%(domain_id)s", "List"),
    Rule("identity:create_project", ADMIN + IN_DOMAIN, "Create a project"),
    Rule("identity:update_project", ADMIN + IN_DOMAIN, "Update a project"),
    Rule("identity:delete_project", ADMIN + IN_DOMAIN, "Delete a project"),
    Rule("identity:list_project_tags", ADMIN_OR_SYSTEM_READER + READ_DOMAIN + OWN, "List a project's tags"),
    Rule("identity:get_project_tag", ADMIN_OR_SYSTEM_READER + READ_DOMAIN + OWN, "Check a project's tag"),
    Rule("identity:update_project_tags", ADMIN + IN_DOMAIN, "Replace a project's tags"),
    Rule("identity:create_project_tag", ADMIN + IN_DOMAIN, "Add a tag to a project"),
    Rule("identity:delete_project_tags", ADMIN + IN_DOMAIN, "Remove a project's tags"),
    Rule("identity:delete_project_tag", ADMIN + IN_DOMAIN, "Remove a tag of a project"),
)
KNOWN = frozenset(
    {"id", "name", "description", "enabled", "domain_id", "parent_id", "is_domain", "tags", "options", "links"}
)
Tags = Annotated[list[Tag], Meta(max_length=80)]


class NewProject(Struct):
    name: ProjectName
    description: Description = ""
    enabled: bool = True
    domain_id: IdText | None = None
    parent_id: IdText | None = None
    is_domain: bool = False
    tags: Tags = []
    options: dict[str, Any] = {}


class ProjectChange(Struct):
    name: ProjectName | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    domain_id: IdText | None | UnsetType = UNSET
    parent_id: IdText | None | UnsetType = UNSET
    is_domain: bool | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    options: dict[str, Any] | UnsetType = UNSET


class ProjectBody(Struct, forbid_unknown_fields=True):
    project: dict[str, Any]


class TagsBody(Struct, forbid_unknown_fields=True):
    tags: Tags


def view_of(call: Call[Any], row: Project) -> dict[str, Any]:
    return {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "domain_id": None if row.is_domain else row.domain_id,
        "description": row.description,
        "enabled": row.enabled,
        "parent_id": row.parent_id,
        "is_domain": row.is_domain,
        "tags": row.tags,
        "options": row.options,
        "links": self_link(call, "projects", row.id),
    }


def find(call: Call[Any], project_id: str, rule: str | None = None) -> Project:
    """The project, if the caller may do `rule` (the route's own by default) to it."""
    row = call.tx.get(Project, project_id)
    domain_id = None if row is None else (row.id if row.is_domain else row.domain_id)
    call.enforce(rule, **{"target.project.id": row.id if row else None, "target.project.domain_id": domain_id})
    if row is None:
        raise NotFound(f"Could not find project: {project_id}.")
    return row


def create(call: Call[IdentityDeps], body: ProjectBody) -> Reply:
    new = typed(NewProject, body.project)
    if new.is_domain:
        return _create_domain(call, new, body.project)
    parent = call.tx.get(Project, new.parent_id) if new.parent_id else None
    domain_id = new.domain_id or (parent and (parent.id if parent.is_domain else parent.domain_id))
    domain_id = domain_id or scope_domain(call)
    call.enforce(**{"target.project.domain_id": domain_id})
    domain = call.tx.get(Project, domain_id)
    if domain is None or not domain.is_domain:
        raise NotFound(f"Could not find domain: {domain_id}.")
    parent_id = new.parent_id or domain_id
    _check_parent(call.tx, parent_id, domain_id, deepest(call.deps.options))
    return _store(call, new, body.project, domain_id, parent_id)


def _create_domain(call: Call[IdentityDeps], new: NewProject, body: dict[str, Any]) -> Reply:
    call.enforce(**{"target.project.domain_id": None})
    if new.parent_id is not None or new.domain_id is not None:
        raise BadRequest("A project that acts as a domain has neither parent_id nor domain_id.")
    return _store(call, new, body, ROOT, None)


def _store(
    call: Call[IdentityDeps], new: NewProject, body: dict[str, Any], domain_id: str, parent_id: str | None
) -> Reply:
    if call.tx.scalar(select(Project.id).where(Project.domain_id == domain_id, Project.name == new.name)):
        raise taken("project", new.name)
    row = Project(
        id=ids.new_hex(),
        name=new.name,
        domain_id=domain_id,
        parent_id=parent_id,
        is_domain=new.is_domain,
        description=new.description or "",
        enabled=new.enabled,
        tags=sorted(set(new.tags)),
        options=merged_options({}, new.options),
        extra=extra_of(body, KNOWN),
    )
    call.tx.add(row)
    return Reply({"project": view_of(call, row)})


def deepest(options: IdentityConfig) -> int:
    """Levels of projects below a domain."""
    return 1 if options.limit_model == STRICT_TWO_LEVEL else options.project_depth


def _check_parent(tx: Tx, parent_id: str, domain_id: str, levels: int) -> None:
    parent = tx.get(Project, parent_id)
    if parent is None:
        raise NotFound(f"Could not find project: {parent_id}.")
    if domain_id not in (parent.id, parent.domain_id):
        raise BadRequest("The parent project is in another domain.")
    if not parent.enabled:
        raise Forbidden("A project may not be created under a disabled one.")
    if len(ancestors(tx, parent_id)) >= levels:
        raise Forbidden("Max hierarchy depth reached for this branch.")


_COLUMNS = {
    "name": (Project.name, filters.text),
    "domain_id": (Project.domain_id, filters.text),
    "parent_id": (Project.parent_id, filters.text),
    "enabled": (Project.enabled, filters.boolean),
    "id": (Project.id, filters.text),
}


def index(call: Call[IdentityDeps]) -> dict[str, Any]:
    call.enforce(domain_id=call.caller.domain_id)
    domains = call.param("is_domain")
    statement = select(Project).where(
        Project.is_domain.is_(domains is not None and filters.boolean("is_domain", domains))
    )
    if call.caller.domain_id and not call.caller.is_admin:
        statement = statement.where(Project.domain_id == call.caller.domain_id)
    view = page(call, "projects", statement, _COLUMNS, Project.id, lambda row: view_of(call, row))
    names = ("tags", "tags-any", "not-tags", "not-tags-any")
    wanted = {name: set(value.split(",")) for name, value in call.query if name in names}
    if wanted:
        view["projects"] = [item for item in view["projects"] if _tagged(set(item["tags"]), wanted)]
    return view


def _tagged(tags: set[str], wanted: dict[str, set[str]]) -> bool:
    return (
        wanted.get("tags", set()) <= tags
        and ("tags-any" not in wanted or bool(wanted["tags-any"] & tags))
        and not ("not-tags" in wanted and wanted["not-tags"] <= tags)
        and not ("not-tags-any" in wanted and wanted["not-tags-any"] & tags)
    )


def show(call: Call[IdentityDeps], project_id: str) -> dict[str, Any]:
    row = find(call, project_id)
    view = view_of(call, row)
    if call.param("parents_as_list") is not None:
        rows = [call.tx.get(Project, id_) for id_ in ancestors(call.tx, row.id)]
        known = _reach(call)
        view["parents"] = [
            {"project": view_of(call, parent)}
            for parent in rows
            if parent and not parent.is_domain and (known is None or parent.id in known)
        ]
    if call.param("parents_as_ids") is not None:
        nested: dict[str, Any] | None = None
        for id_ in reversed(ancestors(call.tx, row.id)):
            nested = {id_: nested}
        view["parents"] = nested
    if call.param("subtree_as_list") is not None:
        known = _reach(call)
        children = [child for child in subtree(call.tx, row.id) if known is None or child.id in known]
        view["subtree"] = [{"project": view_of(call, child)} for child in children]
    if call.param("subtree_as_ids") is not None:
        view["subtree"] = _nested(call.tx, row.id)
    return {"project": view}


def _reach(call: Call[IdentityDeps]) -> set[str] | None:
    """Whose documents a project's hierarchy may show: those in which the caller has a role; None for all."""
    from gureum.services.identity.users.api import projects_of

    caller = call.caller
    if caller.is_admin or caller.system or caller.domain_id:
        return None
    return {row.id for row in projects_of(call.tx, caller.user_id)}


def subtree(tx: Tx, project_id: str) -> list[Project]:
    """All projects below, breadth first."""
    found: list[Project] = []
    level = [project_id]
    while level:
        children = tx.scalars(select(Project).where(Project.parent_id.in_(level))).all()
        found += children
        level = [child.id for child in children]
    return found


def _nested(tx: Tx, project_id: str) -> dict[str, Any] | None:
    tree: dict[str, dict[str, Any]] = {project_id: {}}
    for child in subtree(tx, project_id):
        tree[child.id] = tree[child.parent_id or ""][child.id] = {}
    return _or_none(tree[project_id])


def _or_none(tree: dict[str, Any]) -> dict[str, Any] | None:
    return {key: _or_none(value) for key, value in tree.items()} or None


def update(call: Call[IdentityDeps], body: ProjectBody, project_id: str) -> dict[str, Any]:
    row = find(call, project_id)
    return {"project": view_of(call, change(call, row, body.project))}


def change(call: Call[IdentityDeps], row: Project, body: dict[str, Any]) -> Project:
    """Apply a PATCH to a project or domain."""
    wanted = typed(ProjectChange, body)
    check_mutable("project", row.options, body)
    _check_fixed(row, wanted)
    if wanted.name is not UNSET and wanted.name != row.name:
        if call.tx.scalar(select(Project.id).where(Project.domain_id == row.domain_id, Project.name == wanted.name)):
            raise taken("project", wanted.name)
        row.name = wanted.name
    if wanted.description is not UNSET:
        row.description = wanted.description or ""
    if wanted.enabled is not UNSET and wanted.enabled != row.enabled:
        row.enabled = wanted.enabled
        _tokens_end(call, row)
    if wanted.tags is not UNSET:
        row.tags = sorted(set(wanted.tags))
    row.options = merged_options(row.options, wanted.options)
    row.extra = {**row.extra, **extra_of(body, KNOWN)}
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


def delete(call: Call[IdentityDeps], project_id: str) -> None:
    row = find(call, project_id)
    check_mutable("project", row.options)
    if row.is_domain:
        raise Forbidden("A domain is deleted through /v3/domains.")
    if call.tx.scalar(select(Project.id).where(Project.parent_id == row.id).limit(1)):
        raise Forbidden(f"Cannot delete project {row.id}: it has projects below it.")
    forget(call, row)


def forget(call: Call[IdentityDeps], row: Project) -> None:
    """Delete a project with everything of identity that refers to it."""
    tx = call.tx
    kind = revocations.DOMAIN if row.is_domain else revocations.PROJECT
    call.deps.tokens.revocations.add(tx, kind, row.id)
    tx.execute(delete_from(Assignment).where(Assignment.target_id == row.id))
    tx.execute(delete_from(ApplicationCredential).where(ApplicationCredential.project_id == row.id))
    tx.delete(row)


# -- tags ------------------------------------------------------------------------------------------------


def list_tags(call: Call[IdentityDeps], project_id: str) -> dict[str, Any]:
    return list_tags_of(call, find(call, project_id))


def replace_tags(call: Call[IdentityDeps], body: TagsBody, project_id: str) -> dict[str, Any]:
    row = find(call, project_id)
    check_mutable("project", row.options)
    row.tags = sorted(set(body.tags))
    return list_tags_of(call, row)


def list_tags_of(call: Call[IdentityDeps], row: Project) -> dict[str, Any]:
    return {"tags": row.tags, "links": self_link(call, "projects", f"{row.id}/tags") | {"next": None, "previous": None}}


def clear_tags(call: Call[IdentityDeps], project_id: str) -> None:
    row = find(call, project_id)
    check_mutable("project", row.options)
    row.tags = []


def check_tag(call: Call[IdentityDeps], project_id: str, tag: str) -> None:
    if tag not in find(call, project_id).tags:
        raise NotFound(f"Could not find project tag: {tag}.")


def add_tag(call: Call[IdentityDeps], project_id: str, tag: str) -> Reply:
    row = find(call, project_id)
    check_mutable("project", row.options)
    typed(TagsBody, {"tags": [tag]})
    if tag not in row.tags and len(row.tags) >= 80:
        raise BadRequest("A project has at most 80 tags.")
    row.tags = sorted({*row.tags, tag})
    where = f"{call.base_url}/v3/projects/{row.id}/tags/{quote(tag, safe='')}"
    return Reply(None, headers={"Location": where})


def remove_tag(call: Call[IdentityDeps], project_id: str, tag: str) -> None:
    row = find(call, project_id)
    check_mutable("project", row.options)
    if tag not in row.tags:
        raise NotFound(f"Could not find project tag: {tag}.")
    row.tags = [name for name in row.tags if name != tag]


_ALL = "/v3/projects"
_ONE = _ALL + "/{project_id}"
_TAGS = _ONE + "/tags"
_TAG = _TAGS + "/{tag}"
ROUTES = (
    Route("GET", _ALL, index, "identity:list_projects", target="handler"),
    Route("POST", _ALL, create, "identity:create_project", 201, body=ProjectBody, target="handler"),
    Route("GET", _ONE, show, "identity:get_project", target="handler"),
    Route("PATCH", _ONE, update, "identity:update_project", body=ProjectBody, target="handler"),
    Route("DELETE", _ONE, delete, "identity:delete_project", 204, target="handler"),
    Route("GET", _TAGS, list_tags, "identity:list_project_tags", target="handler"),
    Route("PUT", _TAGS, replace_tags, "identity:update_project_tags", body=TagsBody, target="handler"),
    Route("DELETE", _TAGS, clear_tags, "identity:delete_project_tags", 204, target="handler"),
    Route("GET", _TAG, check_tag, "identity:get_project_tag", 204, target="handler"),
    Route("PUT", _TAG, add_tag, "identity:create_project_tag", 201, target="handler"),
    Route("DELETE", _TAG, remove_tag, "identity:delete_project_tag", 204, target="handler"),
)
