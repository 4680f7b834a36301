"""Routes of networks. Source: network API reference, "Networks" and the extensions named there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field
from sqlalchemy import bindparam, select

from gureum.foundation.db.prepared import Prepared, as_tuple
from gureum.foundation.errors import Forbidden
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route, Runs
from gureum.foundation.http.views import Listed, View
from gureum.foundation.policy import Rule
from gureum.services.network import listing
from gureum.services.network.bulk import Document, new_resources
from gureum.services.network.catalog import zones
from gureum.services.network.context import NetworkContext
from gureum.services.network.listing import Listing
from gureum.services.network.networks import operations, rules
from gureum.services.network.networks.model import Network, NetworkRow, seen_by
from gureum.services.network.standard import NameText, ProjectText, touch
from gureum.services.network.subnets.model import Subnet
from gureum.services.network.views import StandardView, standard

MEMBER = "rule:admin or (role:member and project_id:%(project_id)s)"
ADMIN = "rule:admin"
NETWORK_OWNER = "(role:member and project_id:%(network_project_id)s)"
"""The owner of the network that a port or a subnet is in, whoever owns that itself."""
# The stock client sends numbers of its command line as text.
Digits = Annotated[str, Meta(pattern=r"^[0-9]{1,5}\Z")]
Mtu = Annotated[int, Meta(ge=0, le=65535)] | Digits
Segment = Annotated[int, Meta(ge=1, le=4094)] | Digits
PhysicalNetwork = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z_.:-]+\Z")]

RULES = (
    Rule("get_network", "rule:admin or role:reader", "See networks within reach", unbounded=listing.IN_QUERIES),
    Rule("create_network", MEMBER, "Create a network"),
    Rule("update_network", MEMBER, "Update a network"),
    Rule("delete_network", MEMBER, "Delete a network"),
    Rule("get_network:provider", ADMIN, "See where a network's frames go"),
    *(
        Rule(f"{verb}_network:{name}", ADMIN, f"Set {name} of a network")
        for verb in ("create", "update")
        for name in ("shared", "router:external", "is_default")
    ),
    *(
        Rule(f"create_network:provider:{name}", ADMIN, f"Set provider:{name} of a network, which is for life")
        for name in ("network_type", "physical_network", "segmentation_id")
    ),
    Rule("create_network:port_security_enabled", MEMBER, "Set port security of a network"),
    Rule("update_network:port_security_enabled", MEMBER, "Set port security of a network"),
)


class NewNetwork(Struct, forbid_unknown_fields=True):
    name: NameText = ""
    description: NameText = ""
    admin_state_up: bool = True
    project_id: ProjectText = ""
    tenant_id: ProjectText = ""
    mtu: Mtu | None = None
    port_security_enabled: bool = True
    availability_zone_hints: zones.Hints = []
    shared: bool | UnsetType = UNSET
    external: bool | UnsetType = field(default=UNSET, name="router:external")
    is_default: bool | UnsetType | None = UNSET
    network_type: str | UnsetType | None = field(default=UNSET, name="provider:network_type")
    physical_network: PhysicalNetwork | UnsetType | None = field(default=UNSET, name="provider:physical_network")
    segmentation_id: Segment | UnsetType | None = field(default=UNSET, name="provider:segmentation_id")


class NetworkChanges(Struct, forbid_unknown_fields=True):
    name: NameText | UnsetType = UNSET
    description: NameText | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    mtu: Mtu | UnsetType | None = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    shared: bool | UnsetType = UNSET
    external: bool | UnsetType = field(default=UNSET, name="router:external")
    is_default: bool | UnsetType | None = UNSET


class CreateNetwork(Struct, forbid_unknown_fields=True):
    network: NewNetwork | UnsetType = UNSET
    networks: Annotated[list[NewNetwork], Meta(min_length=1, max_length=1000)] | UnsetType = UNSET


class NetworkView(StandardView):
    """A network. Where its frames go is shown by the rule get_network:provider."""

    status: Literal["ACTIVE"]
    admin_state_up: bool
    shared: bool
    subnets: list[str]
    external: bool = field(name="router:external")
    is_default: bool
    mtu: int
    port_security_enabled: bool
    availability_zone_hints: list[str]
    availability_zones: list[str]
    network_type: str | UnsetType = field(default=UNSET, name="provider:network_type")
    physical_network: str | UnsetType | None = field(default=UNSET, name="provider:physical_network")
    segmentation_id: int | UnsetType | None = field(default=UNSET, name="provider:segmentation_id")


class NewNetworks(View):
    """One network or several, as they were asked for."""

    network: NetworkView | UnsetType = UNSET
    networks: list[NetworkView] | UnsetType = UNSET


_ADMIN_ATTRIBUTES = {
    "shared": "shared",
    "external": "router:external",
    "is_default": "is_default",
    "network_type": "provider:network_type",
    "physical_network": "provider:physical_network",
    "segmentation_id": "provider:segmentation_id",
}


def views(call: Call[NetworkContext], rows: Sequence[Network | NetworkRow]) -> list[NetworkView]:
    subnets: dict[str, list[str]] = {row.id: [] for row in rows}
    if rows:
        for network_id, subnet_id in _SUBNETS.all(call.tx, networks=list(subnets)):
            subnets[network_id].append(subnet_id)
    provider = call.allows("get_network:provider", **call.own_target())
    return [_view(row, subnets[row.id], provider=provider) for row in rows]


_SUBNETS = Prepared(
    select(Subnet.network_id, Subnet.id)
    .where(Subnet.network_id.in_(bindparam("networks", expanding=True)))
    .order_by(Subnet.created_at),
    make=as_tuple,
)


def _view(row: Network | NetworkRow, subnets: list[str], *, provider: bool) -> NetworkView:
    return NetworkView(
        *standard(row),
        status="ACTIVE",
        admin_state_up=row.admin_state_up,
        shared=row.shared,
        subnets=subnets,
        external=row.external,
        is_default=row.is_default,
        mtu=row.mtu,
        port_security_enabled=row.port_security,
        availability_zone_hints=row.zone_hints,
        availability_zones=zones.NAMES,
        network_type=row.network_type if provider else UNSET,
        physical_network=row.physical_network if provider else UNSET,
        segmentation_id=row.vlan if provider else UNSET,
    )


LISTING = Listing(
    single="network",
    plural="networks",
    model=Network,
    record=NetworkRow,
    seen_by=seen_by,
    views=views,
    filters=listing.standard_filters(Network)
    | {
        "admin_state_up": Network.admin_state_up,
        "shared": Network.shared,
        "router:external": Network.external,
        "is_default": Network.is_default,
        "mtu": Network.mtu,
        "port_security_enabled": Network.port_security,
        "provider:network_type": Network.network_type,
        "provider:physical_network": Network.physical_network,
        "provider:segmentation_id": Network.vlan,
    },
    special={"status": listing.always("ACTIVE", Network)},
    guarded=dict.fromkeys(
        ("provider:network_type", "provider:physical_network", "provider:segmentation_id"), "get_network:provider"
    ),
)


def create(call: Call[NetworkContext], body: Document) -> NewNetworks:
    new = new_resources(body, LISTING.names, NewNetwork)
    made = listing.views_of_new(call, LISTING, [_create_one(call, item) for item in new.items])
    return NewNetworks(networks=made) if new.is_list else NewNetworks(network=made[0])


def _create_one(call: Call[NetworkContext], new: NewNetwork) -> Network:
    project_id = listing.owner_of(call, listing.project_named(new), "create_network")
    for attribute, name in _ADMIN_ATTRIBUTES.items():
        if getattr(new, attribute) not in (UNSET, None, False):
            call.enforce(f"create_network:{name}", project_id=project_id, tenant_id=project_id)
    if not new.port_security_enabled:
        call.enforce("create_network:port_security_enabled", project_id=project_id)
    zones.check(new.availability_zone_hints)
    call.deps.quotas.require(call.tx, project_id, {"network": 1})
    kind, physical, vlan = rules.provider_of(
        new.network_type or None, new.physical_network or None, _number(new.segmentation_id or None)
    )
    network = Network(
        project_id=project_id,
        name=new.name,
        description=new.description,
        admin_state_up=new.admin_state_up,
        shared=new.shared or False,
        external=new.external or False,
        is_default=new.is_default or False,
        port_security=new.port_security_enabled,
        zone_hints=new.availability_zone_hints,
    )
    provider = operations.Provider(kind, physical, vlan)
    return operations.create_network(call.tx, call.deps, network, provider, _number(new.mtu))


def _number(value: int | str | None) -> int | None:
    return None if value is None else int(value)


def index(call: Call[NetworkContext]) -> Listed[NetworkView]:
    return listing.index(call, LISTING)


def show(call: Call[NetworkContext], network_id: str) -> NetworkView:
    return listing.show(call, LISTING, network_id)


def update(call: Call[NetworkContext], body: NetworkChanges, network_id: str) -> NetworkView:
    row = listing.load(call, LISTING, network_id)
    for attribute in ("shared", "external", "is_default"):
        if getattr(body, attribute) is not UNSET:
            call.enforce(f"update_network:{_ADMIN_ATTRIBUTES[attribute]}", project_id=row.project_id)
    if body.port_security_enabled is not UNSET:
        call.enforce("update_network:port_security_enabled", project_id=row.project_id)
    ctx = call.deps
    if body.admin_state_up is not UNSET:
        operations.set_admin_state(call.tx, ctx, row, body.admin_state_up)
    if body.mtu is not UNSET:
        operations.set_mtu(call.tx, ctx, row, _number(body.mtu))
    if body.external is not UNSET:
        operations.set_external(call.tx, row, body.external)
    if body.shared is not UNSET:
        operations.set_shared(call.tx, row, body.shared)
    if body.is_default is not UNSET:
        row.is_default = bool(body.is_default)
    if body.port_security_enabled is not UNSET:
        row.port_security = body.port_security_enabled
    listing.set_texts(row, body)
    touch(call.tx, ctx.changes, "network", row)
    return listing.views_of_new(call, LISTING, [row])[0]


def delete(call: Call[NetworkContext], network_id: str) -> None:
    operations.delete_network(call.tx, call.deps, listing.load(call, LISTING, network_id))


def own_network(call: Call[NetworkContext], network_id: str, *, for_what: str) -> Network:
    """A network within reach that is the caller's own to shape. Raises NotFound, Forbidden."""
    row = listing.load_within_reach(call, LISTING, network_id)
    if not call.caller.is_admin and row.project_id != call.caller.project_id:
        raise Forbidden(f"{for_what} is for the owner of network {network_id}.")
    return row


_AT = "/v2.0/networks"
_ONE = _AT + "/{network_id}"
ROUTES = (
    Route("GET", _AT, index, "get_network", envelope="networks", query=LISTING.query()),
    Route("POST", _AT, create, "create_network", 201, body=Document, described=CreateNetwork, target="handler"),
    Route("GET", _ONE, show, "get_network", envelope="network", runs=Runs.LOOKUP, query=listing.FIELDS),
    Route(
        "PUT", _ONE, update, "update_network", body=NetworkChanges, envelope="network", target="handler", also=(412,)
    ),
    Route("DELETE", _ONE, delete, "delete_network", 204, target="handler", also=(412,)),
)
