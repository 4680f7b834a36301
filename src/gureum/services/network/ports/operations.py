"""Creating, changing and deleting ports, one transaction each.

Invariants: an address row exists for every fixed IP; a port in use by a server is deleted with its floating IPs let
go; a router's leg is only touched through its router. Read next: `addresses.py`, `../floating_ips/ties.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from msgspec import structs
from sqlalchemy import BindParameter, bindparam, delete, select, update

from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, insert_into, table_of
from gureum.foundation.http.views import JsonValue
from gureum.services.network import errors
from gureum.services.network.context import NetworkContext
from gureum.services.network.events import AddressesChanged, PortCreated, PortDeleted
from gureum.services.network.floating_ips import ties
from gureum.services.network.ports import addresses, metadata, rules
from gureum.services.network.ports.addresses import Given, IpWish, Range
from gureum.services.network.ports.model import (
    CLOUD_OWNED,
    FLOATING,
    METADATA,
    OF_ROUTERS,
    IpAllocation,
    Port,
    PortGroup,
    PortRow,
)
from gureum.services.network.routers import legs
from gureum.services.network.standard import touch


@dataclass(frozen=True, slots=True)
class NewPort:
    """A port to be made. `fixed_ips` None: one address of each IP version; `groups` are resolved ids."""

    project_id: str
    fixed_ips: Sequence[IpWish] | None = None
    groups: Sequence[str] = ()
    mac: str | None = None
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    port_security: bool = True
    pairs: Sequence[dict[str, str]] = ()
    device_id: str = ""
    device_owner: str = ""
    host: str | None = None
    vnic_type: str = "normal"
    profile: dict[str, JsonValue] = field(default_factory=dict)
    server_id: str | None = None
    server_made: bool = False
    position: int = 0
    nic_tag: str = ""
    status: str = "DOWN"
    announced: bool = True
    """Whether the engine should hear of it now; a server's port waits for its host, which makes one change of two."""


@dataclass(slots=True)
class Made:
    """A port with the relations that its view shows."""

    port: PortRow
    given: list[Given]
    groups: list[str]


def create_port(
    tx: Tx, ctx: NetworkContext, network_id: str, new: NewPort, subnets: Sequence[Range] | None = None
) -> Made:
    """Add a port to a network, of which `subnets` are the subnets where they are known already.

    A random MAC that the network has already breaks the table's rule, and the whole transaction is made again.
    Raises Conflict (address or MAC in use, none left) and BadRequest (address not of the network).
    """
    if new.mac is not None:
        _refuse_mac_in_use(tx, network_id, new.mac)
    port = _row(new, network_id, new.mac or rules.new_mac(ctx.config.base_mac))
    if new.fixed_ips is not None and not new.fixed_ips:
        chosen: list[Given] = []
    else:
        known = addresses.subnets_of(tx, network_id) if subnets is None else subnets
        claim = addresses.Claim(port.id, network_id, port.mac, is_router=new.device_owner in OF_ROUTERS)
        chosen = addresses.allocate(tx, ctx, claim, known, new.fixed_ips)
    server = {"server_id": new.server_id, "server_made": new.server_made}
    _INSERT.run(tx, **structs.asdict(port), **server, position=new.position, nic_tag=new.nic_tag)
    _join_groups(tx, port.id, new.groups)
    if new.announced:
        ctx.changes.mark(tx, "port", (port.id,))
    if new.project_id:
        ctx.events.emit(tx, PortCreated(port.id, new.project_id, network_id, new.server_id or ""))
    return Made(port, chosen, list(new.groups))


def _row(new: NewPort, network_id: str, mac: str) -> PortRow:
    """The port as it will be read. Pairs without a MAC have the port's."""
    now = clock.utcnow()
    return PortRow(
        id=ids.new_uuid(),
        project_id=new.project_id,
        description=new.description,
        revision=1,
        created_at=now,
        updated_at=now,
        name=new.name,
        tags=[],
        network_id=network_id,
        mac=mac,
        admin_state_up=new.admin_state_up,
        status=new.status,
        device_id=new.device_id,
        device_owner=new.device_owner,
        host=new.host,
        vnic_type=new.vnic_type,
        profile=new.profile,
        port_security=new.port_security,
        pairs=[pair | {"mac_address": pair["mac_address"] or mac} for pair in new.pairs],
    )


_THESE: BindParameter[str] = bindparam("ports", expanding=True)
_LEAVE = Prepared(delete(table_of(PortGroup)).where(PortGroup.port_id.in_(_THESE)))
_DELETE = Prepared(
    delete(table_of(Port)).where(Port.id.in_(_THESE)).returning(Port.id, Port.project_id, Port.network_id),
    make=PortDeleted,
)
_INSERT = insert_into(Port)
_JOIN = insert_into(PortGroup)


def _refuse_mac_in_use(tx: Tx, network_id: str, mac: str) -> None:
    if tx.scalar(select(Port.id).where(Port.network_id == network_id, Port.mac == mac)) is not None:
        raise errors.conflict(
            "MacAddressInUse",
            f"Unable to complete operation for network {network_id}. The mac address {mac} is in use.",
        )


def _join_groups(tx: Tx, port_id: str, groups: Iterable[str]) -> None:
    _JOIN.run_many(tx, [{"port_id": port_id, "group_id": one, "position": n} for n, one in enumerate(groups)])


