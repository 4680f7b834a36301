"""The network's own service port: the address at which each host answers its guests' metadata requests.

A network has at most one; it holds an address in every IPv4 subnet with DHCP, comes with the first of these and goes
with the last. It never stands in the way of deleting a subnet or a network.
"""

from __future__ import annotations

from sqlalchemy import delete, select

from gureum.foundation import ids
from gureum.foundation.db.engine import Tx
from gureum.services.network.context import NetworkContext
from gureum.services.network.ports import addresses, rules
from gureum.services.network.ports.model import IpAllocation, Port
from gureum.services.network.standard import touch
from gureum.services.network.subnets.model import Subnet

OWNER = "network:distributed"
DEVICE = "ovnmeta-"
"""With the network's id behind it, the `device_id` of its service port."""


def find(tx: Tx, network_id: str) -> Port | None:
    return tx.scalar(select(Port).where(Port.network_id == network_id, Port.device_owner == OWNER))


def join(tx: Tx, ctx: NetworkContext, project_id: str, subnet: Subnet) -> None:
    """Give the network's service port an address in `subnet`; a subnet without a free one goes without."""
    port = find(tx, subnet.network_id)
    if port is None:
        port = Port(
            id=ids.new_uuid(),
            project_id=project_id,
            network_id=subnet.network_id,
            mac=rules.new_mac(ctx.config.base_mac),
            device_id=f"{DEVICE}{subnet.network_id}",
            device_owner=OWNER,
            port_security=False,
        )
        tx.add(port)
        ctx.changes.mark(tx, "port", (port.id,))
    else:
        touch(tx, ctx.changes, "port", port)
    tx.flush()
    ranges = [one for one in addresses.subnets_of(tx, subnet.network_id) if one.id == subnet.id]
    addresses.take_any(tx, ctx, addresses.Claim(port.id, subnet.network_id, port.mac), ranges)


def leave(tx: Tx, ctx: NetworkContext, subnet: Subnet) -> None:
    """Take the address in `subnet` back; the port goes with its last address."""
    port = find(tx, subnet.network_id)
    if port is None:
        return
    tx.execute(delete(IpAllocation).where(IpAllocation.owner_id == port.id, IpAllocation.subnet_id == subnet.id))
    touch(tx, ctx.changes, "port", port)
    if tx.scalar(select(IpAllocation.ip).where(IpAllocation.owner_id == port.id).limit(1)) is None:
        tx.delete(port)


def remove(tx: Tx, ctx: NetworkContext, network_id: str) -> None:
    """The port and its addresses go, because the network does."""
    port = find(tx, network_id)
    if port is not None:
        addresses.free(tx, [port.id])
        ctx.changes.mark(tx, "port", (port.id,))
        tx.delete(port)
