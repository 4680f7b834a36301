"""Floating IPs: taking an external address, tying it to a port's fixed address, letting go."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.db.engine import Tx
from gureum.services.network import errors
from gureum.services.network.context import NetworkContext
from gureum.services.network.events import FloatingIpCreated, FloatingIpDeleted
from gureum.services.network.floating_ips import ties
from gureum.services.network.floating_ips.model import FloatingIp
from gureum.services.network.networks.model import Network
from gureum.services.network.ports import addresses
from gureum.services.network.ports import operations as ports
from gureum.services.network.ports.addresses import IpWish
from gureum.services.network.ports.model import FLOATING, ROUTER_LEG, IpAllocation, Port
from gureum.services.network.routers.model import Router


@dataclass(frozen=True, slots=True)
class Target:
    """What a floating IP is to lead to; `fixed_ip` None means the port's only IPv4 address."""

    port: Port
    fixed_ip: str | None = None


def create_floating_ip(tx: Tx, ctx: NetworkContext, floating: FloatingIp, network: Network, wish: IpWish) -> FloatingIp:
    """Take an address of the external `network` for `floating`, by a port of its own. Raises BadRequest, Conflict."""
    if not network.external:
        raise errors.invalid(
            f"Bad floatingip request: Network {network.id} is not a valid external network.", "BadRequest"
        )
    subnets = [subnet for subnet in addresses.subnets_of(tx, network.id) if subnet.ip_version == 4]
    if not subnets:
        raise errors.invalid(
            f"Bad floatingip request: Network {network.id} does not contain any IPv4 subnet.", "BadRequest"
        )
    floating.id, floating.network_id = ids.new_uuid(), network.id
    new = ports.NewPort(
        project_id="",
        fixed_ips=[wish],
        port_security=False,
        device_id=floating.id,
        device_owner=FLOATING,
        status="N/A",
        announced=False,
    )
    made = ports.create_port(tx, ctx, network.id, new, subnets)
    floating.own_port_id, floating.ip = made.port.id, made.given[0].ip
    tx.add(floating)
    ctx.events.emit(tx, FloatingIpCreated(floating.id, floating.project_id, network.id, floating.ip))
    return floating


def associate(tx: Tx, ctx: NetworkContext, floating: FloatingIp, target: Target) -> None:
    """Tie the floating IP to a port. Raises BadRequest, NotFound (no router leads there), Conflict (port has one)."""
    port = target.port
    given = [one for one in addresses.held(tx, [port.id])[port.id] if ":" not in one.ip]
    if target.fixed_ip is not None:
        given = [one for one in given if one.ip == target.fixed_ip]
    if not given:
        what = f"fixed IP {target.fixed_ip}" if target.fixed_ip else "any fixed IPv4 address"
        raise errors.invalid(f"Bad floatingip request: Port {port.id} does not have {what}.", "BadRequest")
    if len(given) > 1:
        raise errors.invalid(
            f"Bad floatingip request: Port {port.id} has multiple fixed IPv4 addresses. Must provide a specific one.",
            "BadRequest",
        )
    fixed = given[0]
    taken = select(FloatingIp).where(FloatingIp.port_id == port.id, FloatingIp.fixed_ip == fixed.ip)
    other = tx.scalar(taken.where(FloatingIp.id != floating.id))
    if other is not None:
        raise errors.conflict(
            "FloatingIPPortAlreadyAssociated",
            f"Cannot associate floating IP {floating.ip} ({floating.id}) with port {port.id}: "
            f"its fixed IP {fixed.ip} already has a floating IP on external network {floating.network_id}.",
        )
    router_id = _router_between(tx, fixed.subnet_id, floating.network_id)
    if router_id is None:
        raise _no_gateway(floating, port, fixed.subnet_id)
    if floating.port_id not in (None, port.id):
        ties.tell(tx, ctx, floating.port_id)
    floating.port_id, floating.fixed_ip, floating.router_id = port.id, fixed.ip, router_id
    floating.status = "ACTIVE"
    ctx.changes.mark(tx, "port", (port.id,))
    ctx.changes.mark(tx, "floating_ip", (floating.id,))
    ties.tell(tx, ctx, port.id)


def _no_gateway(floating: FloatingIp, port: Port, subnet_id: str) -> Exception:
    missing = errors.missing("router", "")
    missing.code = "ExternalGatewayForFloatingIPNotFound"
    missing.public = (
        f"External network {floating.network_id} is not reachable from subnet {subnet_id}. "
        f"Therefore, cannot associate Port {port.id} with a Floating IP."
    )
    return missing


def _router_between(tx: Tx, subnet_id: str, external_network_id: str) -> str | None:
    """The oldest router with a leg in the subnet and a gateway in the external network."""
    found = (
        select(Router.id)
        .join(Port, Port.device_id == Router.id)
        .join(IpAllocation, IpAllocation.owner_id == Port.id)
        .where(Port.device_owner == ROUTER_LEG, IpAllocation.subnet_id == subnet_id)
        .where(Router.external_network_id == external_network_id)
        .order_by(Router.created_at, Router.id)
        .limit(1)
    )
    return tx.scalar(found)


def dissociate(tx: Tx, ctx: NetworkContext, floating: FloatingIp) -> None:
    """The address stays, leading nowhere."""
    if floating.port_id is not None:
        ties.tell(tx, ctx, floating.port_id)
        ties.untie(tx, ctx, floating)


def delete_floating_ip(tx: Tx, ctx: NetworkContext, floating: FloatingIp) -> None:
    """The address is free again."""
    if floating.port_id is not None:
        ties.tell(tx, ctx, floating.port_id)
    ports.delete_ports(tx, ctx, [floating.own_port_id])
    ctx.changes.mark(tx, "floating_ip", (floating.id,))
    ctx.events.emit(tx, FloatingIpDeleted(floating.id, floating.project_id, floating.network_id, floating.ip))
    tx.delete(floating)
