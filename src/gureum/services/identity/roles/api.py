"""Routes of roles and inference rules. Source: identity API reference, "Roles"."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import delete as delete_from
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.errors import Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Extended, JsonValue, Listed, View
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity import listing
from gureum.services.identity.assignments.model import with_implied
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import (
    ADMIN,
    ADMIN_OR_SYSTEM_READER,
    CLOUD,
    LOOKED_UP_FIRST,
    SHOWN_ONLY,
    Description,
    IdText,
    LongName,
    ResourceChange,
    ResourceOptions,
    ShownOptions,
    check_mutable,
    extra_of,
    options_of,
    taken,
)
from gureum.services.identity.finding import existing
from gureum.services.identity.listing import SelfLink, declared, query, self_link
from gureum.services.identity.roles.model import GLOBAL, ImpliedRole, Role, domain_of
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
NEVER_IMPLIED = frozenset({"admin"})
"""Whoever holds the power to write inference rules would hand out everything with one of them."""


class NewRole(Struct):
    name: LongName
    description: Description = None
    domain_id: IdText | None = None
    options: ResourceOptions = ResourceOptions()


class RoleChange(ResourceChange):
    name: LongName | UnsetType = UNSET
    description: Description | UnsetType = UNSET


class RoleRow(Struct, frozen=True, gc=False):
    """What lists read of a role."""

    id: str
    name: str
    scope: str
    description: str | None
    options: ShownOptions
    extra: dict[str, JsonValue]


class RoleView(View):
    id: str
    name: str
    domain_id: str | None
    description: str | None
    options: ShownOptions
    links: SelfLink


def view_of(call: Call[IdentityDeps], row: Role | RoleRow) -> Extended[RoleView]:
    """A role as lists and its own page show it."""
    links = self_link(call, "roles", row.id)
    view = RoleView(row.id, row.name, domain_of(row.scope), row.description, row.options, links)
    return Extended(view, row.extra)


def find(call: Call[IdentityDeps], role_id: str) -> Role:
    return existing(call.tx.get(Role, role_id), "role", role_id)


def _found(call: Call[IdentityDeps], verb: str, role_id: str) -> Role:
    """The role, if the caller may do that to one of its kind. Raises NotFound before Forbidden."""
    row = find(call, role_id)
    rule = f"identity:{verb}_domain_role" if row.domain_id else f"identity:{verb}_role"
    call.enforce(rule, **{"target.role.name": row.name, "target.role.domain_id": row.domain_id or "None"})
    return row


def create(call: Call[IdentityDeps], body: Extended[NewRole]) -> Extended[RoleView]:
    new = body.fields
    call.enforce("identity:create_domain_role" if new.domain_id else None)
    scope = new.domain_id or GLOBAL
    if call.tx.scalar(select(Role.id).where(Role.scope == scope, Role.is_named(new.name))):
        raise taken("role", new.name)
    row = Role(
        id=ids.new_hex(),
        name=new.name,
        scope=scope,
        description=new.description,
        options=options_of({}, new.options),
        extra=extra_of(body.extra),
    )
    call.tx.add(row)
    return view_of(call, row)


_ROLES = declared("roles", Role, {"name": Role.name}, RoleRow)


def index(call: Call[IdentityDeps]) -> Listed[Extended[RoleView]]:
    domain_id = call.param("domain_id")
    call.enforce("identity:list_domain_roles" if domain_id else None)
    return listing.index(call, _ROLES, view_of, Role.scope == (domain_id or GLOBAL))


def show(call: Call[IdentityDeps], role_id: str) -> Extended[RoleView]:
    return view_of(call, _found(call, "get", role_id))


def update(call: Call[IdentityDeps], body: Extended[RoleChange], role_id: str) -> Extended[RoleView]:
    row, fields = _found(call, "update", role_id), body.fields
    check_mutable("role", row.options, fields, body.extra)
    if fields.name is not UNSET and fields.name != row.name:
        others = (Role.scope == row.scope, Role.id != row.id)
        if call.tx.scalar(select(Role.id).where(*others, Role.is_named(fields.name))):
            raise taken("role", fields.name)
        row.name = fields.name
        call.deps.tokens.revocations.add(call.tx, revocations.STALE_ALL, row.id)
    if fields.description is not UNSET:
        row.description = fields.description
    row.options = options_of(row.options, fields.options)
    row.extra = extra_of(body.extra, _NEVER_CHANGED, row.extra)
    return view_of(call, row)


_NEVER_CHANGED = SHOWN_ONLY | {"domain_id"}


def delete(call: Call[IdentityDeps], role_id: str) -> None:
    row = _found(call, "delete", role_id)
    check_mutable("role", row.options)
    call.tx.execute(delete_from(Role).where(Role.id == row.id))
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_ALL, row.id)


# -- inference rules -------------------------------------------------------------------------------------


class BriefRole(View):
    id: str
    name: str
    description: str | None
    links: SelfLink


class Inference(View):
    """A role and one that it implies."""

    prior_role: BriefRole
    implies: BriefRole


class Inferences(View):
    """A role and all that it implies."""

    prior_role: BriefRole
    implies: list[BriefRole]


class InferenceDocument(View):
    role_inference: Inference
    links: SelfLink


class InferencesDocument(View):
    role_inference: Inferences
    links: SelfLink


class AllInferences(View):
    role_inferences: list[Inferences]
    links: SelfLink


def _brief(call: Call[IdentityDeps], row: Role) -> BriefRole:
    return BriefRole(row.id, row.name, row.description, self_link(call, "roles", row.id))


def _pair(call: Call[IdentityDeps], prior_id: str, implied_id: str) -> tuple[Role, Role, ImpliedRole | None]:
    prior, implied = find(call, prior_id), find(call, implied_id)
    return prior, implied, call.tx.get(ImpliedRole, (prior_id, implied_id))


def _inference(call: Call[IdentityDeps], prior: Role, implied: Role) -> InferenceDocument:
    link = self_link(call, "roles", f"{prior.id}/implies/{implied.id}")
    return InferenceDocument(Inference(_brief(call, prior), _brief(call, implied)), link)


def list_implied(call: Call[IdentityDeps], role_id: str) -> InferencesDocument:
    prior = find(call, role_id)
    statement = (
        select(Role).join(ImpliedRole, ImpliedRole.implied_id == Role.id).where(ImpliedRole.prior_id == prior.id)
    )
    implied = [_brief(call, row) for row in call.tx.scalars(statement.order_by(Role.name))]
    link = self_link(call, "roles", f"{prior.id}/implies")
    return InferencesDocument(Inferences(_brief(call, prior), implied), link)


def imply(call: Call[IdentityDeps], role_id: str, implied_id: str) -> InferenceDocument:
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


def _existing(call: Call[IdentityDeps], role_id: str, implied_id: str) -> tuple[Role, Role, ImpliedRole]:
    prior, implied, rule = _pair(call, role_id, implied_id)
    if rule is None:
        raise NotFound(f"Could not find an inference rule from {role_id} to {implied_id}.")
    return prior, implied, rule


def show_implied(call: Call[IdentityDeps], role_id: str, implied_id: str) -> InferenceDocument:
    prior, implied, _ = _existing(call, role_id, implied_id)
    return _inference(call, prior, implied)


def remove_implied(call: Call[IdentityDeps], role_id: str, implied_id: str) -> None:
    call.tx.delete(_existing(call, role_id, implied_id)[2])
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_ALL, role_id)


def list_inferences(call: Call[IdentityDeps]) -> AllInferences:
    roles = {row.id: row for row in call.tx.scalars(select(Role))}
    rules: dict[str, list[Role]] = {}
    for prior, implied in call.tx.execute(select(ImpliedRole.prior_id, ImpliedRole.implied_id)):
        rules.setdefault(prior, []).append(roles[implied])
    inferences = [
        Inferences(_brief(call, roles[prior]), [_brief(call, row) for row in implied])
        for prior, implied in rules.items()
    ]
    return AllInferences(inferences, SelfLink(f"{call.base_url}/v3/role_inferences"))


_ALL = "/v3/roles"
_ONE = _ALL + "/{role_id}"
_IMPLIES = _ONE + "/implies"
_RULE = _IMPLIES + "/{implied_id}"
ROUTES = (
    Route(
        "GET", _ALL, index, "identity:list_roles", envelope="roles", target="handler", query=query(_ROLES, "domain_id")
    ),
    Route("POST", _ALL, create, "identity:create_role", 201, body=Extended[NewRole], envelope="role", target="handler"),
    Route("GET", _ONE, show, "identity:get_role", envelope="role", target="handler"),
    Route("PATCH", _ONE, update, "identity:update_role", body=Extended[RoleChange], envelope="role", target="handler"),
    Route("DELETE", _ONE, delete, "identity:delete_role", 204, target="handler"),
    Route("GET", _IMPLIES, list_implied, "identity:list_implied_roles"),
    Route("PUT", _RULE, imply, "identity:create_implied_role", 201),
    Route("GET", _RULE, show_implied, "identity:get_implied_role"),
    Route("HEAD", _RULE, show_implied, "identity:get_implied_role", 204),
    Route("DELETE", _RULE, remove_implied, "identity:delete_implied_role", 204),
    Route("GET", "/v3/role_inferences", list_inferences, "identity:list_role_inference_rules"),
)
