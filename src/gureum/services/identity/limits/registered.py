"""Routes of registered limits. Source: identity API reference, "Unified limits"."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.errors import BadRequest, Conflict, Forbidden
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Listed, View
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity import listing
from gureum.services.identity.catalog.model import Region, Service
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import ADMIN, CLOUD, Description
from gureum.services.identity.finding import existing
from gureum.services.identity.limits.model import Limit, RegisteredLimit
from gureum.services.identity.listing import SelfLink, declared, query, self_link
from gureum.services.identity.tokens import revocations

RULES = (
    Rule(
        "identity:get_registered_limit",
        "@",
        "Show a registered limit",
        unbounded="the same for everybody",
        scopes=EVERY_SCOPE,
    ),
    Rule(
        "identity:list_registered_limits",
        "@",
        "List registered limits",
        unbounded="the same for everybody",
        scopes=EVERY_SCOPE,
    ),
    Rule("identity:create_registered_limits", ADMIN, "Register limits", scopes=CLOUD),
    Rule("identity:update_registered_limit", ADMIN, "Change a registered limit", scopes=CLOUD),
    Rule("identity:delete_registered_limit", ADMIN, "Delete a registered limit", scopes=CLOUD),
)
Amount = Annotated[int, Meta(ge=-1, le=2**63 - 1)]
Short = Annotated[str, Meta(min_length=1, max_length=255)]


class NewRegistered(Struct, forbid_unknown_fields=True):
    service_id: Short
    resource_name: Short
    default_limit: Amount
    region_id: Short | None = None
    description: Description = None


class RegisteredChange(Struct, forbid_unknown_fields=True):
    service_id: Short | UnsetType = UNSET
    region_id: Short | None | UnsetType = UNSET
    resource_name: Short | UnsetType = UNSET
    default_limit: Amount | UnsetType = UNSET
    description: Description | UnsetType = UNSET


NewRegisteredLimits = Annotated[list[NewRegistered], Meta(min_length=1, max_length=256)]


class RegisteredRow(Struct, frozen=True, gc=False):
    """What lists read of a registered limit."""

    id: str
    service_id: str
    region: str
    resource_name: str
    default_limit: int
    description: str | None


class RegisteredView(View):
    id: str
    service_id: str
    region_id: str | None
    resource_name: str
    default_limit: int
    description: str | None
    links: SelfLink


def _view(call: Call[IdentityDeps], row: RegisteredLimit | RegisteredRow) -> RegisteredView:
    return RegisteredView(
        row.id,
        row.service_id,
        row.region or None,
        row.resource_name,
        row.default_limit,
        row.description,
        self_link(call, "registered_limits", row.id),
    )


def _check_references(call: Call[IdentityDeps], service_id: str | None, region_id: str | None) -> None:
    if service_id is not None and call.tx.get(Service, service_id) is None:
        raise BadRequest(f"Could not find service: {service_id}.")
    if region_id is not None and call.tx.get(Region, region_id) is None:
        raise BadRequest(f"Could not find region: {region_id}.")


def find_registered(
    call: Call[IdentityDeps], service_id: str, region: str, resource_name: str
) -> RegisteredLimit | None:
    """The registered limit of a resource; the one of all regions only when none is asked for."""
    same = (RegisteredLimit.service_id == service_id, RegisteredLimit.region == region)
    return call.tx.scalar(select(RegisteredLimit).where(*same, RegisteredLimit.resource_name == resource_name))


def stale(call: Call[IdentityDeps]) -> None:
    """Every process forgets what it remembers of limits."""
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_LIMITS, "")


def create(call: Call[IdentityDeps], body: NewRegisteredLimits) -> list[RegisteredView]:
    stale(call)
    views = []
    for new in body:
        _check_references(call, new.service_id, new.region_id)
        region = new.region_id or ""
        if find_registered(call, new.service_id, region, new.resource_name) is not None:
            raise Conflict("Conflict occurred attempting to store registered_limit - Duplicate entry.")
        row = RegisteredLimit(
            id=ids.new_hex(),
            service_id=new.service_id,
            region=region,
            resource_name=new.resource_name,
            default_limit=new.default_limit,
            description=new.description,
        )
        call.tx.add(row)
        call.tx.flush()
        views.append(_view(call, row))
    return views


_REGISTERED = declared(
    "registered_limits",
    RegisteredLimit,
    {
        "service_id": RegisteredLimit.service_id,
        "region_id": RegisteredLimit.region,
        "resource_name": RegisteredLimit.resource_name,
    },
    RegisteredRow,
)


def index(call: Call[IdentityDeps]) -> Listed[RegisteredView]:
    return listing.index(call, _REGISTERED, _view)


def _find(call: Call[IdentityDeps], limit_id: str) -> RegisteredLimit:
    return existing(call.tx.get(RegisteredLimit, limit_id), "registered limit", limit_id)


def show(call: Call[IdentityDeps], limit_id: str) -> RegisteredView:
    return _view(call, _find(call, limit_id))


def _check_unused(call: Call[IdentityDeps], row: RegisteredLimit) -> None:
    if call.tx.scalar(select(Limit.id).where(Limit.registered_limit_id == row.id).limit(1)):
        raise Forbidden("Unable to update or delete a registered limit that projects have limits of.")


def update(call: Call[IdentityDeps], body: RegisteredChange, limit_id: str) -> RegisteredView:
    row = _find(call, limit_id)
    stale(call)
    service_id = row.service_id if body.service_id is UNSET else body.service_id
    region = row.region if body.region_id is UNSET else body.region_id or ""
    resource_name = row.resource_name if body.resource_name is UNSET else body.resource_name
    if (service_id, region, resource_name) != (row.service_id, row.region, row.resource_name):
        _check_unused(call, row)
        _check_references(call, service_id, region or None)
        if find_registered(call, service_id, region, resource_name) is not None:
            raise Conflict("Conflict occurred attempting to store registered_limit - Duplicate entry.")
        row.service_id, row.region, row.resource_name = service_id, region, resource_name
    if body.default_limit is not UNSET:
        row.default_limit = body.default_limit
    if body.description is not UNSET:
        row.description = body.description
    return _view(call, row)


def delete(call: Call[IdentityDeps], limit_id: str) -> None:
    row = _find(call, limit_id)
    _check_unused(call, row)
    call.tx.delete(row)
    stale(call)


_ALL = "/v3/registered_limits"
_ONE = _ALL + "/{limit_id}"
ROUTES = (
    Route(
        "GET", _ALL, index, "identity:list_registered_limits", envelope="registered_limits", query=query(_REGISTERED)
    ),
    Route(
        "POST",
        _ALL,
        create,
        "identity:create_registered_limits",
        201,
        body=NewRegisteredLimits,
        envelope="registered_limits",
    ),
    Route("GET", _ONE, show, "identity:get_registered_limit", envelope="registered_limit"),
    Route(
        "PATCH", _ONE, update, "identity:update_registered_limit", body=RegisteredChange, envelope="registered_limit"
    ),
    Route("DELETE", _ONE, delete, "identity:delete_registered_limit", 204),
)