def set_groups(tx: Tx, port: Port, groups: Sequence[str]) -> None:
    """Replace the port's security groups."""
    tx.execute(delete(PortGroup).where(PortGroup.port_id == port.id))
    _join_groups(tx, port.id, groups)


def set_mac(tx: Tx, ctx: NetworkContext, port: Port, mac: str | None) -> None:
    """Another MAC, a new random one for None. Raises Conflict for a bound port or a MAC in use."""
    if mac == port.mac:
        return
    if port.device_owner in (FLOATING, METADATA):
        raise errors.conflict("PortInUse", f"The MAC of port {port.id} follows what it is for, {port.device_id}.")
    if port.host:
        raise errors.conflict(
            "PortBound", f"Unable to complete operation on port {port.id}, port is already bound, port type: ovs."
        )
    if mac is not None:
        _refuse_mac_in_use(tx, port.network_id, mac)
    old, port.mac = port.mac, mac or rules.new_mac(ctx.config.base_mac)
    port.pairs = [pair | {"mac_address": port.mac} if pair["mac_address"] == old else pair for pair in port.pairs]


def set_addresses(tx: Tx, ctx: NetworkContext, port: Port, wishes: Sequence[IpWish]) -> None:
    """Replace the port's addresses; those that are wished again stay.

    Raises Conflict when a floating IP leads to one that would be lost.
    """
    subnets = addresses.subnets_of(tx, port.network_id)
    lost = addresses.held(tx, [port.id])[port.id]
    unmet: list[IpWish] = []
    for wish in wishes:
        again = next((given for given in lost if _fulfils(given, wish)), None)
        if again is None:
            unmet.append(wish)
        else:
            lost.remove(again)
    ties.refuse_loss(tx, port.id, [given.ip for given in lost])
    for given in lost:
        gone = (IpAllocation.subnet_id == given.subnet_id, IpAllocation.ip == given.ip)
        tx.execute(delete(IpAllocation).where(*gone))
    claim = addresses.Claim(port.id, port.network_id, port.mac, is_router=port.device_owner in OF_ROUTERS)
    made = addresses.allocate(tx, ctx, claim, subnets, unmet)
    for place, given in enumerate(made, len(wishes) - len(unmet)):  # the guest's first address stays its first
        mine = (IpAllocation.subnet_id == given.subnet_id, IpAllocation.ip == given.ip)
        tx.execute(update(IpAllocation).where(*mine).values(position=place))
    if (lost or unmet) and port.server_id is not None:
        ctx.events.emit(tx, AddressesChanged((port.server_id,)))


def replace_addresses(tx: Tx, ctx: NetworkContext, port: Port, wishes: Sequence[IpWish]) -> None:
    """As `set_addresses`, at a client's wish. Raises Conflict for what the cloud needs of its own ports' addresses.

    A router's port stays in the subnets that it is in: the router's own routes take it in and out of them.
    """
    if port.device_owner in (FLOATING, METADATA):
        raise errors.conflict("PortInUse", f"The addresses of port {port.id} follow what it is for, {port.device_id}.")
    before = sorted(given.subnet_id for given in addresses.held(tx, [port.id])[port.id])
    set_addresses(tx, ctx, port, wishes)
    if port.device_owner in OF_ROUTERS:
        after = sorted(given.subnet_id for given in addresses.held(tx, [port.id])[port.id])
        if after != before:
            raise errors.conflict(
                "PortInUse",
                f"Port {port.id} is router {port.device_id}'s: it keeps one address in each subnet that it is in.",
            )
        legs.refuse_own_hops(tx, port.device_id)


def _fulfils(given: Given, wish: IpWish) -> bool:
    """Whether a held address is what is wished for: by address, or by subnet alone."""
    if wish.ip is not None:
        return wish.ip == given.ip and wish.subnet_id in (None, given.subnet_id)
    return wish.subnet_id == given.subnet_id


def delete_ports(tx: Tx, ctx: NetworkContext, port_ids: Sequence[str]) -> None:
    """Delete ports with their addresses and group memberships; their floating IPs are let go.

    A few statements for all of them.
    """
    if not port_ids:
        return
    ties.let_go_of_ports(tx, ctx, port_ids)
    addresses.free(tx, port_ids)
    _LEAVE.run(tx, ports=port_ids)
    for deleted in _DELETE.all(tx, ports=port_ids):
        if deleted.project_id:
            ctx.events.emit(tx, deleted)
    ctx.changes.mark(tx, "port", port_ids)


def delete_port(tx: Tx, ctx: NetworkContext, port: Port) -> None:
    """Delete one port at a client's wish. Raises Conflict for a port of a router or of a floating IP."""
    if port.device_owner == METADATA:
        metadata.withdraw(tx, ctx, port)
        return
    if port.device_owner in CLOUD_OWNED:
        raise errors.conflict(
            "ServicePortInUse",
            f"Port {port.id} cannot be deleted directly via the port API: has device owner {port.device_owner}.",
        )
    server_id = port.server_id
    tx.expunge(port)
    delete_ports(tx, ctx, [port.id])
    if server_id is not None:
        ctx.events.emit(tx, AddressesChanged((server_id,)))


def unbind(tx: Tx, ctx: NetworkContext, port: Port) -> None:
    """A port that outlives its server: back to what it was before."""
    port.server_id, port.host, port.device_id, port.device_owner = None, None, "", ""
    port.status, port.position, port.nic_tag, port.server_made = "DOWN", 0, "", False
    touch(tx, ctx.changes, "port", port)
    port.updated_at = clock.utcnow()
