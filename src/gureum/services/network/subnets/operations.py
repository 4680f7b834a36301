"""Creating, changing and deleting subnets, one transaction each."""

from __future__ import annotations

import ipaddress

from sqlalchemy import delete, select

from gureum.foundation.db.engine import Tx
from gureum.services.network import errors
from gureum.services.network.context import NetworkContext
from gureum.services.network.networks.model import Network
from gureum.services.network.ports import addresses, metadata
from gureum.services.network.ports.model import METADATA, ROUTER_GATEWAY, ROUTER_LEG, IpAllocation, Port
from gureum.services.network.routers.legs import touch_routers
from gureum.services.network.standard import touch
from gureum.services.network.subnets import rules
from gureum.services.network.subnets.model import Subnet


def create_subnet(tx: Tx, ctx: NetworkContext, subnet: Subnet) -> Subnet:
    """Add a subnet whose own attributes are checked. Raises BadRequest when it overlaps with a sibling."""
    net = ipaddress.ip_network(subnet.cidr)
    for sibling in addresses.subnets_of(tx, subnet.network_id):
        if sibling.ip_version == subnet.ip_version and net.overlaps(ipaddress.ip_network(sibling.cidr)):
            raise errors.invalid(
                f"Requested subnet with cidr: {subnet.cidr} for network: {subnet.network_id} "
                "overlaps with another subnet"
            )
    tx.add(subnet)
    tx.flush()
    if wants_metadata(subnet):
        metadata.join(tx, ctx, subnet.project_id, subnet.network_id)
    if rules.is_automatic(subnet.ra_mode, subnet.address_mode):
        _address_all(tx, ctx, subnet)
    else:
        _address_gateways(tx, ctx, subnet)
    ctx.changes.mark(tx, "subnet", (subnet.id,))
    touch_network(tx, ctx, subnet)
    return subnet


def touch_network(tx: Tx, ctx: NetworkContext, subnet: Subnet) -> None:
    """A network's revision rises with its subnets (network API reference, "Resource revision numbers")."""
    touch(tx, ctx.changes, "network", tx.get_one(Network, subnet.network_id))


def _address_gateways(tx: Tx, ctx: NetworkContext, subnet: Subnet) -> None:
    """Routers that leave through the network without an address of this IP version get one."""
    gateways = select(Port).where(Port.network_id == subnet.network_id, Port.device_owner == ROUTER_GATEWAY)
    ranges = [one for one in addresses.subnets_of(tx, subnet.network_id) if one.id == subnet.id]
    for port in tx.scalars(gateways).all():
        held = addresses.held(tx, [port.id])[port.id]
        if any((":" in given.ip) == (subnet.ip_version == 6) for given in held):
            continue
        claim = addresses.Claim(port.id, port.network_id, port.mac)
        if addresses.take_free(tx, ctx, claim, ranges, len(held)) is not None:
            touch(tx, ctx.changes, "port", port)
            touch_routers(tx, ctx, [port.device_id])


def _address_all(tx: Tx, ctx: NetworkContext, subnet: Subnet) -> None:
    """Guests that are there already make themselves an address in a new subnet of an automatic mode."""
    guests = select(Port).where(Port.network_id == subnet.network_id, Port.device_owner.not_like("network:%"))
    for port in tx.scalars(guests).all():
        addresses.hold(tx, port.id, [addresses.automatic(subnet, port.mac)], start=1)
        touch(tx, ctx.changes, "port", port)


def wants_metadata(subnet: Subnet) -> bool:
    return subnet.enable_dhcp


def set_dhcp(tx: Tx, ctx: NetworkContext, subnet: Subnet, enabled: bool) -> None:
    if subnet.enable_dhcp == enabled:
        return
    net = ipaddress.ip_network(subnet.cidr)
    rules.check_dhcp_room(net, dhcp=enabled)
    rules.check_modes(net, subnet.ra_mode, subnet.address_mode, dhcp=enabled)
    if wants_metadata(subnet):
        metadata.leave(tx, ctx, subnet)
    subnet.enable_dhcp = enabled


def set_gateway(tx: Tx, ctx: NetworkContext, subnet: Subnet, wanted: str | None) -> None:
    """Change the gateway. Raises Conflict while a router's leg has the old one."""
    gateway = rules.gateway_of(ipaddress.ip_network(subnet.cidr), wanted)
    if gateway == subnet.gateway_ip:
        return
    if subnet.gateway_ip is not None:
        held = (
            select(Port.id)
            .join(IpAllocation, IpAllocation.owner_id == Port.id)
            .where(IpAllocation.subnet_id == subnet.id, IpAllocation.ip == subnet.gateway_ip)
            .where(Port.device_owner == ROUTER_LEG)
        )
        port_id = tx.scalar(held)
        if port_id is not None:
            raise errors.conflict(
                "GatewayIpInUse",
                f"Current gateway ip {subnet.gateway_ip} already in use by port {port_id}. Unable to update.",
            )
    if gateway is not None:
        rules.refuse_gateway_in(gateway, subnet.pools)
    subnet.gateway_ip = gateway
    touch_gateways(tx, ctx, subnet.id)


def touch_gateways(tx: Tx, ctx: NetworkContext, subnet_id: str) -> None:
    """Routers with a gateway in this subnet learn of its next hop."""
    routers = (
        select(Port.device_id)
        .join(IpAllocation, IpAllocation.owner_id == Port.id)
        .where(IpAllocation.subnet_id == subnet_id, Port.device_owner == ROUTER_GATEWAY)
    )
    touch_routers(tx, ctx, tx.scalars(routers).all())


def delete_subnet(tx: Tx, ctx: NetworkContext, subnet: Subnet) -> None:
    """Delete a subnet; the service port's address goes with it. Raises Conflict while others are allocated."""
    owners = tx.execute(
        select(IpAllocation.owner_id, Port.device_owner)
        .outerjoin(Port, Port.id == IpAllocation.owner_id)
        .where(IpAllocation.subnet_id == subnet.id)
    ).all()
    automatic = rules.is_automatic(subnet.ra_mode, subnet.address_mode)
    for _, device_owner in owners:
        own = device_owner == METADATA
        if not own and not (automatic and device_owner is not None and not device_owner.startswith("network:router")):
            raise errors.conflict(
                "SubnetInUse",
                f"Unable to complete operation on subnet {subnet.id}: "
                "One or more ports have an IP allocation from this subnet.",
            )
    if wants_metadata(subnet):
        metadata.leave(tx, ctx, subnet)
    if automatic and owners:
        for port in tx.scalars(select(Port).where(Port.id.in_([owner for owner, _ in owners]))):
            touch(tx, ctx.changes, "port", port)
        tx.execute(delete(IpAllocation).where(IpAllocation.subnet_id == subnet.id))
    ctx.changes.mark(tx, "subnet", (subnet.id,))
    touch_network(tx, ctx, subnet)
    tx.delete(subnet)
