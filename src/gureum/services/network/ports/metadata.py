"""The network's own service port: the address at which each host answers its guests' metadata requests.

A network has at most one; it comes with the first subnet with DHCP and goes with the last. It holds an address in every
IPv4 subnet of these that has one left; over IPv6 guests reach it by a link-local address, which needs none. It never
stands in the way of deleting a subnet or a network. An owner who deletes it goes without metadata until a subnet of the
network is made or changed.
"""

from __future__ import annotations

from sqlalchemy import delete, select

from gureum.foundation import ids
from gureum.foundation.db.engine import Tx
from gureum.services.network.context import NetworkContext
from gureum.services.network.events import AddressesChanged
from gureum.services.network.ports import addresses, rules
from gureum.services.network.ports.model import METADATA, IpAllocation, Port
from gureum.services.network.standard import touch
from gureum.services.network.subnets.model import Subnet

DEVICE = "ovnmeta-"
"""With the network's id behind it, the `device_id` of its service port."""


def find(tx: Tx, network_id: str) -> Port | None:
    return tx.scalar(select(Port).where(Port.network_id == network_id, Port.device_owner == METADATA))


def join(tx: Tx, ctx: NetworkContext, project_id: str, network_id: str) -> None:
    """Make the network's service port where a subnet wants it; give it an address in each that has one left."""
    port = find(tx, network_id)
    missing = _subnets_without(tx, network_id, None if port is None else port.id)
    if not missing and (port is not None or not _serves_ipv6(tx, network_id)):
        return
    new = port or Port(
        id=ids.new_uuid(),
        project_id=project_id,
        network_id=network_id,
        mac=rules.new_mac(ctx.config.base_mac),
        device_id=f"{DEVICE}{network_id}",
        device_owner=METADATA,
        port_security=False,
    )
    claim = addresses.Claim(new.id, network_id, new.mac)
    ranges = {one.id: one for one in addresses.subnets_of(tx, network_id)}
    joined = [subnet for subnet in missing if addresses.take_free(tx, ctx, claim, [ranges[subnet.id]]) is not None]
    for subnet in joined:
        touch(tx, ctx.changes, "subnet", subnet)
    if joined and port is not None:
        touch(tx, ctx.changes, "port", port)
    elif joined or _serves_ipv6(tx, network_id):
        tx.add(new)
        tx.flush()
        ctx.changes.mark(tx, "port", (new.id,))
        _tell_servers(tx, ctx, network_id)


def _serves_ipv6(tx: Tx, network_id: str, but: str = "") -> bool:
    """Whether an IPv6 subnet with DHCP, other than `but`, wants the port."""
    served = select(Subnet.id).where(Subnet.network_id == network_id, Subnet.ip_version == 6, Subnet.id != but)
    return tx.scalar(served.where(Subnet.enable_dhcp.is_(True)).limit(1)) is not None


def addresses_of(tx: Tx, network_id: str) -> list[str]:
    """The addresses of the network's service port."""
    mine = select(IpAllocation.ip).join(Port, Port.id == IpAllocation.owner_id)
    return list(tx.scalars(mine.where(Port.network_id == network_id, Port.device_owner == METADATA)))


def _subnets_without(tx: Tx, network_id: str, port_id: str | None) -> list[Subnet]:
    """The IPv4 subnets with DHCP in which the port has no address."""
    held = select(IpAllocation.subnet_id).where(IpAllocation.owner_id == port_id)
    served = select(Subnet).where(Subnet.network_id == network_id, Subnet.ip_version == 4, Subnet.enable_dhcp.is_(True))
    return list(tx.scalars(served.where(Subnet.id.not_in(held)).order_by(Subnet.created_at, Subnet.id)))


def _tell_servers(tx: Tx, ctx: NetworkContext, network_id: str) -> None:
    """The hosts of the network's servers learn that its service port came or went."""
    servers = select(Port.server_id).where(Port.network_id == network_id, Port.server_id.isnot(None)).distinct()
    found = [server_id for server_id in tx.scalars(servers) if server_id is not None]
    if found:
        ctx.events.emit(tx, AddressesChanged(tuple(found)))


def leave(tx: Tx, ctx: NetworkContext, subnet: Subnet) -> None:
    """Take the address in `subnet` back; the port goes with the last subnet that wants it."""
    port = find(tx, subnet.network_id)
    if port is None:
        return
    tx.execute(delete(IpAllocation).where(IpAllocation.owner_id == port.id, IpAllocation.subnet_id == subnet.id))
    touch(tx, ctx.changes, "port", port)
    held = tx.scalar(select(IpAllocation.ip).where(IpAllocation.owner_id == port.id).limit(1))
    if held is None and not _serves_ipv6(tx, subnet.network_id, but=subnet.id):
        tx.delete(port)
        _tell_servers(tx, ctx, subnet.network_id)


def withdraw(tx: Tx, ctx: NetworkContext, port: Port) -> None:
    """The port goes at its owner's wish: the subnets that it served no longer lead to it."""
    served = select(IpAllocation.subnet_id).where(IpAllocation.owner_id == port.id)
    for subnet in tx.scalars(select(Subnet).where(Subnet.id.in_(served))).all():
        touch(tx, ctx.changes, "subnet", subnet)
    network_id = port.network_id
    _delete(tx, ctx, port)
    _tell_servers(tx, ctx, network_id)


def remove(tx: Tx, ctx: NetworkContext, network_id: str) -> None:
    """The port and its addresses go, because the network does."""
    port = find(tx, network_id)
    if port is not None:
        _delete(tx, ctx, port)


def _delete(tx: Tx, ctx: NetworkContext, port: Port) -> None:
    addresses.free(tx, [port.id])
    ctx.changes.mark(tx, "port", (port.id,))
    tx.delete(port)
