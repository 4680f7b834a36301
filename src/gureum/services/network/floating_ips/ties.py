"""The ties between floating IPs and the ports that they lead to, as ports see them: kept, let go, told of.

Taking addresses and making ties is in `operations.py`, which makes ports itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared
from gureum.services.network import errors
from gureum.services.network.context import NetworkContext
from gureum.services.network.events import AddressesChanged
from gureum.services.network.floating_ips.model import FloatingIp
from gureum.services.network.ports.model import Port
from gureum.services.network.standard import touch


def tell(tx: Tx, ctx: NetworkContext, port_id: str | None) -> None:
    """The guest behind the port learns its floating addresses from its metadata."""
    server_id = tx.scalar(select(Port.server_id).where(Port.id == port_id))
    if server_id is not None:
        ctx.events.emit(tx, AddressesChanged((server_id,)))


def untie(tx: Tx, ctx: NetworkContext, floating: FloatingIp) -> None:
    """The address leads nowhere from now on."""
    floating.port_id = floating.fixed_ip = floating.router_id = None
    floating.status = "DOWN"
    ctx.changes.mark(tx, "floating_ip", (floating.id,))


def refuse_loss(tx: Tx, port_id: str, fixed_ips: Sequence[str]) -> None:
    """Raises Conflict when a floating IP leads to one of these addresses of the port, which are to go."""
    if not fixed_ips:
        return
    mine = select(FloatingIp).where(FloatingIp.port_id == port_id, FloatingIp.fixed_ip.in_(fixed_ips))
    floating = tx.scalar(mine.limit(1))
    if floating is not None:
        raise errors.conflict(
            "PortInUse",
            f"Cannot update the fixed_ips of port {port_id}: floating IP {floating.ip} ({floating.id}) "
            f"leads to {floating.fixed_ip}. Disassociate it first.",
        )


def let_go_of_ports(tx: Tx, ctx: NetworkContext, port_ids: Sequence[str]) -> None:
    """Whole ports go; whoever takes them from a server tells it."""
    if _TIED.first(tx, ports=port_ids) is None:
        return
    for floating in tx.scalars(select(FloatingIp).where(FloatingIp.port_id.in_(port_ids))).all():
        untie(tx, ctx, floating)
        touch(tx, ctx.changes, "floating_ip", floating)


_TIED = Prepared(select(FloatingIp.id).where(FloatingIp.port_id.in_(bindparam("ports", expanding=True))).limit(1))


def touch_ties(tx: Tx, ctx: NetworkContext, port_id: str) -> None:
    """What the engine should hold of the floating IPs that lead to a port changes with the port."""
    for floating in tx.scalars(select(FloatingIp).where(FloatingIp.port_id == port_id)).all():
        touch(tx, ctx.changes, "floating_ip", floating)
