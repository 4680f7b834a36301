"""Routes of subnets. Source: network API reference, "Subnets"."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field
from sqlalchemy import ColumnElement, bindparam, select
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.db.prepared import Prepared, only
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route, Runs
from gureum.foundation.http.views import Listed, View
from gureum.foundation.policy import Rule
from gureum.services.network import errors, listing
from gureum.services.network.bulk import Document, new_resources
from gureum.services.network.context import NetworkContext
from gureum.services.network.listing import Listing
from gureum.services.network.networks.api import MEMBER, NETWORK_OWNER, own_network
from gureum.services.network.networks.model import Network
from gureum.services.network.networks.rules import check_mtu
from gureum.services.network.ports import metadata
from gureum.services.network.standard import AddressText, IdText, NameText, ProjectText, touch
from gureum.services.network.subnets import operations, rules
from gureum.services.network.subnets.model import Subnet, SubnetRow, seen_by
from gureum.services.network.views import StandardView, standard

Mode = Literal["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]

RULES = (
    Rule("get_subnet", "rule:admin or role:reader", "See subnets within reach", unbounded=listing.IN_QUERIES),
    Rule("create_subnet", MEMBER, "Create a subnet"),
    Rule("update_subnet", f"{MEMBER} or {NETWORK_OWNER}", "Update a subnet"),
    Rule("delete_subnet", f"{MEMBER} or {NETWORK_OWNER}", "Delete a subnet"),
)


class PoolBody(Struct, forbid_unknown_fields=True):
    start: AddressText
    end: AddressText


class RouteBody(Struct, forbid_unknown_fields=True):
    destination: AddressText
    nexthop: AddressText


Pools = Annotated[list[PoolBody], Meta(max_length=64)]
Servers = Annotated[list[AddressText], Meta(max_length=64)]
Routes = Annotated[list[RouteBody], Meta(max_length=64)]


class NewSubnet(Struct, forbid_unknown_fields=True):
    network_id: IdText
    ip_version: Literal[4, 6, "4", "6"]
    cidr: AddressText
    name: NameText = ""
    description: NameText = ""
    project_id: ProjectText = ""
    tenant_id: ProjectText = ""
    gateway_ip: AddressText | UnsetType | None = UNSET
    enable_dhcp: bool = True
    allocation_pools: Pools | UnsetType | None = UNSET
    dns_nameservers: Servers | None = None
    host_routes: Routes | None = None
    ipv6_ra_mode: Mode | None = None
    ipv6_address_mode: Mode | None = None
    subnetpool_id: None = None


class SubnetChanges(Struct, forbid_unknown_fields=True):
    name: NameText | UnsetType = UNSET
    description: NameText | UnsetType = UNSET
    gateway_ip: AddressText | UnsetType | None = UNSET
    enable_dhcp: bool | UnsetType = UNSET
    allocation_pools: Pools | UnsetType = UNSET
    dns_nameservers: Servers | UnsetType | None = UNSET
    host_routes: Routes | UnsetType | None = UNSET


class CreateSubnet(Struct, forbid_unknown_fields=True):
    subnet: NewSubnet | UnsetType = UNSET
    subnets: Annotated[list[NewSubnet], Meta(min_length=1, max_length=1000)] | UnsetType = UNSET


class PoolView(View):
    start: str
    end: str


class RouteView(View):
    destination: str
    nexthop: str


class SubnetView(StandardView):
    network_id: str
    ip_version: int
    cidr: str
    gateway_ip: str | None
    enable_dhcp: bool
    allocation_pools: list[PoolView]
    dns_nameservers: list[str]
    host_routes: list[RouteView]
    ipv6_ra_mode: str | None
    ipv6_address_mode: str | None
    external: bool = field(name="router:external")
    subnetpool_id: None = None
    service_types: list[str] = field(default_factory=list)


class NewSubnets(View):
    """One subnet or several, as they were asked for."""

    subnet: SubnetView | UnsetType = UNSET
    subnets: list[SubnetView] | UnsetType = UNSET


def views(call: Call[NetworkContext], rows: Sequence[Subnet | SubnetRow]) -> list[SubnetView]:
    network_ids = {row.network_id for row in rows}
    external = set(_EXTERNAL.all(call.tx, networks=list(network_ids))) if rows else set()
    return [_view(row, external=row.network_id in external) for row in rows]


_EXTERNAL: Prepared[str] = Prepared(
    select(Network.id).where(Network.id.in_(bindparam("networks", expanding=True)), Network.external.is_(True)),
    make=only,
)


def _view(row: Subnet | SubnetRow, *, external: bool) -> SubnetView:
    return SubnetView(
        *standard(row),
        network_id=row.network_id,
        ip_version=row.ip_version,
        cidr=row.cidr,
        gateway_ip=row.gateway_ip,
        enable_dhcp=row.enable_dhcp,
        allocation_pools=[PoolView(start, end) for start, end in row.pools],
        dns_nameservers=row.dns_servers,
        host_routes=[RouteView(destination, hop) for destination, hop in row.host_routes],
        ipv6_ra_mode=row.ra_mode,
        ipv6_address_mode=row.address_mode,
        external=external,
    )


def _as_network(name: str, column: InstrumentedAttribute[bool]) -> Callable[[list[str]], ColumnElement[bool]]:
    """A subnet is shared or external as its network is."""

    def on_network(values: list[str]) -> ColumnElement[bool]:
        wanted = [filters.boolean(name, value) for value in values]
        return Subnet.network_id.in_(select(Network.id).where(column.in_(wanted)))

    return on_network


LISTING = Listing(
    single="subnet",
    plural="subnets",
    model=Subnet,
    record=SubnetRow,
    seen_by=seen_by,
    views=views,
    filters=listing.standard_filters(Subnet)
    | {
        "network_id": Subnet.network_id,
        "ip_version": Subnet.ip_version,
        "cidr": Subnet.cidr,
        "gateway_ip": Subnet.gateway_ip,
        "enable_dhcp": Subnet.enable_dhcp,
        "ipv6_ra_mode": Subnet.ra_mode,
        "ipv6_address_mode": Subnet.address_mode,
    },
    special={
        "shared": _as_network("shared", Network.shared),
        "router:external": _as_network("router:external", Network.external),
        "subnetpool_id": lambda values: Subnet.id.isnot(None) if "" in values else Subnet.id.is_(None),
    },
)


def create(call: Call[NetworkContext], body: Document) -> NewSubnets:
    new = new_resources(body, LISTING.names, NewSubnet)
    made = listing.views_of_new(call, LISTING, [_create_one(call, item) for item in new.items])
    return NewSubnets(subnets=made) if new.is_list else NewSubnets(subnet=made[0])


def _create_one(call: Call[NetworkContext], new: NewSubnet) -> Subnet:
    requested = listing.project_named(new)
    call.enforce("create_subnet", **call.own_target())
    network = own_network(call, new.network_id, for_what="A subnet")
    project_id = listing.owner_of(call, requested or network.project_id, "create_subnet")
    call.deps.quotas.require(call.tx, project_id, {"subnet": 1})
    version = int(new.ip_version)
    check_mtu(network.mtu, version)
    net = rules.network_of(new.cidr, version)
    rules.refuse_reserved(net)
    rules.check_dhcp_room(net, dhcp=new.enable_dhcp)
    rules.check_modes(net, new.ipv6_ra_mode, new.ipv6_address_mode, dhcp=new.enable_dhcp)
    gateway = rules.gateway_of(net, rules.first_host(net) if new.gateway_ip is UNSET else new.gateway_ip)
    named = None if new.allocation_pools in (UNSET, None) else [(pool.start, pool.end) for pool in new.allocation_pools]
    if named is None:
        pools = rules.default_pools(net, gateway)
    else:
        pools = rules.check_pools(net, named, None if new.gateway_ip is UNSET else gateway)
        if new.gateway_ip is UNSET and gateway is not None:
            rules.refuse_gateway_in(gateway, pools)
    subnet = Subnet(
        project_id=project_id,
        network_id=network.id,
        name=new.name,
        description=new.description,
        ip_version=version,
        cidr=str(net),
        gateway_ip=gateway,
        enable_dhcp=new.enable_dhcp,
        pools=pools,
        dns_servers=_servers(new.dns_nameservers),
        host_routes=_routes(new.host_routes),
        ra_mode=new.ipv6_ra_mode,
        address_mode=new.ipv6_address_mode,
    )
    return operations.create_subnet(call.tx, call.deps, subnet)


def _servers(wanted: Sequence[str] | None) -> list[str]:
    found = [str(rules.ip_of(text, "nameserver")) for text in wanted or ()]
    rules.check_amounts(servers=len(found))
    if len(set(found)) != len(found):
        raise errors.invalid("Duplicate nameserver")
    return found


def _routes(wanted: Sequence[RouteBody] | None) -> list[tuple[str, str]]:
    rules.check_amounts(routes=len(wanted or ()))
    return rules.check_routes([(route.destination, route.nexthop) for route in wanted or ()])


def index(call: Call[NetworkContext]) -> Listed[SubnetView]:
    return listing.index(call, LISTING)


def show(call: Call[NetworkContext], subnet_id: str) -> SubnetView:
    return listing.show(call, LISTING, subnet_id)


def _load(call: Call[NetworkContext], subnet_id: str) -> Subnet:
    """A subnet for a change, by its own project or its network's. Raises NotFound, Forbidden."""
    row = listing.load_within_reach(call, LISTING, subnet_id)
    network = call.tx.get_one(Network, row.network_id)
    call.enforce(project_id=row.project_id, tenant_id=row.project_id, network_project_id=network.project_id)
    listing.refuse_other_revision(call, row)
    return row


