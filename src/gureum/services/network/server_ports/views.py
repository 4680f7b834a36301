"""What hosts, guests and the compute API are told of servers' ports: interfaces, network data, addresses, groups.

Each is one statement for any number of servers, built once: these are the hottest reads of the cloud, and building
a statement costs as much as running it. Source for network data: nova's user guide on metadata, cloud-init's
"Network configuration sources: network-data".
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, bindparam, or_, select, type_coerce

from gureum.agents.hypervisor.protocol import NicSpec
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.types import Id
from gureum.services.network.floating_ips.model import FloatingIp
from gureum.services.network.networks.model import Network
from gureum.services.network.ports import metadata
from gureum.services.network.ports.model import IpAllocation, Port, PortGroup
from gureum.services.network.security_groups.model import SecurityGroup
from gureum.services.network.server_ports.model import Address
from gureum.services.network.subnets.model import Subnet

_SERVER = bindparam("server_id", type_=Id)
_SERVERS = bindparam("server_ids", type_=Id, expanding=True)
_THEIR_SERVER = type_coerce(Port.server_id, Id)  # of a row that is known to have one

_NICS = (
    select(Port.id, Port.network_id, Port.mac, Port.device_owner, Network.mtu, IpAllocation.ip, Subnet.cidr)
    .join(Network, Network.id == Port.network_id)
    .outerjoin(IpAllocation, IpAllocation.owner_id == Port.id)
    .outerjoin(Subnet, Subnet.id == IpAllocation.subnet_id)
    .where(
        or_(
            Port.server_id == _SERVER,
            and_(
                Port.network_id.in_(select(Port.network_id).where(Port.server_id == _SERVER)),
                Port.device_owner == metadata.OWNER,
            ),
        )
    )
    .order_by(Port.position, Port.created_at, Port.id, IpAllocation.position)
)
_NETWORK_DATA = (
    select(Port.id, Port.network_id, Port.mac, Network.mtu, IpAllocation.ip, Subnet)
    .join(Network, Network.id == Port.network_id)
    .outerjoin(IpAllocation, IpAllocation.owner_id == Port.id)
    .outerjoin(Subnet, Subnet.id == IpAllocation.subnet_id)
    .where(Port.server_id == _SERVER)
    .order_by(Port.position, Port.created_at, Port.id, IpAllocation.position)
)
_UNWIRED = (
    select(Port.id)
    .join(Network, Network.id == Port.network_id)
    .where(Port.server_id == _SERVER, Port.status != "ACTIVE")
    .where(Port.admin_state_up.is_(True), Network.admin_state_up.is_(True))
    .order_by(Port.position)
)
_ADDRESSES = (
    select(_THEIR_SERVER, Port.id, Port.mac, Port.network_id, Network.name, IpAllocation.ip, FloatingIp.ip)
    .join(Network, Network.id == Port.network_id)
    .join(IpAllocation, IpAllocation.owner_id == Port.id)
    .outerjoin(FloatingIp, and_(FloatingIp.port_id == Port.id, FloatingIp.fixed_ip == IpAllocation.ip))
    .where(Port.server_id.in_(_SERVERS))
    .order_by(Port.position, Port.created_at, Port.id, IpAllocation.position)
)
_GROUPS = (
    select(_THEIR_SERVER, SecurityGroup.name)
    .join(PortGroup, PortGroup.port_id == Port.id)
    .join(SecurityGroup, SecurityGroup.id == PortGroup.group_id)
    .where(Port.server_id.in_(_SERVERS))
    .order_by(Port.position, PortGroup.position)
)


def nics(tx: Tx, server_id: str) -> tuple[NicSpec, ...]:
    """The server's interfaces in attach order, each with its network's metadata port."""
    own: dict[str, list[Any]] = {}
    service: dict[str, list[Any]] = defaultdict(list)
    for row in tx.execute(_NICS, {"server_id": server_id}):
        if row.device_owner == metadata.OWNER:
            service[row.network_id].append(row)
        else:
            own.setdefault(row.id, []).append(row)
    return tuple(_nic(rows, service[rows[0].network_id]) for rows in own.values())


def _nic(rows: Sequence[Any], service: Sequence[Any]) -> NicSpec:
    first = rows[0]
    return NicSpec(
        port_id=first.id,
        network_id=first.network_id,
        mac=first.mac,
        mtu=first.mtu,
        fixed_ips=tuple(row.ip for row in rows if row.ip),
        metadata_port_id=service[0].id if service else "",
        metadata_mac=service[0].mac if service else "",
        metadata_addresses=tuple(f"{row.ip}/{ipaddress.ip_network(row.cidr).prefixlen}" for row in service if row.ip),
    )


def network_data(tx: Tx, server_id: str) -> dict[str, Any]:
    """The network_data.json document of a server."""
    links: dict[str, dict[str, Any]] = {}
    networks: list[dict[str, Any]] = []
    services: list[dict[str, str]] = []
    for row in tx.execute(_NETWORK_DATA, {"server_id": server_id}):
        link_id = f"tap{row.id[:11]}"
        links[row.id] = {
            "id": link_id,
            "vif_id": row.id,
            "type": "ovs",
            "mtu": row.mtu,
            "ethernet_mac_address": row.mac,
        }
        if row.ip is None:
            continue
        networks.append(_network_entry(f"network{len(networks)}", link_id, row))
        for server in row.Subnet.dns_servers:
            if {"type": "dns", "address": server} not in services:
                services.append({"type": "dns", "address": server})
    return {"links": list(links.values()), "networks": networks, "services": services}


def _network_entry(name: str, link_id: str, row: Any) -> dict[str, Any]:
    subnet: Subnet = row.Subnet
    entry: dict[str, Any] = {"id": name, "link": link_id, "network_id": row.network_id}
    if subnet.ip_version == 4 and subnet.enable_dhcp:
        return entry | {"type": "ipv4_dhcp"}
    net = ipaddress.ip_network(subnet.cidr)
    kind = f"ipv{subnet.ip_version}"
    if subnet.address_mode is not None:
        kind = f"ipv6_{subnet.address_mode}"
    routes = [_route(destination, hop) for destination, hop in subnet.host_routes]
    if subnet.gateway_ip:
        everything = "0.0.0.0/0" if subnet.ip_version == 4 else "::/0"
        routes.insert(0, _route(everything, subnet.gateway_ip))
    return entry | {
        "type": kind,
        "ip_address": row.ip,
        "netmask": str(net.netmask),
        "routes": routes,
        "services": [{"type": "dns", "address": server} for server in subnet.dns_servers],
    }


def _route(destination: str, hop: str) -> dict[str, str]:
    net = ipaddress.ip_network(destination)
    return {"network": str(net.network_address), "netmask": str(net.netmask), "gateway": hop}


def wired(tx: Tx, server_id: str) -> list[str]:
    """The server's ports that are not up yet; a port that its owner switched off is not waited for."""
    return list(tx.scalars(_UNWIRED, {"server_id": server_id}))


