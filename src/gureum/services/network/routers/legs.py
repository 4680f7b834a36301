"""A router's legs as rows: which subnets it is in, and telling it that one of them changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select

from gureum.foundation.db.engine import Tx
from gureum.services.network import errors
from gureum.services.network.context import NetworkContext
from gureum.services.network.ports.model import ROUTER_GATEWAY, ROUTER_LEG, IpAllocation, Port
from gureum.services.network.routers.model import Router
from gureum.services.network.standard import touch
from gureum.services.network.subnets.model import Subnet


@dataclass(frozen=True, slots=True)
class LegAddress:
    """An address of a leg and the subnet that it is in."""

    port_id: str
    network_id: str
    subnet_id: str
    ip: str
    cidr: str


def touch_routers(tx: Tx, ctx: NetworkContext, router_ids: Iterable[str]) -> None:
    """What the engine should know of these routers changes, though their own rows do not."""
    wanted = sorted(set(router_ids))
    if wanted:
        for router in tx.scalars(select(Router).where(Router.id.in_(wanted))).all():
            touch(tx, ctx.changes, "router", router)


def touch_router_of(tx: Tx, ctx: NetworkContext, port: Port) -> None:
    """The router that `port` is a leg of, if it is one."""
    if port.device_owner in (ROUTER_LEG, ROUTER_GATEWAY):
        touch_routers(tx, ctx, [port.device_id])


def refuse_own_hops(tx: Tx, router_id: str) -> None:
    """Raises BadRequest when a route of the router goes to an address that is now the router's own."""
    own = {leg.ip for owner in (ROUTER_LEG, ROUTER_GATEWAY) for leg in legs_of(tx, router_id, owner)}
    for _, hop in tx.get_one(Router, router_id).routes:
        if hop in own:
            raise errors.invalid(f"Invalid format for routes: the nexthop {hop} is used by router.", "InvalidRoutes")


def legs_of(tx: Tx, router_id: str, owner: str = ROUTER_LEG) -> list[LegAddress]:
    """Every address of the router's legs (or of its gateway), one statement."""
    found = (
        select(Port.id, Port.network_id, Subnet.id, IpAllocation.ip, Subnet.cidr)
        .join(IpAllocation, IpAllocation.owner_id == Port.id)
        .join(Subnet, Subnet.id == IpAllocation.subnet_id)
        .where(Port.device_id == router_id, Port.device_owner == owner)
        .order_by(Port.created_at, Port.id, IpAllocation.position)
    )
    return [LegAddress(*row) for row in tx.execute(found)]