def update(call: Call[NetworkContext], body: SubnetChanges, subnet_id: str) -> SubnetView:
    row = _load(call, subnet_id)
    net = ipaddress.ip_network(row.cidr)
    if body.allocation_pools is not UNSET:
        gateway = row.gateway_ip if body.gateway_ip is UNSET else None
        row.pools = rules.check_pools(net, [(pool.start, pool.end) for pool in body.allocation_pools], gateway)
    if body.gateway_ip is not UNSET:
        operations.set_gateway(call.tx, call.deps, row, body.gateway_ip)
    if body.enable_dhcp is not UNSET:
        operations.set_dhcp(call.tx, call.deps, row, body.enable_dhcp)
    if body.dns_nameservers is not UNSET:
        row.dns_servers = _servers(body.dns_nameservers)
    if body.host_routes is not UNSET:
        row.host_routes = _routes(body.host_routes)
    listing.set_texts(row, body)
    touch(call.tx, call.deps.changes, "subnet", row)
    operations.touch_network(call.tx, call.deps, row)
    call.tx.flush()
    if operations.wants_metadata(row):
        metadata.join(call.tx, call.deps, row.project_id, row.network_id)
    return views(call, [row])[0]


def delete(call: Call[NetworkContext], subnet_id: str) -> None:
    operations.delete_subnet(call.tx, call.deps, _load(call, subnet_id))


_AT = "/v2.0/subnets"
_ONE = _AT + "/{subnet_id}"
ROUTES = (
    Route("GET", _AT, index, "get_subnet", envelope="subnets", query=LISTING.query()),
    Route("POST", _AT, create, "create_subnet", 201, body=Document, described=CreateSubnet, target="handler"),
    Route("GET", _ONE, show, "get_subnet", envelope="subnet", runs=Runs.LOOKUP, query=listing.FIELDS),
    Route("PUT", _ONE, update, "update_subnet", body=SubnetChanges, envelope="subnet", target="handler", also=(412,)),
    Route("DELETE", _ONE, delete, "delete_subnet", 204, target="handler", also=(412,)),
)
