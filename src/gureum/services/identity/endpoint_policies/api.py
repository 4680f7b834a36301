"""Routes of policy associations. Source: identity API reference, OS-ENDPOINT-POLICY.

An endpoint's own policy comes first, then that of its service in its region and in the regions above, then that of its
service. An association replaces the one that was there.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select

from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Extended, Listed
from gureum.foundation.policy import Rule
from gureum.services.identity.catalog.model import Endpoint, Region, Service
from gureum.services.identity.catalog.views import EndpointView, endpoint_view
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.endpoint_policies.model import PolicyAssociation
from gureum.services.identity.fields import ADMIN, ADMIN_OR_SYSTEM_READER, CLOUD
from gureum.services.identity.finding import existing_row
from gureum.services.identity.listing import whole
from gureum.services.identity.policies.api import PolicyView
from gureum.services.identity.policies.api import view_of as policy_view
from gureum.services.identity.policies.model import PolicyDocument

_KINDS = ("endpoint", "service", "region_and_service")
RULES = (
    *(
        Rule(f"identity:{verb}_policy_association_for_{kind}", check, scopes=CLOUD)
        for kind in _KINDS
        for verb, check in (("create", ADMIN), ("check", ADMIN_OR_SYSTEM_READER), ("delete", ADMIN))
    ),
    Rule("identity:get_policy_for_endpoint", ADMIN_OR_SYSTEM_READER, "Show the policy of an endpoint", CLOUD),
    Rule("identity:list_endpoints_for_policy", ADMIN_OR_SYSTEM_READER, "List the endpoints of a policy", CLOUD),
)
Key = tuple[str, str, str]
"""endpoint, service, region: as the table's own key. What an association does not name is empty."""


def _check(call: Call[IdentityDeps], policy_id: str, key: Key) -> None:
    """Raises NotFound unless everything that an association names is there."""
    existing_row(call.tx, PolicyDocument, "policy", policy_id)
    endpoint_id, service_id, region_id = key
    if endpoint_id:
        existing_row(call.tx, Endpoint, "endpoint", endpoint_id)
    if service_id:
        existing_row(call.tx, Service, "service", service_id)
    if region_id:
        existing_row(call.tx, Region, "region", region_id)


def _existing(call: Call[IdentityDeps], policy_id: str, key: Key) -> PolicyAssociation:
    _check(call, policy_id, key)
    row: PolicyAssociation | None = call.tx.get(PolicyAssociation, key)
    if row is None or row.policy_id != policy_id:
        raise NotFound("Could not find such a policy association.")
    return row


def associate(
    call: Call[IdentityDeps], policy_id: str, endpoint_id: str = "", service_id: str = "", region_id: str = ""
) -> None:
    _check(call, policy_id, (endpoint_id, service_id, region_id))
    call.tx.merge(
        PolicyAssociation(endpoint_id=endpoint_id, service_id=service_id, region_id=region_id, policy_id=policy_id)
    )


def check(
    call: Call[IdentityDeps], policy_id: str, endpoint_id: str = "", service_id: str = "", region_id: str = ""
) -> None:
    _existing(call, policy_id, (endpoint_id, service_id, region_id))


def remove(
    call: Call[IdentityDeps], policy_id: str, endpoint_id: str = "", service_id: str = "", region_id: str = ""
) -> None:
    call.tx.delete(_existing(call, policy_id, (endpoint_id, service_id, region_id)))


def _in_force(tx: Tx) -> Callable[[Endpoint], str | None]:
    """Endpoint -> the id of the policy that is in force there."""
    rows = tx.scalars(select(PolicyAssociation))
    bound: dict[Key, str] = {(row.endpoint_id, row.service_id, row.region_id): row.policy_id for row in rows}
    parents = {row.id: row.parent_region_id for row in tx.scalars(select(Region))}

    def found(endpoint: Endpoint) -> str | None:
        keys: list[Key] = [(endpoint.id, "", "")]
        region, seen = endpoint.region_id, set[str]()
        while region is not None and region not in seen:
            seen.add(region)
            keys.append(("", endpoint.service_id, region))
            region = parents.get(region)
        keys.append(("", endpoint.service_id, ""))
        return next((bound[key] for key in keys if key in bound), None)

    return found


def show_for_endpoint(call: Call[IdentityDeps], endpoint_id: str) -> Extended[PolicyView]:
    endpoint = existing_row(call.tx, Endpoint, "endpoint", endpoint_id)
    policy_id = _in_force(call.tx)(endpoint)
    row = call.tx.get(PolicyDocument, policy_id) if policy_id else None
    if row is None:
        raise NotFound(f"No policy is associated with endpoint {endpoint_id}.")
    return policy_view(call, row)


def list_endpoints(call: Call[IdentityDeps], policy_id: str) -> Listed[Extended[EndpointView]]:
    existing_row(call.tx, PolicyDocument, "policy", policy_id)
    policy_of = _in_force(call.tx)
    rows = [row for row in call.tx.scalars(select(Endpoint).order_by(Endpoint.id)) if policy_of(row) == policy_id]
    return whole(call, [endpoint_view(call, row) for row in rows])


_AT = "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY"
_OF_ENDPOINT = "/v3/endpoints/{endpoint_id}/OS-ENDPOINT-POLICY/policy"
_PATHS = {
    "endpoint": _AT + "/endpoints/{endpoint_id}",
    "service": _AT + "/services/{service_id}",
    "region_and_service": _AT + "/services/{service_id}/regions/{region_id}",
}
_VERBS = (("PUT", "create", associate), ("GET", "check", check), ("DELETE", "delete", remove))
ROUTES = (
    *(
        Route(method, _PATHS[kind], handler, f"identity:{verb}_policy_association_for_{kind}", 204)
        for kind in _KINDS
        for method, verb, handler in _VERBS
    ),
    Route("GET", _AT + "/endpoints", list_endpoints, "identity:list_endpoints_for_policy", envelope="endpoints"),
    Route("GET", _OF_ENDPOINT, show_for_endpoint, "identity:get_policy_for_endpoint", envelope="policy"),
)