def addresses(tx: Tx, server_ids: Sequence[str]) -> dict[str, list[Address]]:
    """Every server's addresses, floating ones after the fixed one that they lead to."""
    found: defaultdict[str, list[Address]] = defaultdict(list)
    for server_id, port_id, mac, network_id, name, ip, floating in tx.execute(_ADDRESSES, {"server_ids": server_ids}):
        version = 6 if ":" in ip else 4
        found[server_id].append(Address(name, ip, version, mac, "fixed", port_id, network_id))
        if floating is not None:
            found[server_id].append(Address(name, floating, 4, mac, "floating", port_id, network_id))
    return dict(found)


def security_groups(tx: Tx, server_ids: Sequence[str]) -> dict[str, list[str]]:
    """The names of the groups that the servers' ports have, each once."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for server_id, name in tx.execute(_GROUPS, {"server_ids": server_ids}):
        if name not in found[server_id]:
            found[server_id].append(name)
    return dict(found)


def interfaces(tx: Tx, server_id: str) -> list[dict[str, Any]]:
    """The server's interfaces in attach order, in the words of the compute API."""
    statement = (
        select(Port.id, Port.network_id, Port.mac, Port.status, Port.nic_tag, IpAllocation.ip, IpAllocation.subnet_id)
        .outerjoin(IpAllocation, IpAllocation.owner_id == Port.id)
        .where(Port.server_id == server_id)
        .order_by(Port.position, Port.created_at, Port.id, IpAllocation.position)
    )
    found: dict[str, dict[str, Any]] = {}
    for row in tx.execute(statement):
        view = found.setdefault(
            row.id,
            {
                "net_id": row.network_id,
                "port_id": row.id,
                "mac_addr": row.mac,
                "port_state": row.status,
                "fixed_ips": [],
                "tag": row.nic_tag or None,
            },
        )
        if row.ip:
            view["fixed_ips"].append({"subnet_id": row.subnet_id, "ip_address": row.ip})
    return list(found.values())
