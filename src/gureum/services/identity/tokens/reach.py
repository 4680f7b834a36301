"""The scopes that a token's user may ask for, and the catalog: /v3/auth/projects, /domains, /system and /catalog.

Source: identity API reference, "Authentication and token management".
"""

from __future__ import annotations

import msgspec
from sqlalchemy import select

from gureum.foundation.errors import Forbidden
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.views import Extended, Listed
from gureum.services.identity.assignments.model import SYSTEM, Assignment, direct_roles
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.domains.api import DomainView
from gureum.services.identity.domains.api import view_of as domain_view
from gureum.services.identity.groups.model import GroupMember
from gureum.services.identity.listing import whole
from gureum.services.identity.projects.hierarchy import projects_of
from gureum.services.identity.projects.model import Project
from gureum.services.identity.projects.views import ProjectView
from gureum.services.identity.projects.views import view_of as project_view
from gureum.services.identity.tokens.views import EncodedCatalog, WholeSystem

RULES = ()


def list_projects(call: Call[IdentityDeps]) -> Listed[Extended[ProjectView]]:
    rows = projects_of(call.tx, call.caller.user_id)
    if call.caller.is_delegated:
        rows = [row for row in rows if row.id == call.caller.project_id]
    return whole(call, [project_view(call, row) for row in rows])


def list_domains(call: Call[IdentityDeps]) -> Listed[DomainView]:
    """Without the properties that clients chose."""
    user_id = call.caller.user_id
    if call.caller.is_delegated:
        return whole(call, [])
    groups = select(GroupMember.group_id).where(GroupMember.user_id == user_id)
    held = select(Assignment.target_id).where(
        Assignment.target_kind == "domain",
        Assignment.inherited.is_(False),
        (Assignment.actor_id == user_id) | Assignment.actor_id.in_(groups),
    )
    statement = select(Project).where(Project.id.in_(held), Project.is_domain.is_(True), Project.enabled.is_(True))
    rows = call.tx.scalars(statement.order_by(Project.name))
    return whole(call, [domain_view(call, row).fields for row in rows])


def show_system(call: Call[IdentityDeps]) -> Listed[WholeSystem]:
    held = None if call.caller.is_delegated else direct_roles(call.tx, call.caller.user_id, "system", SYSTEM)
    return whole(call, [WholeSystem(all=True)] if held else [])


def show_catalog(call: Call[IdentityDeps]) -> Reply[EncodedCatalog]:
    caller = call.caller
    if not (caller.project_id or caller.domain_id or caller.system):
        raise Forbidden("An unscoped token has no catalog.")
    links = {"next": None, "previous": None, "self": f"{call.base_url}/v3/auth/catalog"}
    catalog = msgspec.Raw(call.deps.tokens.facts.catalog(caller.project_id, caller.user_id))
    return Reply(msgspec.json.encode({"catalog": catalog, "links": links}))


ROUTES = (
    Route("GET", "/v3/auth/projects", list_projects, "identity:get_auth_projects", envelope="projects"),
    Route("GET", "/v3/auth/domains", list_domains, "identity:get_auth_domains", envelope="domains"),
    Route("GET", "/v3/auth/system", show_system, "identity:get_auth_system", envelope="system"),
    Route("GET", "/v3/auth/catalog", show_catalog, "identity:get_auth_catalog"),
)
