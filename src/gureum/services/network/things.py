"""Rows to what the engine should hold: the wanted state of any things, or of all, in a few statements.

Only reads. Invariant: a thing's content changes only with its revision, except a router's gateway hosts, which follow
the engine's own hosts (the writer watches those), and the cloud's resolvers, which follow the configuration (a writer
that starts brings them to the engine). Read next: `drivers/network/interface.py`, `writer.py`.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import BindParameter, bindparam, func, select
from sqlalchemy.orm import aliased

from gureum.drivers.network import interface as engine
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared
from gureum.services.network.floating_ips.model import FloatingIp
from gureum.services.network.networks.model import Network
from gureum.services.network.ports.model import (
    METADATA,
    PARTS,
    ROUTER_GATEWAY,
    ROUTER_LEG,
    IpAllocation,
    Port,
    PortGroup,
)
from gureum.services.network.routers.model import Router
from gureum.services.network.routers.rules import gateway_hosts
from gureum.services.network.security_groups.model import SecurityGroup, SecurityGroupRule
from gureum.services.network.security_groups.rules import ICMP, WITH_PORTS, number_of
from gureum.services.network.subnets.model import Subnet
from gureum.services.network.subnets.rules import resolvers_of

CHUNK = 2000
_NAMES = {6: "tcp", 17: "udp"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the engine should hold beside the rows: `hosts` that may be gateways, the cloud's `dns_servers`."""

    hosts: Mapping[str, bool] = field(default_factory=dict)
    dns_servers: Sequence[str] = ()


def wanted(tx: Tx, kind: engine.Kind, ids: Sequence[str], around: Surroundings) -> list[engine.Thing]:
    """What the engine should hold of these things; one that is gone, or is no thing of its own, is not among them."""
    found: list[engine.Thing] = []
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        if kind == "router":
            found += _routers(tx, part, around.hosts)
        elif kind == "subnet":
            found += _subnets(tx, part, around.dns_servers)
        else:
            found += _LOADERS[kind](tx, part)
    return found


def revisions(tx: Tx) -> dict[tuple[engine.Kind, str], int]:
    """The revision of everything that the engine should hold."""
    found: dict[tuple[engine.Kind, str], int] = {}
    for kind, model in _MODELS.items():
        columns = select(model.id, model.revision)
        if kind == "port":
            columns = columns.where(Port.device_owner.not_in(PARTS))
        elif kind == "floating_ip":
            columns = columns.where(FloatingIp.port_id.isnot(None))
        found |= {(kind, thing_id): revision for thing_id, revision in tx.execute(columns)}
    return found


def routers_with_gateway(tx: Tx) -> list[str]:
    return list(tx.scalars(select(Router.id).where(Router.gateway_port_id.isnot(None))))


def subnets_without_resolvers(tx: Tx) -> list[str]:
    """The subnets whose guests are told of the cloud's resolvers."""
    return [row.id for row in tx.execute(select(Subnet.id, Subnet.dns_servers)) if not row.dns_servers]


def _networks(tx: Tx, ids: Sequence[str]) -> list[engine.Thing]:
    return [
        engine.Network(row.id, row.revision, row.mtu, row.physical_network, row.vlan)
        for row in tx.scalars(select(Network).where(Network.id.in_(ids)))
    ]


def _subnets(tx: Tx, ids: Sequence[str], dns_servers: Sequence[str]) -> list[engine.Thing]:
    service = (
        select(IpAllocation.subnet_id, IpAllocation.ip)
        .join(Port, Port.id == IpAllocation.owner_id)
        .where(IpAllocation.subnet_id.in_(ids), Port.device_owner == METADATA)
    )
    answering = dict(tx.execute(service).all())
    found = select(Subnet, Network.mtu).join(Network, Network.id == Subnet.network_id).where(Subnet.id.in_(ids))
    return [
        engine.Subnet(
            id=row.id,
            revision=row.revision,
            network_id=row.network_id,
            ip_version=6 if row.ip_version == 6 else 4,
            cidr=row.cidr,
            gateway_ip=row.gateway_ip,
            dhcp=row.enable_dhcp,
            dns_servers=_of_version(row.ip_version, resolvers_of(row.dns_servers, dns_servers)),
            host_routes=tuple((destination, hop) for destination, hop in row.host_routes),
            metadata_ip=answering.get(row.id),
            ipv6_ra_mode=row.ra_mode,
            ipv6_address_mode=row.address_mode,
            mtu=mtu,
        )
        for row, mtu in tx.execute(found)
    ]


