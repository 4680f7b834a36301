"""Routes of limits and of the model of their enforcement. Source: identity API reference, "Unified limits"."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import Select, and_, or_, select

from gureum.foundation import ids
from gureum.foundation.errors import BadRequest, Conflict
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection, Condition
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Listed, View
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import ADMIN, ADMIN_OR_SYSTEM_READER, CLOUD, Description, IdText
from gureum.services.identity.finding import existing
from gureum.services.identity.limits import rules
from gureum.services.identity.limits.model import Limit, RegisteredLimit
from gureum.services.identity.limits.registered import Amount, Short, find_registered, stale
from gureum.services.identity.listing import SelfLink, declared, self_link, whole
from gureum.services.identity.projects.model import Project

RULES = (
    Rule(
        "identity:get_limit_model",
        "@",
        "Show the model of enforcement",
        unbounded="the same for everybody",
        scopes=EVERY_SCOPE,
    ),
    Rule(
        "identity:get_limit",
        ADMIN_OR_SYSTEM_READER + " or domain_id:%(target.limit.domain_id)s or project_id:%(target.limit.project_id)s",
        "Show a limit",
        scopes=EVERY_SCOPE,
    ),  # fmt: skip
    Rule(
        "identity:list_limits",
        "@",
        "List limits; others than administrators see their own",
        unbounded="`_reach`",
        scopes=EVERY_SCOPE,
    ),
    Rule("identity:create_limits", ADMIN, "Create limits", scopes=CLOUD),
    Rule("identity:update_limit", ADMIN, "Change a limit", scopes=CLOUD),
    Rule("identity:delete_limit", ADMIN, "Delete a limit", scopes=CLOUD),
)


class NewLimit(Struct, forbid_unknown_fields=True):
    service_id: Short
    resource_name: Short
    resource_limit: Amount
    region_id: Short | None = None
    project_id: IdText | None = None
    domain_id: IdText | None = None
    description: Description = None


class LimitChange(Struct, forbid_unknown_fields=True):
    resource_limit: Amount | UnsetType = UNSET
    description: Description | UnsetType = UNSET


NewLimits = Annotated[list[NewLimit], Meta(min_length=1, max_length=256)]


class LimitView(View):
    """Of a project or of a domain: the other one is null."""

    id: str
    project_id: str | None
    domain_id: str | None
    service_id: str
    region_id: str | None
    resource_name: str
    resource_limit: int
    description: str | None
    links: SelfLink


class LimitModelView(View):
    name: str
    description: str


def _view(call: Call[IdentityDeps], row: Limit, registered: RegisteredLimit) -> LimitView:
    return LimitView(
        row.id,
        None if row.of_domain else row.owner_id,
        row.owner_id if row.of_domain else None,
        registered.service_id,
        registered.region or None,
        registered.resource_name,
        row.resource_limit,
        row.description,
        self_link(call, "limits", row.id),
    )


def show_model(call: Call[IdentityDeps]) -> LimitModelView:
    name = call.deps.options.limit_model
    return LimitModelView(name, rules.DESCRIPTIONS[name])


def create(call: Call[IdentityDeps], body: NewLimits) -> list[LimitView]:
    stale(call)
    return [_create(call, new) for new in body]


def _create(call: Call[IdentityDeps], new: NewLimit) -> LimitView:
    owner = _owner(call, new)
    registered = find_registered(call, new.service_id, new.region_id or "", new.resource_name)
    if registered is None:
        raise BadRequest("Unable to create a limit that has no corresponding registered limit.")
    mine = (Limit.owner_id == owner.id, Limit.registered_limit_id == registered.id)
    if call.tx.scalar(select(Limit.id).where(*mine)):
        raise Conflict("Conflict occurred attempting to store limit - Duplicate entry.")
    _check_amount(call, owner, registered, new.resource_limit)
    row = Limit(
        id=ids.new_hex(),
        owner_id=owner.id,
        of_domain=owner.is_domain,
        registered_limit_id=registered.id,
        resource_limit=new.resource_limit,
        description=new.description,
    )
    call.tx.add(row)
    call.tx.flush()
    return _view(call, row, registered)


def _owner(call: Call[IdentityDeps], new: NewLimit) -> Project:
    owner_id = new.project_id or new.domain_id
    if owner_id is None or (new.project_id is not None and new.domain_id is not None):
        raise BadRequest("A limit has either a project_id or a domain_id.")
    owner = call.tx.get(Project, owner_id)
    if owner is None or owner.is_domain != (new.domain_id is not None):
        kind = "project" if new.project_id else "domain"
        raise BadRequest(f"Could not find {kind}: {owner_id}.")
    return owner


def _check_amount(call: Call[IdentityDeps], owner: Project, registered: RegisteredLimit, wanted: int) -> None:
    if call.deps.options.limit_model == rules.FLAT:
        return
    of_this = Limit.registered_limit_id == registered.id
    if owner.is_domain:
        inside = select(Project.id).where(Project.domain_id == owner.id)
        rules.check_domain(
            wanted, call.tx.scalars(select(Limit.resource_limit).where(of_this, Limit.owner_id.in_(inside)))
        )
        return
    above = call.tx.scalar(select(Limit.resource_limit).where(of_this, Limit.owner_id == owner.domain_id))
    rules.check_project(wanted, registered.default_limit if above is None else above)


def _owned(owner_id: str, *, by_domain: bool) -> Condition:
    return and_(Limit.owner_id == owner_id, Limit.of_domain.is_(by_domain))


_LIMITS: Collection[Limit] = declared(
    "limits",
    Limit,
    {
        "service_id": RegisteredLimit.service_id,
        "region_id": RegisteredLimit.region,
        "resource_name": RegisteredLimit.resource_name,
    },
    special={
        "project_id": lambda _call, values: _owned(values[-1], by_domain=False),
        "domain_id": lambda _call, values: _owned(values[-1], by_domain=True),
    },
)
"""Listed whole, with what they limit."""


_ALL_LIMITS = select(Limit, RegisteredLimit).join(RegisteredLimit, RegisteredLimit.id == Limit.registered_limit_id)


def _reach(call: Call[IdentityDeps]) -> Select[Limit, RegisteredLimit]:
    """Everybody's limits for administrators and readers of the system, else those of the caller's own scope."""
    statement, caller = _ALL_LIMITS, call.caller
    if caller.is_admin or (caller.system and "reader" in caller.roles):
        return statement
    if caller.domain_id:
        inside = select(Project.id).where(Project.domain_id == caller.domain_id)
        return statement.where(or_(Limit.owner_id == caller.domain_id, Limit.owner_id.in_(inside)))
    return statement.where(Limit.owner_id == caller.project_id)


def index(call: Call[IdentityDeps]) -> Listed[LimitView]:
    rows = call.tx.execute(_reach(call).where(*_LIMITS.conditions(call)).order_by(Limit.id)).all()
    return whole(call, [_view(call, limit, registered) for limit, registered in rows])


def _find(call: Call[IdentityDeps], limit_id: str) -> tuple[Limit, RegisteredLimit]:
    found = existing(call.tx.execute(_ALL_LIMITS.where(Limit.id == limit_id)).one_or_none(), "limit", limit_id)
    row, registered = found
    owner = call.tx.get(Project, row.owner_id)
    target = {"target.limit.project_id": None, "target.limit.domain_id": row.owner_id}
    if owner is not None and not row.of_domain:
        target = {"target.limit.project_id": row.owner_id, "target.limit.domain_id": owner.domain_id}
    call.enforce(**target)
    return row, registered


def show(call: Call[IdentityDeps], limit_id: str) -> LimitView:
    return _view(call, *_find(call, limit_id))


def update(call: Call[IdentityDeps], body: LimitChange, limit_id: str) -> LimitView:
    row, registered = _find(call, limit_id)
    stale(call)
    if body.resource_limit is not UNSET:
        owner = call.tx.get(Project, row.owner_id)
        if owner is not None:
            _check_amount(call, owner, registered, body.resource_limit)
        row.resource_limit = body.resource_limit
    if body.description is not UNSET:
        row.description = body.description
    return _view(call, row, registered)


def delete(call: Call[IdentityDeps], limit_id: str) -> None:
    call.tx.delete(_find(call, limit_id)[0])
    stale(call)


_ALL = "/v3/limits"
_ONE = _ALL + "/{limit_id}"
ROUTES = (
    Route("GET", _ALL + "/model", show_model, "identity:get_limit_model", envelope="model"),
    Route("GET", _ALL, index, "identity:list_limits", envelope="limits", query=_LIMITS.parameters()),
    Route("POST", _ALL, create, "identity:create_limits", 201, body=NewLimits, envelope="limits"),
    Route("GET", _ONE, show, "identity:get_limit", envelope="limit", target="handler"),
    Route("PATCH", _ONE, update, "identity:update_limit", body=LimitChange, envelope="limit", target="handler"),
    Route("DELETE", _ONE, delete, "identity:delete_limit", 204, target="handler"),
)
