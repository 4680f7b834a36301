"""Routes of quotas. Source: network API reference, "Quotas extension" and "Quotas details extension"."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.foundation.quota import EVERY_PROJECT
from gureum.services.network import errors
from gureum.services.network.context import NetworkContext
from gureum.services.network.quotas.rules import QUOTAS

READER = "rule:admin or (role:reader and project_id:%(project_id)s)"
RULES = (
    Rule("get_quota", READER, "See a project's quotas"),
    Rule("get_own_quota", "@", "See the token's project", unbounded="shows the token's project"),
    Rule("list_quotas", "rule:admin", "See every project's quotas"),
    Rule("update_quota", "rule:admin", "Change a project's quotas"),
    Rule("delete_quota", "rule:admin", "Put a project's quotas back to the defaults"),
)
Limit = Annotated[int, Meta(ge=-1, le=2**31 - 1)]


class Limits(Struct, forbid_unknown_fields=True):
    network: Limit | UnsetType = UNSET
    subnet: Limit | UnsetType = UNSET
    port: Limit | UnsetType = UNSET
    router: Limit | UnsetType = UNSET
    floatingip: Limit | UnsetType = UNSET
    security_group: Limit | UnsetType = UNSET
    security_group_rule: Limit | UnsetType = UNSET
    rbac_policy: Limit | UnsetType = UNSET
    subnetpool: Limit | UnsetType = UNSET
    force: bool | UnsetType = UNSET
    check_limit: bool | UnsetType = UNSET


class QuotaView(View):
    """The limit of each resource; -1 is none."""

    network: int
    subnet: int
    port: int
    router: int
    floatingip: int
    security_group: int
    security_group_rule: int
    rbac_policy: int
    subnetpool: int


class ProjectQuotaView(QuotaView):
    project_id: str
    tenant_id: str


class UseView(View):
    """A limit and what is used of it."""

    limit: int
    used: int
    reserved: int = 0


class TenantView(View):
    tenant_id: str


def index(call: Call[NetworkContext]) -> list[ProjectQuotaView]:
    """Projects with limits of their own."""
    quotas, tx = call.deps.quotas, call.tx
    return [
        ProjectQuotaView(**quotas.limits(tx, project_id), project_id=project_id, tenant_id=project_id)
        for project_id in quotas.projects_with_limits(tx)
    ]


def show(call: Call[NetworkContext], project_id: str) -> QuotaView:
    call.enforce(project_id=project_id)
    return _view(call, project_id)


def _view(call: Call[NetworkContext], project_id: str) -> QuotaView:
    return QuotaView(**call.deps.quotas.limits(call.tx, project_id))


def show_default(call: Call[NetworkContext], project_id: str) -> QuotaView:
    call.enforce(project_id=project_id)
    return _view(call, EVERY_PROJECT)


def show_details(call: Call[NetworkContext], project_id: str) -> dict[str, UseView]:
    call.enforce(project_id=project_id)
    limits, used = call.deps.quotas.limits(call.tx, project_id), call.deps.quotas.usage(call.tx, project_id)
    return {name: UseView(limit, used.get(name, 0)) for name, limit in limits.items()}


def show_own(call: Call[NetworkContext]) -> TenantView:
    return TenantView(call.caller.project_id or "")


def update(call: Call[NetworkContext], body: Limits, project_id: str) -> QuotaView:
    limits = {name: getattr(body, name) for name in QUOTAS.defaults if getattr(body, name) is not UNSET}
    if body.check_limit is True:
        _refuse_less_than_used(call, project_id, limits)
    call.deps.quotas.set_limits(call.tx, project_id[:36], limits)
    return _view(call, project_id)


def _refuse_less_than_used(call: Call[NetworkContext], project_id: str, limits: dict[str, int]) -> None:
    """Raises BadRequest when a limit would be below what the project has already."""
    used = call.deps.quotas.usage(call.tx, project_id)
    for resource, limit in limits.items():
        if 0 <= limit < used.get(resource, 0):
            text = f"Quota limit {limit} of {resource} is below its use, {used[resource]}"
            raise errors.invalid(text, "QuotaLimitTooLow")


def delete(call: Call[NetworkContext], project_id: str) -> None:
    call.deps.quotas.clear_limits(call.tx, project_id)


_AT = "/v2.0/quotas"
_ONE = _AT + "/{project_id}"
ROUTES = (
    Route("GET", _AT, index, "list_quotas", envelope="quotas"),
    Route("GET", _AT + "/tenant", show_own, "get_own_quota", envelope="tenant"),
    Route("GET", _AT + "/project", show_own, "get_own_quota", envelope="tenant"),
    Route("GET", _ONE, show, "get_quota", envelope="quota", target="handler"),
    Route("PUT", _ONE, update, "update_quota", body=Limits, envelope="quota"),
    Route("DELETE", _ONE, delete, "delete_quota", 204),
    Route("GET", _ONE + "/default", show_default, "get_quota", envelope="quota", target="handler"),
    Route("GET", _ONE + "/default.json", show_default, "get_quota", envelope="quota", target="handler"),
    Route("GET", _ONE + "/details", show_details, "get_quota", envelope="quota", target="handler"),
    Route("GET", _ONE + "/details.json", show_details, "get_quota", envelope="quota", target="handler"),
)