def _of_version(version: int, servers: Sequence[str]) -> tuple[str, ...]:
    """DHCP of an IP version tells of servers of that version alone."""
    return tuple(server for server in servers if (":" in server) == (version == 6))


_IDS: BindParameter[str] = bindparam("ids", expanding=True)
_MEMBERSHIPS = (
    select(func.aggregate_strings(PortGroup.group_id, " ")).where(PortGroup.port_id == Port.id).scalar_subquery()
)
_PORTS = Prepared(
    select(
        *(Port.id, Port.revision, Port.network_id, Port.mac, Port.device_owner, Port.host, Port.port_security),
        *(Port.pairs, Port.admin_state_up, Network.admin_state_up.label("network_up")),
        *(IpAllocation.subnet_id, IpAllocation.ip, _MEMBERSHIPS.label("groups")),
    )
    .join(Network, Network.id == Port.network_id)
    .outerjoin(IpAllocation, IpAllocation.owner_id == Port.id)
    .where(Port.id.in_(_IDS), Port.device_owner.not_in(PARTS))
    .order_by(IpAllocation.position, IpAllocation.subnet_id, IpAllocation.ip)
)


def _ports(tx: Tx, ids: Sequence[str]) -> list[engine.Thing]:
    fixed: defaultdict[str, list[engine.FixedIp]] = defaultdict(list)
    rows = {}
    for row in _PORTS.all(tx, ids=ids):
        rows[row.id] = row
        if row.ip is not None:
            fixed[row.id].append(engine.FixedIp(row.subnet_id, row.ip))
    return [
        engine.Port(
            id=row.id,
            revision=row.revision,
            network_id=row.network_id,
            mac=row.mac,
            fixed_ips=tuple(fixed[row.id]),
            enabled=row.admin_state_up and row.network_up,
            kind=_kind(row.device_owner),
            host=row.host or None,
            security_groups=tuple(sorted((row.groups or "").split())),
            port_security=row.port_security,
            allowed_pairs=tuple((pair["ip_address"], pair["mac_address"]) for pair in row.pairs),
        )
        for row in rows.values()
    ]


def _kind(device_owner: str) -> Literal["guest", "metadata", "other"]:
    if device_owner == METADATA:
        return "metadata"
    return "other" if device_owner.startswith("network:") else "guest"


def _groups(tx: Tx, ids: Sequence[str]) -> list[engine.Thing]:
    allowed: defaultdict[str, list[engine.SecurityRule]] = defaultdict(list)
    for rule in tx.scalars(
        select(SecurityGroupRule).where(SecurityGroupRule.group_id.in_(ids)).order_by(SecurityGroupRule.id)
    ):
        allowed[rule.group_id].append(_rule(rule))
    return [
        engine.SecurityGroup(row.id, row.revision, tuple(allowed[row.id]), row.stateful)
        for row in tx.scalars(select(SecurityGroup).where(SecurityGroup.id.in_(ids)))
    ]


def _rule(row: SecurityGroupRule) -> engine.SecurityRule:
    number = number_of(row.protocol)
    icmp = "icmpv6" if row.ethertype == "IPv6" else "icmp"
    ranged = number in ICMP or number in WITH_PORTS
    return engine.SecurityRule(
        id=row.id,
        direction="ingress" if row.direction == "ingress" else "egress",
        ethertype="IPv6" if row.ethertype == "IPv6" else "IPv4",
        protocol=None if number is None else icmp if number in ICMP else _NAMES.get(number, str(number)),
        port_min=row.port_min if ranged else None,
        port_max=row.port_max if ranged else None,
        remote_cidr=row.normal_prefix,
        remote_group_id=row.remote_group_id,
    )


class _Leg(Struct, frozen=True, gc=False):
    """An address of a router's port, with the subnet that it is in."""

    port_id: str
    network_id: str
    mac: str
    router_id: str
    owner: str
    ip: str
    cidr: str
    gateway_ip: str | None
    mtu: int

    @property
    def with_length(self) -> str:
        """The address with the length of its subnet's prefix."""
        return f"{self.ip}/{ipaddress.ip_network(self.cidr).prefixlen}"


