"""Routers, their legs and gateways, one transaction each."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import exists, select

from gureum.foundation.db.engine import Tx
from gureum.services.network import errors
from gureum.services.network.context import NetworkContext
from gureum.services.network.floating_ips import ties
from gureum.services.network.floating_ips.model import FloatingIp
from gureum.services.network.networks.model import Network
from gureum.services.network.ports import addresses
from gureum.services.network.ports import operations as ports
from gureum.services.network.ports.addresses import Given, IpWish
from gureum.services.network.ports.model import ROUTER_GATEWAY, ROUTER_LEG, IpAllocation, Port
from gureum.services.network.routers import rules
from gureum.services.network.routers.legs import LegAddress, legs_of
from gureum.services.network.routers.model import Router
from gureum.services.network.standard import touch
from gureum.services.network.subnets.model import Subnet


@dataclass(frozen=True, slots=True)
class GatewayWish:
    """Where a router is to leave: an external network and, optionally, its addresses there."""

    network: Network
    fixed_ips: Sequence[IpWish] | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """A leg as the answers to its making and its removal show it."""

    port_id: str
    network_id: str
    subnet_ids: list[str] = field(default_factory=list)


def add_subnet(tx: Tx, ctx: NetworkContext, router: Router, subnet: Subnet) -> Leg:
    """Give the router a leg in `subnet` at its gateway address. Raises BadRequest, Conflict."""
    if subnet.gateway_ip is None:
        raise errors.invalid("Bad router request: Subnet for router interface must have a gateway IP.", "BadRequest")
    legs = legs_of(tx, router.id)
    _refuse_subnet(router, subnet.id, subnet.cidr, legs)
    if subnet.ip_version == 6:
        shared = _leg_of_ipv6(legs, subnet.network_id)
        if shared is not None:
            addresses.take(tx, shared, Given(subnet.id, subnet.gateway_ip), len(legs))
            touch(tx, ctx.changes, "router", router)
            return Leg(shared, subnet.network_id, [subnet.id])
    leg = ports.NewPort(
        project_id=router.project_id,
        fixed_ips=[IpWish(subnet.id, subnet.gateway_ip)],
        port_security=False,
        device_id=router.id,
        device_owner=ROUTER_LEG,
        status="ACTIVE",
    )
    made = ports.create_port(tx, ctx, subnet.network_id, leg)
    touch(tx, ctx.changes, "router", router)
    return Leg(made.port.id, subnet.network_id, [subnet.id])


def _leg_of_ipv6(legs: Sequence[LegAddress], network_id: str) -> str | None:
    """A leg in the network that has IPv6 addresses only: one more goes there."""
    with_ipv4 = {leg.port_id for leg in legs if ":" not in leg.ip}
    return next((leg.port_id for leg in legs if leg.network_id == network_id and leg.port_id not in with_ipv4), None)


def _refuse_subnet(router: Router, subnet_id: str, cidr: str, legs: Sequence[LegAddress]) -> None:
    if any(leg.subnet_id == subnet_id for leg in legs):
        raise errors.invalid(f"Bad router request: Router already has a port on subnet {subnet_id}.", "BadRequest")
    rules.refuse_overlap(router.id, cidr, [(leg.subnet_id, leg.cidr) for leg in legs])


def add_port(tx: Tx, ctx: NetworkContext, router: Router, port: Port) -> Leg:
    """Make a free port a leg of the router. Raises BadRequest, Conflict."""
    if port.device_id or port.device_owner:
        raise errors.conflict(
            "PortInUse",
            f"Unable to complete operation on port {port.id} for network {port.network_id}. "
            f"Port already has an attached device {port.device_id}.",
        )
    given = addresses.held(tx, [port.id])[port.id]
    if not given:
        raise errors.invalid("Bad router request: A port must have at least one IP to be a router's.", "BadRequest")
    if sum(":" not in one.ip for one in given) > 1:
        raise errors.invalid("Bad router request: Cannot have multiple IPv4 subnets on router port.", "BadRequest")
    legs = legs_of(tx, router.id)
    cidrs = dict(tx.execute(select(Subnet.id, Subnet.cidr).where(Subnet.id.in_([g.subnet_id for g in given]))).all())
    for one in given:
        _refuse_subnet(router, one.subnet_id, cidrs[one.subnet_id], legs)
    port.device_id, port.device_owner, port.status = router.id, ROUTER_LEG, "ACTIVE"
    touch(tx, ctx.changes, "port", port)
    ties.touch_ties(tx, ctx, port.id)
    touch(tx, ctx.changes, "router", router)
    return Leg(port.id, port.network_id, [one.subnet_id for one in given])


def remove_leg(tx: Tx, ctx: NetworkContext, router: Router, port_id: str | None, subnet_id: str | None) -> Leg:
    """Take a leg off, named by port, subnet or both. Raises NotFound, Conflict when routes or floating IPs need it."""
    legs = legs_of(tx, router.id)
    mine = [leg for leg in legs if port_id in (None, leg.port_id) and subnet_id in (None, leg.subnet_id)]
    if not mine:
        _refuse_missing(tx, router, port_id, subnet_id, legs)
    leg_port = mine[0].port_id
    leaving = [leg for leg in legs if leg.port_id == leg_port and (port_id is not None or leg.subnet_id == subnet_id)]
    _refuse_needed(tx, router, leaving)
    if len(leaving) < sum(leg.port_id == leg_port for leg in legs):
        for leg in leaving:
            tx.delete(tx.get_one(IpAllocation, (leg.subnet_id, leg.ip)))
    else:
        ports.delete_ports(tx, ctx, [leg_port])
    touch(tx, ctx.changes, "router", router)
    return Leg(leg_port, mine[0].network_id, [leg.subnet_id for leg in leaving])


def _refuse_missing(
    tx: Tx, router: Router, port_id: str | None, subnet_id: str | None, legs: Sequence[LegAddress]
) -> None:
    if port_id is not None and subnet_id is not None and any(leg.port_id == port_id for leg in legs):
        raise errors.conflict(
            "RouterInterfaceIdMismatch", f"Subnet {subnet_id} does not match the port {port_id} of router {router.id}."
        )
    missing = errors.missing("port", port_id) if port_id is not None else errors.missing("subnet", subnet_id or "")
    if port_id is not None:
        missing.code = "RouterInterfaceNotFound"
        missing.public = f"Router {router.id} does not have an interface with id {port_id}"
    elif tx.scalar(select(Subnet.id).where(Subnet.id == subnet_id, Subnet.project_id == router.project_id)) is not None:
        missing.code = "RouterInterfaceNotFoundForSubnet"
        missing.public = f"Router {router.id} has no interface on subnet {subnet_id}"
    raise missing


def _refuse_needed(tx: Tx, router: Router, leaving: Sequence[LegAddress]) -> None:
    for leg in leaving:
        net = ipaddress.ip_network(leg.cidr)
        if any(ipaddress.ip_address(hop) in net for _, hop in router.routes):
            raise errors.conflict(
                "RouterInterfaceInUseByRoute",
                f"Router interface for subnet {leg.subnet_id} on router {router.id} cannot be deleted, "
                "as it is required by one or more routes.",
            )
        behind = select(FloatingIp.id).join(
            IpAllocation, (IpAllocation.owner_id == FloatingIp.port_id) & (IpAllocation.ip == FloatingIp.fixed_ip)
        )
        used = behind.where(FloatingIp.router_id == router.id, IpAllocation.subnet_id == leg.subnet_id)
        if tx.scalar(used.limit(1)) is not None:
            raise errors.conflict(
                "RouterInterfaceInUseByFloatingIP",
                f"Router interface for subnet {leg.subnet_id} on router {router.id} cannot be deleted, "
                "as it is required by one or more floating IPs.",
            )


def set_gateway(tx: Tx, ctx: NetworkContext, router: Router, wish: GatewayWish) -> None:
    """Let the router leave through `wish.network`. Raises BadRequest for one that is not external, Conflict."""
    network = wish.network
    if not network.external:
        raise errors.invalid(f"Bad router request: Network {network.id} is not an external network.", "BadRequest")
    if router.external_network_id == network.id and router.gateway_port_id is not None:
        if wish.fixed_ips is not None:
            port = tx.get_one(Port, router.gateway_port_id)
            ports.set_addresses(tx, ctx, port, wish.fixed_ips)
            touch(tx, ctx.changes, "port", port)
        return
    clear_gateway(tx, ctx, router)
    _refuse_external_overlap(tx, router, network)
    gateway = ports.NewPort(
        project_id="",
        fixed_ips=wish.fixed_ips,
        port_security=False,
        device_id=router.id,
        device_owner=ROUTER_GATEWAY,
        status="ACTIVE",
    )
    made = ports.create_port(tx, ctx, network.id, gateway)
    router.external_network_id, router.gateway_port_id = network.id, made.port.id


def _refuse_external_overlap(tx: Tx, router: Router, network: Network) -> None:
    outside = [(subnet.id, subnet.cidr) for subnet in addresses.subnets_of(tx, network.id)]
    for leg in legs_of(tx, router.id):
        rules.refuse_overlap(router.id, leg.cidr, outside)


def clear_gateway(tx: Tx, ctx: NetworkContext, router: Router) -> None:
    """The router leaves no more. Raises Conflict while floating IPs go through it."""
    if router.gateway_port_id is None:
        return
    if tx.scalar(select(exists().where(FloatingIp.router_id == router.id))):
        raise errors.conflict(
            "RouterExternalGatewayInUseByFloatingIp",
            f"Gateway cannot be updated for router {router.id}, since a gateway to external network "
            f"{router.external_network_id} is required by one or more floating IPs.",
        )
    ports.delete_ports(tx, ctx, [router.gateway_port_id])
    router.external_network_id = router.gateway_port_id = None


def set_routes(tx: Tx, router: Router, wanted: Sequence[tuple[str, str]]) -> None:
    """Replace the static routes. Raises BadRequest for a next hop out of reach."""
    legs = legs_of(tx, router.id) + legs_of(tx, router.id, ROUTER_GATEWAY)
    router.routes = rules.routes_of(wanted, [leg.cidr for leg in legs], [leg.ip for leg in legs])


def delete_router(tx: Tx, ctx: NetworkContext, router: Router) -> None:
    """Delete a router with its gateway. Raises Conflict while it has legs."""
    if tx.scalar(select(exists().where(Port.device_id == router.id, Port.device_owner == ROUTER_LEG))):
        raise errors.conflict("RouterInUse", f"Router {router.id} still has ports")
    clear_gateway(tx, ctx, router)
    ctx.changes.mark(tx, "router", (router.id,))
    tx.delete(router)
