"""What a server's host and guest are told of its ports: interfaces, network data, addresses; and which are not up.

One statement for all of it, built once. Source for network data: nova's user guide on metadata, cloud-init's
"Network configuration sources: network-data".
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import and_, bindparam, literal, or_, select

from gureum.agents.hypervisor.protocol import NicSpec
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared
from gureum.foundation.db.types import Id
from gureum.foundation.http.views import JsonValue
from gureum.services.network.floating_ips.model import FloatingIp
from gureum.services.network.networks.model import Network
from gureum.services.network.ports import metadata
from gureum.services.network.ports.model import METADATA, IpAllocation, Port
from gureum.services.network.server_ports.model import Wiring
from gureum.services.network.server_ports.views import addresses_at
from gureum.services.network.subnets.model import Subnet
from gureum.services.network.subnets.rules import resolvers_of

_SERVER = bindparam("server_id", type_=Id)
_SERVICE_DEVICES = select(literal(metadata.DEVICE).concat(Port.network_id)).where(Port.server_id == _SERVER)


class WiredAddress(Struct, frozen=True, gc=False):
    """An address of a port of the server, or of a metadata port of its networks, with all that is told of it.

    A port without an address has one without: then what is of the subnet is None.
    """

    id: str
    network_id: str
    mac: str
    server_id: str | None
    down: bool
    mtu: int
    name: str
    ip: str | None
    cidr: str
    ip_version: int
    gateway_ip: str | None
    enable_dhcp: bool
    dns_servers: list[str]
    host_routes: list[tuple[str, str]]
    address_mode: str | None
    floating_ip: str | None


_PORTS = Prepared(
    select(
        Port.id,
        Port.network_id,
        Port.mac,
        Port.server_id,
        and_(Port.status != "ACTIVE", Port.admin_state_up.is_(True), Network.admin_state_up.is_(True)).label("down"),
        Network.mtu,
        Network.name,
        IpAllocation.ip,
        Subnet.cidr,
        Subnet.ip_version,
        Subnet.gateway_ip,
        Subnet.enable_dhcp,
        Subnet.dns_servers,
        Subnet.host_routes,
        Subnet.address_mode,
        FloatingIp.ip.label("floating_ip"),
    )
    .join(Network, Network.id == Port.network_id)
    .outerjoin(IpAllocation, IpAllocation.owner_id == Port.id)
    .outerjoin(Subnet, Subnet.id == IpAllocation.subnet_id)
    .outerjoin(FloatingIp, and_(FloatingIp.port_id == Port.id, FloatingIp.fixed_ip == IpAllocation.ip))
    .where(
        or_(
            Port.server_id == _SERVER,
            and_(Port.device_id.in_(_SERVICE_DEVICES), Port.device_owner == METADATA),
        )
    )
    .order_by(Port.position, Port.created_at, Port.id, IpAllocation.position),
    WiredAddress,
)
"""A row for each address of the server's ports, and of the metadata ports of their networks."""


def wiring(tx: Tx, server_id: str, dns_servers: Sequence[str] = ()) -> Wiring:
    """Everything that the host of a server needs to know of its ports, in attach order.

    `dns_servers` are the cloud's, for subnets without any.
    """
    own: dict[str, list[WiredAddress]] = {}
    service: dict[str, list[WiredAddress]] = defaultdict(list)
    for row in _PORTS.all(tx, server_id=server_id):
        if row.server_id == server_id:
            own.setdefault(row.id, []).append(row)
        else:
            service[row.network_id].append(row)
    rows = [row for port in own.values() for row in port]
    return Wiring(
        nics=tuple(_nic(port, service[port[0].network_id]) for port in own.values()),
        network_data=_network_data(rows, dns_servers),
        addresses=[
            address
            for row in rows
            if row.ip
            for address in addresses_at(row.id, row.mac, row.network_id, row.name, row.ip, row.floating_ip)
        ],
        down=[port_id for port_id, port in own.items() if port[0].down],
    )


def _nic(rows: Sequence[WiredAddress], service: Sequence[WiredAddress]) -> NicSpec:
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


def _network_data(rows: Sequence[WiredAddress], dns_servers: Sequence[str]) -> dict[str, JsonValue]:
    """The network_data.json document."""
    links: dict[str, dict[str, JsonValue]] = {}
    networks: list[dict[str, JsonValue]] = []
    services: list[dict[str, str]] = []
    for row in rows:
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
        named = [{"type": "dns", "address": server} for server in resolvers_of(row.dns_servers, dns_servers)]
        networks.append(_network_entry(f"network{len(networks)}", link_id, row, named))
        services += [service for service in named if service not in services]
    return {"links": list(links.values()), "networks": networks, "services": services}


def _network_entry(name: str, link_id: str, row: WiredAddress, services: list[dict[str, str]]) -> dict[str, JsonValue]:
    entry: dict[str, JsonValue] = {"id": name, "link": link_id, "network_id": row.network_id}
    if row.ip_version == 4 and row.enable_dhcp:
        return entry | {"type": "ipv4_dhcp"}
    net = ipaddress.ip_network(row.cidr)
    kind = f"ipv{row.ip_version}"
    if row.address_mode is not None:
        kind = f"ipv6_{row.address_mode}"
    routes = [_route(destination, hop) for destination, hop in row.host_routes]
    if row.gateway_ip:
        everything = "0.0.0.0/0" if row.ip_version == 4 else "::/0"
        routes.insert(0, _route(everything, row.gateway_ip))
    return entry | {
        "type": kind,
        "ip_address": row.ip,
        "netmask": str(net.netmask),
        "routes": routes,
        "services": services,
    }


def _route(destination: str, hop: str) -> dict[str, str]:
    net = ipaddress.ip_network(destination)
    return {"network": str(net.network_address), "netmask": str(net.netmask), "gateway": hop}
