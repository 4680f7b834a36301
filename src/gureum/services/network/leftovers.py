"""What the network holds of a project: counted and deleted for one that is no more.

From the outside in: floating IPs, routers, ports, networks, subnets, security groups. What another project uses stays:
a network with its port or floating IP, a router that leads its floating IP or is in a network with its port, a security
group that its rule names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy.orm import aliased

from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import Conflict
from gureum.foundation.leftovers.projects import ProjectResources
from gureum.services.network.context import NetworkContext
from gureum.services.network.floating_ips import operations as floating_ips
from gureum.services.network.floating_ips.model import FloatingIp
from gureum.services.network.networks import operations as networks
from gureum.services.network.networks.model import Network
from gureum.services.network.ports import operations as ports
from gureum.services.network.ports.model import (
    CLOUD_OWNED,
    FLOATING,
    METADATA,
    ROUTER_LEG,
    IpAllocation,
    Port,
    PortGroup,
)
from gureum.services.network.routers import operations as routers
from gureum.services.network.routers.legs import legs_of
from gureum.services.network.routers.model import Router
from gureum.services.network.security_groups import operations as security_groups
from gureum.services.network.security_groups.model import SecurityGroup, SecurityGroupRule
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
    """As much as goes now without taking anything from another project, at most `AT_ONCE` of each kind."""
    for floating in _some(tx, FloatingIp, project_id):
        floating_ips.delete_floating_ip(tx, ctx, floating)
    tx.flush()
    for router in _some(tx, Router, project_id, ~_leads_others_addresses(), ~_serves_others()):
        _delete_router(ctx, tx, router)
    for port in _some(tx, Port, project_id, Port.server_id.is_(None), Port.device_owner.not_in(CLOUD_OWNED)):
        ports.delete_port(tx, ctx, port)
    tx.flush()
    for network in _some(tx, Network, project_id, ~_has_ports_or_addresses()):
        with _unless_used():
            networks.delete_network(tx, ctx, network)
    tx.flush()
    for subnet in _some(tx, Subnet, project_id, ~_has_allocations()):
        with _unless_used():
            subnets.delete_subnet(tx, ctx, subnet)
    for group in _some(tx, SecurityGroup, project_id, ~_has_members(), ~_is_named_by_others()):
        with _unless_used():
            security_groups.delete_group(tx, ctx, group, force_default=True)


def _leads_others_addresses() -> ColumnElement[bool]:
    """Of a router: a floating IP of another project leads through it."""
    return exists().where(FloatingIp.router_id == Router.id, FloatingIp.project_id != Router.project_id)


def _serves_others() -> ColumnElement[bool]:
    """Of a router: a port of another project is in a network with a leg of the router, and may go out through it."""
    leg, other = aliased(Port), aliased(Port)
    return exists().where(
        leg.device_id == Router.id,
        leg.device_owner == ROUTER_LEG,
        other.network_id == leg.network_id,
        other.project_id != Router.project_id,
        other.device_owner.not_in(CLOUD_OWNED),
    )


def _has_ports_or_addresses() -> ColumnElement[bool]:
    """Of a network: a port, or a floating IP. Deleting a network deletes the floating IPs in it, whoever has them."""
    port = exists().where(Port.network_id == Network.id, Port.device_owner.not_in((METADATA, FLOATING)))
    return port | exists().where(FloatingIp.network_id == Network.id)


def _has_allocations() -> ColumnElement[bool]:
    """Of a subnet: a port other than the cloud's own has an address in it."""
    own = select(Port.id).where(Port.network_id == Subnet.network_id, Port.device_owner == METADATA)
    return exists().where(IpAllocation.subnet_id == Subnet.id, IpAllocation.owner_id.not_in(own))


def _has_members() -> ColumnElement[bool]:
    return exists().where(PortGroup.group_id == SecurityGroup.id)


def _is_named_by_others() -> ColumnElement[bool]:
    """Of a security group: a rule in a group of another project allows its members."""
    other = aliased(SecurityGroup)
    naming = (SecurityGroupRule.group_id == other.id, SecurityGroupRule.remote_group_id == SecurityGroup.id)
    return exists().where(*naming, other.project_id != SecurityGroup.project_id)


def _delete_router(ctx: NetworkContext, tx: Tx, router: Router) -> None:
    """With its legs and routes; the project's floating IPs that lead through it, if some are left, lead nowhere."""
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


def _some(tx: Tx, model: type[S], project_id: str, *where: ColumnElement[bool]) -> Sequence[S]:
    """Conditions are in the statement: rows that stay do not fill the limit and hide those that can go."""
    theirs = select(model).where(model.project_id == project_id, *where)
    return tx.scalars(theirs.order_by(model.id).limit(AT_ONCE)).all()


@contextmanager
def _unless_used() -> Iterator[None]:
    """What is in use stays. The operations within refuse before they write."""
    try:
        yield
    except Conflict:
        return