_LEGS = Prepared(
    select(
        *(Port.id.label("port_id"), Port.network_id, Port.mac),
        *(Port.device_id.label("router_id"), Port.device_owner.label("owner")),
        *(IpAllocation.ip, Subnet.cidr, Subnet.gateway_ip, Network.mtu),
    )
    .join(IpAllocation, IpAllocation.owner_id == Port.id)
    .join(Subnet, Subnet.id == IpAllocation.subnet_id)
    .join(Network, Network.id == Port.network_id)
    .where(Port.device_id.in_(_IDS), Port.device_owner.in_((ROUTER_LEG, ROUTER_GATEWAY)))
    .order_by(Port.id, IpAllocation.position),
    _Leg,
)


def _routers(tx: Tx, ids: Sequence[str], hosts: Mapping[str, bool]) -> list[engine.Thing]:
    legs: defaultdict[str, list[_Leg]] = defaultdict(list)
    for leg in _LEGS.all(tx, ids=ids):
        legs[leg.router_id].append(leg)
    return [_router(row, legs[row.id], hosts) for row in tx.scalars(select(Router).where(Router.id.in_(ids)))]


def _router(row: Router, legs: Iterable[_Leg], hosts: Mapping[str, bool]) -> engine.Router:
    inside: dict[str, list[_Leg]] = defaultdict(list)
    outside: list[_Leg] = []
    for leg in legs:
        if leg.owner == ROUTER_LEG:
            inside[leg.port_id].append(leg)
        else:
            outside.append(leg)
    interfaces = tuple(
        engine.RouterInterface(
            port_id, group[0].network_id, group[0].mac, tuple(leg.with_length for leg in group), group[0].mtu
        )
        for port_id, group in inside.items()
    )
    snat = (
        sorted({leg.cidr for group in inside.values() for leg in group if ":" not in leg.ip}) if row.enable_snat else []
    )
    gateway = _gateway(row, outside, tuple(snat), hosts) if outside else None
    routes = tuple((destination, hop) for destination, hop in row.routes)
    return engine.Router(row.id, row.revision, row.admin_state_up, interfaces, gateway, routes)


def _gateway(
    row: Router, legs: Sequence[_Leg], snat: tuple[str, ...], hosts: Mapping[str, bool]
) -> engine.RouterGateway:
    port = legs[0]
    hops = tuple(dict.fromkeys(leg.gateway_ip for leg in legs if leg.gateway_ip))
    addresses = tuple(leg.with_length for leg in legs)
    hosts_in_order = gateway_hosts(row.id, hosts)
    return engine.RouterGateway(port.port_id, port.network_id, port.mac, addresses, hops, snat, hosts_in_order)


def _floating_ips(tx: Tx, ids: Sequence[str]) -> list[engine.Thing]:
    own = aliased(Port)
    tied = (
        select(FloatingIp, own.mac, Port.device_owner)
        .join(own, own.id == FloatingIp.own_port_id)
        .join(Port, Port.id == FloatingIp.port_id)
        .where(FloatingIp.id.in_(ids))
    )
    return [
        engine.FloatingIp(
            id=row.id,
            revision=row.revision,
            router_id=row.router_id or "",
            floating_ip=row.ip,
            fixed_ip=row.fixed_ip or "",
            port_id=None if owner in PARTS else row.port_id,
            mac=mac,
        )
        for row, mac, owner in tx.execute(tied)
    ]


_LOADERS: dict[engine.Kind, Callable[[Tx, Sequence[str]], list[engine.Thing]]] = {
    "network": _networks,
    "port": _ports,
    "security_group": _groups,
    "floating_ip": _floating_ips,
}
_MODELS: dict[engine.Kind, Any] = {
    "network": Network,
    "subnet": Subnet,
    "security_group": SecurityGroup,
    "port": Port,
    "router": Router,
    "floating_ip": FloatingIp,
}
KINDS: tuple[engine.Kind, ...] = tuple(_MODELS)
"""Every kind, each after those that it may refer to."""
