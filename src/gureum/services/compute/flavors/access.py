"""Which projects may use a flavor that is not public. Source: compute API reference, "Flavors access"."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import select

from gureum.foundation.errors import BadRequest, Conflict, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.flavors.model import FlavorAccess
from gureum.services.compute.flavors.reach import find_flavor

_RULE = "os_compute_api:os-flavor-access"

RULES = (
    Rule(_RULE, "rule:admin", "List the projects that may use a flavor"),
    Rule(_RULE + ":add_tenant_access", "rule:admin", "Let a project use a flavor"),
    Rule(_RULE + ":remove_tenant_access", "rule:admin", "No longer let a project use a flavor"),
)


class Tenant(Struct, forbid_unknown_fields=True):
    tenant: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9\-]+\Z")]


class Action(Struct, forbid_unknown_fields=True):
    """Exactly one of the two."""

    addTenantAccess: Tenant | UnsetType = UNSET  # noqa: N815 the API's own name
    removeTenantAccess: Tenant | UnsetType = UNSET  # noqa: N815 the API's own name


class AccessView(View):
    flavor_id: str
    tenant_id: str


class AccessList(View):
    flavor_access: list[AccessView]


def index(call: Call[ComputeDeps], flavor_id: str) -> AccessList:
    row = find_flavor(call, flavor_id)
    if row.is_public:
        raise NotFound("Access list not available for public flavors.")
    return _granted(call, flavor_id)


def act(call: Call[ComputeDeps], body: Action, flavor_id: str) -> AccessList:
    added, removed = body.addTenantAccess, body.removeTenantAccess
    if isinstance(added, Tenant) and removed is UNSET:
        call.enforce(_RULE + ":add_tenant_access", **call.own_target())
        return _add(call, flavor_id, added.tenant)
    if isinstance(removed, Tenant) and added is UNSET:
        call.enforce(_RULE + ":remove_tenant_access", **call.own_target())
        return _remove(call, flavor_id, removed.tenant)
    raise BadRequest("The request body must name exactly one action.")


def _add(call: Call[ComputeDeps], flavor_id: str, project_id: str) -> AccessList:
    row = find_flavor(call, flavor_id)
    _check_project(call, project_id)
    if call.at_least(2, 7) and row.is_public:
        raise Conflict("Can not add access to a public flavor.")
    if call.tx.get(FlavorAccess, (flavor_id, project_id)) is not None:
        raise Conflict(f"Flavor access already exists for flavor {flavor_id} and project {project_id} combination.")
    call.tx.add(FlavorAccess(flavor_id=flavor_id, project_id=project_id))
    call.tx.flush()
    return _granted(call, flavor_id)


def _remove(call: Call[ComputeDeps], flavor_id: str, project_id: str) -> AccessList:
    find_flavor(call, flavor_id)
    _check_project(call, project_id)
    granted = call.tx.get(FlavorAccess, (flavor_id, project_id))
    if granted is None:
        raise NotFound(f"Flavor access not found for {flavor_id} / {project_id} combination.")
    call.tx.delete(granted)
    call.tx.flush()
    return _granted(call, flavor_id)


def _check_project(call: Call[ComputeDeps], project_id: str) -> None:
    if call.deps.identity.project(call.tx, project_id) is None:
        raise BadRequest(f"Project ID {project_id} is not a valid project.")


def _granted(call: Call[ComputeDeps], flavor_id: str) -> AccessList:
    projects = select(FlavorAccess.project_id).where(FlavorAccess.flavor_id == flavor_id)
    ids = call.tx.scalars(projects.order_by(FlavorAccess.project_id))
    return AccessList([AccessView(flavor_id, project_id) for project_id in ids])


_ONE = "/v2.1/flavors/{flavor_id}"
ROUTES = (
    Route("GET", _ONE + "/os-flavor-access", index, _RULE),
    Route("POST", _ONE + "/action", act, _RULE + ":add_tenant_access", body=Action, target="handler"),
)
