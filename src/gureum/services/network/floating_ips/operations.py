"""Floating IPs: taking an external address, tying it to a port's fixed address, letting go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select, union_all

from gureum.foundation import ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared
from gureum.services.network import errors
from gureum.services.network.context import NetworkContext
from gureum.services.network.floating_ips.model import FloatingIp
from gureum.services.network.networks.model import Network
from gureum.services.network.ports import addresses, rules
from gureum.services.network.ports.addresses import IpWish
from gureum.services.network.ports.model import ROUTER_LEG, IpAllocation, Port
from gureum.services.network.routers.model import Router
from gureum.services.network.standard import touch


@dataclass(frozen=True, slots=True)
class Target:
    """What a floating IP is to lead to; `fixed_ip` None means the port's only IPv4 address."""

    port: Port
    fixed_ip: str | None = None


def create_floating_ip(tx: Tx, ctx: NetworkContext, floating: FloatingIp, network: Network, wish: IpWish) -> FloatingIp:
    """Take an address of the external `network` for `floating`. Raises BadRequest, Conflict."""
    if not network.external:
        raise errors.invalid(
            f"Bad floatingip request: Network {network.id} is not a valid external network.", "BadRequest"
        )
    subnets = [subnet for subnet in addresses.subnets_of(tx, network.id) if subnet.ip_version == 4]
    if not subnets:
        raise errors.invalid(
            f"Bad floatingip request: Network {network.id} does not contain any IPv4 subnet.", "BadRequest"
        )
    floating.id, floating.network_id, floating.mac = ids.new_uuid(), network.id, _free_mac(tx, ctx, network.id)
    claim = addresses.Claim(floating.id, network.id, floating.mac)
    floating.ip = addresses.allocate(tx, ctx, claim, subnets, [wish])[0].ip
    tx.add(floating)
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
        _tell(tx, ctx, floating.port_id)
    floating.port_id, floating.fixed_ip, floating.router_id = port.id, fixed.ip, router_id
    floating.status = "ACTIVE"
    ctx.changes.mark(tx, "port", (port.id,))
    ctx.changes.mark(tx, "floating_ip", (floating.id,))
    _tell(tx, ctx, port.id)


def _tell(tx: Tx, ctx: NetworkContext, port_id: str | None) -> None:
    """The guest behind the port learns its floating addresses from its metadata."""
    server_id = tx.scalar(select(Port.server_id).where(Port.id == port_id))
    if server_id is not None:
        ctx.listener.addresses(tx, [server_id])


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
        _tell(tx, ctx, floating.port_id)
        _untie(tx, ctx, floating)


def _untie(tx: Tx, ctx: NetworkContext, floating: FloatingIp) -> None:
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
        _untie(tx, ctx, floating)
        touch(tx, ctx.changes, "floating_ip", floating)


_TIED = Prepared(select(FloatingIp.id).where(FloatingIp.port_id.in_(bindparam("ports", expanding=True))).limit(1))


def delete_floating_ip(tx: Tx, ctx: NetworkContext, floating: FloatingIp) -> None:
    """The address is free again."""
    if floating.port_id is not None:
        _tell(tx, ctx, floating.port_id)
    addresses.free(tx, [floating.id])
    ctx.changes.mark(tx, "floating_ip", (floating.id,))
    tx.delete(floating)


def _free_mac(tx: Tx, ctx: NetworkContext, network_id: str) -> str:
    """One that neither a floating IP nor a port of the network has: all of them are on one wire."""
    while True:
        mac = rules.new_mac(ctx.config.base_mac)
        floating = select(FloatingIp.id).where(FloatingIp.network_id == network_id, FloatingIp.mac == mac)
        port = select(Port.id).where(Port.network_id == network_id, Port.mac == mac)
        if tx.scalar(union_all(floating, port).limit(1)) is None:
            return mac
