"""Routes of roles and inference rules. Source: identity API reference, "Roles"."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import delete as delete_from
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.db.prepared import row_type, table_of
from gureum.foundation.errors import Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity import listing
from gureum.services.identity.assignments.model import with_implied
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import (
    ADMIN,
    ADMIN_OR_SYSTEM_READER,
    CLOUD,
    LOOKED_UP_FIRST,
    Description,
    IdText,
    LongName,
    check_mutable,
    extra_of,
    merged_options,
    taken,
    typed,
)
from gureum.services.identity.finding import existing
from gureum.services.identity.listing import declared, query, self_link
from gureum.services.identity.roles.model import GLOBAL, ImpliedRole, OfDomain, Role
from gureum.services.identity.tokens import revocations

RULES = (
    Rule(
        "identity:get_role",
        ADMIN_OR_SYSTEM_READER
        + " or (role:manager and rule:domain_managed_target_role) or (role:admin and scope:domain)",
        "Show a role; managers see those that managers of a domain hand out",
        EVERY_SCOPE,
    ),
    Rule(
        "identity:list_roles",
        ADMIN_OR_SYSTEM_READER + " or (role:manager and scope:domain)",
        "List roles",
        EVERY_SCOPE,
        "the roles of the cloud are the same for all domains",
    ),
    Rule("identity:get_domain_role", ADMIN_OR_SYSTEM_READER, "Show a domain's own role", CLOUD),
    Rule("identity:list_domain_roles", ADMIN_OR_SYSTEM_READER, "List a domain's own roles", CLOUD),
    Rule("identity:create_role", ADMIN, "Create a role", CLOUD),
    Rule("identity:update_role", LOOKED_UP_FIRST, "Change a role", EVERY_SCOPE),
    Rule("identity:delete_role", LOOKED_UP_FIRST, "Delete a role", EVERY_SCOPE),
    Rule("identity:create_domain_role", ADMIN, "Create a domain's own role", CLOUD),
    Rule("identity:update_domain_role", ADMIN, "Change a domain's own role", CLOUD),
    Rule("identity:delete_domain_role", ADMIN, "Delete a domain's own role", CLOUD),
    Rule("identity:list_implied_roles", ADMIN_OR_SYSTEM_READER, "List what a role implies", CLOUD),
    Rule("identity:get_implied_role", ADMIN_OR_SYSTEM_READER, "Show an inference rule", CLOUD),
    Rule("identity:create_implied_role", ADMIN, "Make a role imply another", CLOUD),
    Rule("identity:delete_implied_role", ADMIN, "Remove an inference rule", CLOUD),
    Rule("identity:list_role_inference_rules", ADMIN_OR_SYSTEM_READER, "List all inference rules", CLOUD),
)
KNOWN = frozenset({"id", "name", "description", "domain_id", "options", "links"})
NEVER_IMPLIED = frozenset({"admin"})
"""Whoever holds the power to write inference rules would hand out everything with one of them."""


class NewRole(Struct):
    name: LongName
    description: Description = None
    domain_id: IdText | None = None
    options: dict[str, Any] = {}


class RoleChange(Struct):
    name: LongName | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    options: dict[str, Any] | UnsetType = UNSET


class RoleBody(Struct, forbid_unknown_fields=True):
    role: dict[str, Any]


def view_of(call: Call[Any], row: Role) -> dict[str, Any]:
    return {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id,
        "description": row.description,
        "options": row.options,
        "links": self_link(call, "roles", row.id),
    }


def find(call: Call[Any], role_id: str) -> Role:
    return existing(call.tx.get(Role, role_id), "role", role_id)


def _found(call: Call[Any], verb: str, role_id: str) -> Role:
    """The role, if the caller may do that to one of its kind. Raises NotFound before Forbidden."""
    row = find(call, role_id)
    rule = f"identity:{verb}_domain_role" if row.domain_id else f"identity:{verb}_role"
    call.enforce(rule, **{"target.role.name": row.name, "target.role.domain_id": row.domain_id or "None"})
    return row


def create(call: Call[IdentityDeps], body: RoleBody) -> dict[str, Any]:
    new = typed(NewRole, body.role)
    call.enforce("identity:create_domain_role" if new.domain_id else None)
    scope = new.domain_id or GLOBAL
    if call.tx.scalar(select(Role.id).where(Role.scope == scope, Role.is_named(new.name))):
        raise taken("role", new.name)
    row = Role(
        id=ids.new_hex(),
        name=new.name,
        scope=scope,
        description=new.description,
        options=merged_options({}, new.options),
        extra=extra_of(body.role, KNOWN),
    )
    call.tx.add(row)
    return {"role": view_of(call, row)}


_ROLES = declared("roles", Role, {"name": Role.name}, record=row_type(select(table_of(Role)), OfDomain))


def index(call: Call[IdentityDeps]) -> dict[str, Any]:
    domain_id = call.param("domain_id")
    call.enforce("identity:list_domain_roles" if domain_id else None)
    return listing.index(call, _ROLES, view_of, Role.scope == (domain_id or GLOBAL))


def show(call: Call[IdentityDeps], role_id: str) -> dict[str, Any]:
    return {"role": view_of(call, _found(call, "get", role_id))}


def update(call: Call[IdentityDeps], body: RoleBody, role_id: str) -> dict[str, Any]:
    row = _found(call, "update", role_id)
    wanted = typed(RoleChange, body.role)
    check_mutable("role", row.options, body.role)
    if wanted.name is not UNSET and wanted.name != row.name:
        others = (Role.scope == row.scope, Role.id != row.id)
        if call.tx.scalar(select(Role.id).where(*others, Role.is_named(wanted.name))):
            raise taken("role", wanted.name)
        row.name = wanted.name
        call.deps.tokens.revocations.add(call.tx, revocations.STALE_ALL, row.id)
    if wanted.description is not UNSET:
        row.description = wanted.description
    row.options = merged_options(row.options, wanted.options)
    row.extra = extra_of(body.role, KNOWN, row.extra)
    return {"role": view_of(call, row)}


def delete(call: Call[IdentityDeps], role_id: str) -> None:
    row = _found(call, "delete", role_id)
    check_mutable("role", row.options)
    call.tx.execute(delete_from(Role).where(Role.id == row.id))
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_ALL, row.id)


# -- inference rules -------------------------------------------------------------------------------------


def _brief(call: Call[Any], row: Role) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "description": row.description, "links": self_link(call, "roles", row.id)}


def _pair(call: Call[Any], prior_id: str, implied_id: str) -> tuple[Role, Role, ImpliedRole | None]:
    prior, implied = find(call, prior_id), find(call, implied_id)
    return prior, implied, call.tx.get(ImpliedRole, (prior_id, implied_id))


def _inference(call: Call[Any], prior: Role, implied: Role) -> dict[str, Any]:
    link = {"self": f"{call.base_url}/v3/roles/{prior.id}/implies/{implied.id}"}
    return {"role_inference": {"prior_role": _brief(call, prior), "implies": _brief(call, implied)}, "links": link}


def list_implied(call: Call[IdentityDeps], role_id: str) -> dict[str, Any]:
    prior = find(call, role_id)
    statement = (
        select(Role).join(ImpliedRole, ImpliedRole.implied_id == Role.id).where(ImpliedRole.prior_id == prior.id)
    )
    implied = [_brief(call, row) for row in call.tx.scalars(statement.order_by(Role.name))]
    link = {"self": f"{call.base_url}/v3/roles/{prior.id}/implies"}
    return {"role_inference": {"prior_role": _brief(call, prior), "implies": implied}, "links": link}


def imply(call: Call[IdentityDeps], role_id: str, implied_id: str) -> dict[str, Any]:
    prior, implied, rule = _pair(call, role_id, implied_id)
    if implied.name in NEVER_IMPLIED and implied.domain_id is None:
        raise Forbidden(f"The role {implied.name} may not be implied by another one.")
    if prior.domain_id is None and implied.domain_id is not None:
        raise Forbidden("A global role may not imply a domain's own role.")
    if prior.id in with_implied(call.tx, [implied.id]):
        raise Forbidden("The inference rule would be a cycle.")
    if rule is None:
        call.tx.add(ImpliedRole(prior_id=prior.id, implied_id=implied.id))
        call.deps.tokens.revocations.add(call.tx, revocations.STALE_ALL, prior.id)
    return _inference(call, prior, implied)


def _existing(call: Call[Any], role_id: str, implied_id: str) -> tuple[Role, Role, ImpliedRole]:
    prior, implied, rule = _pair(call, role_id, implied_id)
    if rule is None:
        raise NotFound(f"Could not find an inference rule from {role_id} to {implied_id}.")
    return prior, implied, rule


def show_implied(call: Call[IdentityDeps], role_id: str, implied_id: str) -> dict[str, Any]:
    prior, implied, _ = _existing(call, role_id, implied_id)
    return _inference(call, prior, implied)


def remove_implied(call: Call[IdentityDeps], role_id: str, implied_id: str) -> None:
    call.tx.delete(_existing(call, role_id, implied_id)[2])
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_ALL, role_id)


def list_inferences(call: Call[IdentityDeps]) -> dict[str, Any]:
    roles = {row.id: row for row in call.tx.scalars(select(Role))}
    rules: dict[str, list[Role]] = {}
    for prior, implied in call.tx.execute(select(ImpliedRole.prior_id, ImpliedRole.implied_id)):
        rules.setdefault(prior, []).append(roles[implied])
    view = [
        {"prior_role": _brief(call, roles[prior]), "implies": [_brief(call, row) for row in implied]}
        for prior, implied in rules.items()
    ]
    return {"role_inferences": view, "links": {"self": f"{call.base_url}/v3/role_inferences"}}


_ALL = "/v3/roles"
_ONE = _ALL + "/{role_id}"
_IMPLIES = _ONE + "/implies"
_RULE = _IMPLIES + "/{implied_id}"
ROUTES = (
    Route("GET", _ALL, index, "identity:list_roles", target="handler", query=query(_ROLES, "domain_id")),
    Route("POST", _ALL, create, "identity:create_role", 201, body=RoleBody, target="handler"),
    Route("GET", _ONE, show, "identity:get_role", target="handler"),
    Route("PATCH", _ONE, update, "identity:update_role", body=RoleBody, target="handler"),
    Route("DELETE", _ONE, delete, "identity:delete_role", 204, target="handler"),
    Route("GET", _IMPLIES, list_implied, "identity:list_implied_roles"),
    Route("PUT", _RULE, imply, "identity:create_implied_role", 201),
    Route("GET", _RULE, show_implied, "identity:get_implied_role"),
    Route("HEAD", _RULE, show_implied, "identity:get_implied_role", 204),
    Route("DELETE", _RULE, remove_implied, "identity:delete_implied_role", 204),
    Route("GET", "/v3/role_inferences", list_inferences, "identity:list_role_inference_rules"),
)
