"""Creating, changing and deleting networks, one transaction each."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, exists, select, update

from gureum.foundation.db.engine import Tx
from gureum.services.network import errors
from gureum.services.network.context import NetworkContext
from gureum.services.network.events import FloatingIpDeleted, NetworkCreated, NetworkDeleted
from gureum.services.network.floating_ips.model import FloatingIp
from gureum.services.network.networks import rules
from gureum.services.network.networks.model import OVERLAY, Network
from gureum.services.network.ports import metadata
from gureum.services.network.ports.model import FLOATING, METADATA, IpAllocation, Port
from gureum.services.network.routers.legs import touch_routers
from gureum.services.network.standard import touch
from gureum.services.network.subnets.model import Subnet


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a network's frames go: nowhere outside (overlay), or a physical network, tagged or not."""

    kind: str = OVERLAY
    physical: str | None = None
    vlan: int | None = None


def largest_mtu(ctx: NetworkContext, provider: Provider) -> int:
    return ctx.config.mtu if provider.kind == OVERLAY else ctx.config.external_mtu


def create_network(tx: Tx, ctx: NetworkContext, network: Network, provider: Provider, mtu: int | None) -> Network:
    """Add `network` with its place and size."""
    if provider.physical is not None:
        _refuse_taken(tx, provider)
    network.network_type, network.physical_network, network.vlan = provider.kind, provider.physical, provider.vlan
    network.mtu = rules.mtu_of(mtu, largest_mtu(ctx, provider))
    tx.add(network)
    tx.flush()
    ctx.changes.mark(tx, "network", (network.id,))
    ctx.events.emit(tx, NetworkCreated(network.id, network.project_id))
    return network


def _refuse_taken(tx: Tx, provider: Provider) -> None:
    taken = select(Network.id).where(Network.physical_network == provider.physical)
    if provider.kind == "vlan":
        if tx.scalar(taken.where(Network.vlan == provider.vlan)):
            where = f"VLAN {provider.vlan} on physical network {provider.physical}"
            raise errors.conflict("VlanIdInUse", f"Unable to create the network. {where} is in use.")
    elif tx.scalar(taken.where(Network.network_type == "flat")):
        raise errors.conflict(
            "FlatNetworkInUse", f"Unable to create the flat network. Physical network {provider.physical} is in use."
        )


def set_mtu(tx: Tx, ctx: NetworkContext, network: Network, mtu: int | None) -> None:
    """Change the MTU; what tells guests and routers about it changes too."""
    wanted = rules.mtu_of(mtu, largest_mtu(ctx, Provider(network.network_type)))
    if wanted == network.mtu:
        return
    network.mtu = wanted
    for subnet in tx.scalars(select(Subnet).where(Subnet.network_id == network.id)):
        rules.check_mtu(wanted, subnet.ip_version)
        touch(tx, ctx.changes, "subnet", subnet)
    legs = select(Port.device_id).where(Port.network_id == network.id, Port.device_owner == "network:router_interface")
    touch_routers(tx, ctx, tx.scalars(legs).all())


def set_admin_state(tx: Tx, ctx: NetworkContext, network: Network, up: bool) -> None:
    """Switch a network, and with it all of its ports."""
    if network.admin_state_up == up:
        return
    network.admin_state_up = up
    ids = tx.scalars(
        update(Port).where(Port.network_id == network.id).values(revision=Port.revision + 1).returning(Port.id),
        execution_options={"synchronize_session": False},
    ).all()
    ctx.changes.mark(tx, "port", ids)


def set_external(tx: Tx, network: Network, external: bool) -> None:
    """Raises Conflict while gateways or floating IPs live on a network that is to be external no more."""
    if network.external and not external:
        gateway = exists().where(Port.network_id == network.id, Port.device_owner == "network:router_gateway")
        floating = exists().where(FloatingIp.network_id == network.id)
        if tx.scalar(select(gateway | floating)):
            raise errors.conflict(
                "ExternalNetworkInUse",
                f"External network {network.id} cannot be updated to be made non-external, "
                "since it has existing gateway ports.",
            )
    network.external = external


def set_shared(tx: Tx, network: Network, shared: bool) -> None:
    """Raises Conflict while other projects have ports on a network that is to be shared no more."""
    if network.shared and not shared:
        others = exists().where(
            Port.network_id == network.id, Port.project_id != network.project_id, Port.project_id != ""
        )
        if tx.scalar(select(others)):
            raise errors.conflict(
                "InvalidSharedSetting",
                f"Unable to reconfigure sharing settings for network {network.id}. Multiple tenants are using it.",
            )
    network.shared = shared


def delete_network(tx: Tx, ctx: NetworkContext, network: Network) -> None:
    """Delete a network with its subnets, its own service port and floating IPs that lead nowhere.

    Raises Conflict while anything else uses it.
    """
    used = exists().where(Port.network_id == network.id, Port.device_owner.not_in((METADATA, FLOATING)))
    tied = exists().where(FloatingIp.network_id == network.id, FloatingIp.port_id.isnot(None))
    if tx.scalar(select(used | tied)):
        raise errors.conflict(
            "NetworkInUse",
            f"Unable to complete operation on network {network.id}. "
            "There are one or more ports still in use on the network.",
        )
    subnets = tx.scalars(select(Subnet.id).where(Subnet.network_id == network.id)).all()
    metadata.remove(tx, ctx, network.id)
    gone = delete(FloatingIp).where(FloatingIp.network_id == network.id)
    for row in tx.execute(gone.returning(FloatingIp.id, FloatingIp.project_id, FloatingIp.network_id, FloatingIp.ip)):
        ctx.events.emit(tx, FloatingIpDeleted(*row))
    tx.execute(delete(Port).where(Port.network_id == network.id, Port.device_owner == FLOATING))
    if subnets:
        tx.execute(delete(IpAllocation).where(IpAllocation.subnet_id.in_(subnets)))
        tx.execute(delete(Subnet).where(Subnet.id.in_(subnets)))
        ctx.changes.mark(tx, "subnet", subnets)
    ctx.changes.mark(tx, "network", (network.id,))
    ctx.events.emit(tx, NetworkDeleted(network.id, network.project_id))
    tx.delete(network)
