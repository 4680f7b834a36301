"""What the compute API is told of servers' ports: addresses, groups, interfaces.

Each is one statement for any number of servers, built once: these are the hottest reads of the cloud.
What a host is told stands in `wiring.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import and_, bindparam, select, type_coerce

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared
from gureum.foundation.db.types import Id
from gureum.services.network.floating_ips.model import FloatingIp
from gureum.services.network.networks.model import Network
from gureum.services.network.ports.model import IpAllocation, Port, PortGroup
from gureum.services.network.security_groups.model import SecurityGroup
from gureum.services.network.server_ports.model import Address, Interface

_SERVER = bindparam("server_id", type_=Id)
_SERVERS = bindparam("server_ids", type_=Id, expanding=True)
_THEIR_SERVER = type_coerce(Port.server_id, Id)  # of a row that is known to have one

_ADDRESSES = Prepared(
    select(_THEIR_SERVER, Port.id, Port.mac, Port.network_id, Network.name, IpAllocation.ip, FloatingIp.ip)
    .join(Network, Network.id == Port.network_id)
    .join(IpAllocation, IpAllocation.owner_id == Port.id)
    .outerjoin(FloatingIp, and_(FloatingIp.port_id == Port.id, FloatingIp.fixed_ip == IpAllocation.ip))
    .where(Port.server_id.in_(_SERVERS))
    .order_by(Port.position, Port.created_at, Port.id, IpAllocation.position)
)
_GROUPS = Prepared(
    select(_THEIR_SERVER, SecurityGroup.name)
    .join(PortGroup, PortGroup.port_id == Port.id)
    .join(SecurityGroup, SecurityGroup.id == PortGroup.group_id)
    .where(Port.server_id.in_(_SERVERS))
    .order_by(Port.position, PortGroup.position)
)
_INTERFACES = Prepared(
    select(Port.id, Port.network_id, Port.mac, Port.status, Port.nic_tag, IpAllocation.ip, IpAllocation.subnet_id)
    .outerjoin(IpAllocation, IpAllocation.owner_id == Port.id)
    .where(Port.server_id == _SERVER)
    .order_by(Port.position, Port.created_at, Port.id, IpAllocation.position)
)


def addresses(tx: Tx, server_ids: Sequence[str]) -> dict[str, list[Address]]:
    """Every server's addresses, floating ones after the fixed one that they lead to."""
    found: defaultdict[str, list[Address]] = defaultdict(list)
    for server_id, port_id, mac, network_id, name, ip, floating in _ADDRESSES.all(tx, server_ids=server_ids):
        found[server_id] += addresses_at(port_id, mac, network_id, name, ip, floating)
    return dict(found)


def addresses_at(  # noqa: PLR0917 the columns of a row
    port_id: str, mac: str, network_id: str, network_name: str, ip: str, floating: str | None
) -> list[Address]:
    """A fixed address, and the floating one that leads to it."""
    fixed = Address(network_name, ip, 6 if ":" in ip else 4, mac, "fixed", port_id, network_id)
    if floating is None:
        return [fixed]
    return [fixed, Address(network_name, floating, 4, mac, "floating", port_id, network_id)]


def security_groups(tx: Tx, server_ids: Sequence[str]) -> dict[str, list[str]]:
    """The names of the groups that the servers' ports have, each once."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for server_id, name in _GROUPS.all(tx, server_ids=server_ids):
        if name not in found[server_id]:
            found[server_id].append(name)
    return dict(found)


def interfaces(tx: Tx, server_id: str) -> list[Interface]:
    """The server's interfaces in attach order."""
    by_port: dict[str, Interface] = {}
    for port_id, network_id, mac, status, tag, ip, subnet_id in _INTERFACES.all(tx, server_id=server_id):
        interface = by_port.setdefault(port_id, Interface(port_id, network_id, mac, status, tag or None, []))
        if ip:
            interface.addresses.append((subnet_id, ip))
    return list(by_port.values())
