"""What the network holds of a project: counted and deleted for one that is no more.

From the outside in: floating IPs, routers, ports, subnets, networks, security groups. What somebody else uses (a port
on a shared network) stays, and with it what it stands on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import func, select

from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import Conflict
from gureum.foundation.leftovers.projects import ProjectResources
from gureum.services.network.context import NetworkContext
from gureum.services.network.floating_ips import operations as floating_ips
from gureum.services.network.floating_ips.model import FloatingIp
from gureum.services.network.networks import operations as networks
from gureum.services.network.networks.model import Network
from gureum.services.network.ports import operations as ports
from gureum.services.network.ports.model import CLOUD_OWNED, METADATA, Port
from gureum.services.network.routers import operations as routers
from gureum.services.network.routers.legs import legs_of
from gureum.services.network.routers.model import Router
from gureum.services.network.security_groups import operations as security_groups
from gureum.services.network.security_groups.model import SecurityGroup
from gureum.services.network.standard import Standard, touch
from gureum.services.network.subnets import operations as subnets
from gureum.services.network.subnets.model import Subnet

S = TypeVar("S", bound=Standard)
AT_ONCE = 100
_KINDS: dict[str, type[Standard]] = {
    "floating IPs": FloatingIp,
    "routers": Router,
    "ports": Port,
    "subnets": Subnet,
    "networks": Network,
    "security groups": SecurityGroup,
}


def resources(ctx: NetworkContext) -> ProjectResources:
    """For the network's manifest."""
    return ProjectResources(count, lambda tx, project_id: clean(ctx, tx, project_id))


def count(tx: Tx, project_id: str) -> Mapping[str, int]:
    """The cloud's own ports in a network come and go with it and do not count."""
    found = {}
    for kind, model in _KINDS.items():
        theirs = select(func.count()).select_from(model).where(model.project_id == project_id)
        if model is Port:
            theirs = theirs.where(Port.device_owner != METADATA)
        found[kind] = tx.scalar(theirs) or 0
    return {kind: number for kind, number in found.items() if number}


def clean(ctx: NetworkContext, tx: Tx, project_id: str) -> None:
    """As much as goes now, at most some hundred of each kind."""
    for floating in _some(tx, FloatingIp, project_id):
        floating_ips.delete_floating_ip(tx, ctx, floating)
    for router in _some(tx, Router, project_id):
        _delete_router(ctx, tx, router)
    for port in _some(tx, Port, project_id):
        if port.server_id is None and port.device_owner not in CLOUD_OWNED:
            ports.delete_port(tx, ctx, port)
    tx.flush()
    for network in _some(tx, Network, project_id):
        with _unless_used():
            networks.delete_network(tx, ctx, network)
    tx.flush()
    for subnet in _some(tx, Subnet, project_id):
        with _unless_used():
            subnets.delete_subnet(tx, ctx, subnet)
    for group in _some(tx, SecurityGroup, project_id):
        with _unless_used():
            security_groups.delete_group(tx, ctx, group, force_default=True)


def _delete_router(ctx: NetworkContext, tx: Tx, router: Router) -> None:
    """With its legs and routes; floating IPs of other projects that lead through it lead nowhere."""
    for floating in tx.scalars(select(FloatingIp).where(FloatingIp.router_id == router.id)).all():
        floating_ips.dissociate(tx, ctx, floating)
        touch(tx, ctx.changes, "floating_ip", floating)
    router.routes = []
    tx.flush()
    for port_id in {leg.port_id for leg in legs_of(tx, router.id)}:
        routers.remove_leg(tx, ctx, router, port_id, None)
    tx.flush()
    routers.delete_router(tx, ctx, router)
    tx.flush()


def _some(tx: Tx, model: type[S], project_id: str) -> Sequence[S]:
    theirs = select(model).where(model.project_id == project_id)
    return tx.scalars(theirs.order_by(model.id).limit(AT_ONCE)).all()


@contextmanager
def _unless_used() -> Iterator[None]:
    """What is in use stays. The operations within refuse before they write."""
    try:
        yield
    except Conflict:
        return
