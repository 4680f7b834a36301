"""Routes of projects' tags. Source: identity API reference, "Project tags"."""

from __future__ import annotations

from urllib.parse import quote

from msgspec import Struct

from gureum.foundation.errors import BadRequest, NotFound
from gureum.foundation.http.body import converted
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections.links import PageLinks
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.views import View
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import ADMIN, ADMIN_OR_SYSTEM_READER, check_mutable
from gureum.services.identity.projects.api import IN_DOMAIN, OWN, READ_DOMAIN, find
from gureum.services.identity.projects.bodies import Tags, distinct
from gureum.services.identity.projects.model import Project

RULES = (
    Rule(
        "identity:list_project_tags",
        ADMIN_OR_SYSTEM_READER + READ_DOMAIN + OWN,
        "List a project's tags",
        scopes=EVERY_SCOPE,
    ),
    Rule(
        "identity:get_project_tag",
        ADMIN_OR_SYSTEM_READER + READ_DOMAIN + OWN,
        "Check a project's tag",
        scopes=EVERY_SCOPE,
    ),
    Rule("identity:update_project_tags", ADMIN + IN_DOMAIN, "Replace a project's tags", scopes=EVERY_SCOPE),
    Rule("identity:create_project_tag", ADMIN + IN_DOMAIN, "Add a tag to a project", scopes=EVERY_SCOPE),
    Rule("identity:delete_project_tags", ADMIN + IN_DOMAIN, "Remove a project's tags", scopes=EVERY_SCOPE),
    Rule("identity:delete_project_tag", ADMIN + IN_DOMAIN, "Remove a tag of a project", scopes=EVERY_SCOPE),
)


class TagsBody(Struct, forbid_unknown_fields=True):
    tags: Tags


class TagsView(View):
    tags: list[str]
    links: PageLinks


def list_tags(call: Call[IdentityDeps], project_id: str) -> TagsView:
    return view_of(call, find(call, project_id))


def replace_tags(call: Call[IdentityDeps], body: TagsBody, project_id: str) -> TagsView:
    row = find(call, project_id)
    check_mutable("project", row.options)
    row.tags = distinct(body.tags)
    return view_of(call, row)


def view_of(call: Call[IdentityDeps], row: Project) -> TagsView:
    """All tags of a project."""
    return TagsView(row.tags, PageLinks(None, f"{call.base_url}/v3/projects/{row.id}/tags", None))


def clear_tags(call: Call[IdentityDeps], project_id: str) -> None:
    row = find(call, project_id)
    check_mutable("project", row.options)
    row.tags = []


def check_tag(call: Call[IdentityDeps], project_id: str, tag: str) -> None:
    if tag not in find(call, project_id).tags:
        raise NotFound(f"Could not find project tag: {tag}.")


def add_tag(call: Call[IdentityDeps], project_id: str, tag: str) -> Reply[None]:
    row = find(call, project_id)
    check_mutable("project", row.options)
    converted({"tags": [tag]}, TagsBody, "")
    if len(row.tags) >= 80:
        raise BadRequest("A project has at most 80 tags.")
    row.tags = distinct([*row.tags, tag])
    where = f"{call.base_url}/v3/projects/{row.id}/tags/{quote(tag, safe='')}"
    return Reply(None, headers={"Location": where})


def remove_tag(call: Call[IdentityDeps], project_id: str, tag: str) -> None:
    row = find(call, project_id)
    check_mutable("project", row.options)
    if tag not in row.tags:
        raise NotFound(f"Could not find project tag: {tag}.")
    row.tags = [name for name in row.tags if name != tag]


_TAGS = "/v3/projects/{project_id}/tags"
_TAG = _TAGS + "/{tag}"
ROUTES = (
    Route("GET", _TAGS, list_tags, "identity:list_project_tags", target="handler"),
    Route("PUT", _TAGS, replace_tags, "identity:update_project_tags", body=TagsBody, target="handler"),
    Route("DELETE", _TAGS, clear_tags, "identity:delete_project_tags", 204, target="handler"),
    Route("GET", _TAG, check_tag, "identity:get_project_tag", 204, target="handler"),
    Route("PUT", _TAG, add_tag, "identity:create_project_tag", 201, target="handler"),
    Route("DELETE", _TAG, remove_tag, "identity:delete_project_tag", 204, target="handler"),
)
