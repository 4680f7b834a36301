"""A server's ports from its creation to its end: made or adopted, bound to a host, let go.

The tie is `server_id`, which the network API cannot write: a port that merely claims a server's id is not plugged in.
"""

from __future__ import annotations

from sqlalchemy import bindparam, or_, select, update

from gureum.foundation import clock
from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, only, table_of
from gureum.foundation.errors import BadRequest, Conflict, NotFound
from gureum.services.network.context import NetworkContext
from gureum.services.network.ports import addresses
from gureum.services.network.ports import operations as ports
from gureum.services.network.ports.addresses import IpWish
from gureum.services.network.ports.model import IpAllocation, Port, PortGroup
from gureum.services.network.security_groups import operations as groups
from gureum.services.network.security_groups.model import DEFAULT
from gureum.services.network.server_ports.model import NicPlan, NicWanted
from gureum.services.network.server_ports.planning import group_named
from gureum.services.network.standard import touch


def create(tx: Tx, ctx: NetworkContext, plan: NicPlan, server: tuple[str, str, str], start: int = 0) -> list[str]:
    """Make or adopt the plan's ports for `server`: (id, project, availability zone). Returns the port ids in order."""
    server_id, project_id, zone = server
    made = []
    for place, nic in enumerate(plan.nics, start):
        if nic.port_id:
            _adopt(tx, ctx, nic, server, place)
            made.append(nic.port_id)
            continue
        network = plan.networks[nic.network_id or ""]
        new = ports.NewPort(
            project_id=project_id,
            fixed_ips=[IpWish(ip=nic.fixed_ip)] if nic.fixed_ip else None,
            groups=plan.groups if network.port_security else (),
            port_security=network.port_security,
            device_id=server_id,
            device_owner=f"compute:{zone}",
            server_id=server_id,
            server_made=True,
            position=place,
            nic_tag=nic.tag or "",
            announced=False,
        )
        made.append(ports.create_port(tx, ctx, network.id, new, plan.subnets[network.id]).port.id)
    return made


def _adopt(tx: Tx, ctx: NetworkContext, nic: NicWanted, server: tuple[str, str, str], place: int) -> None:
    server_id, _, zone = server
    named = {"to": server_id, "device": server_id, "owner": f"compute:{zone}", "tag": nic.tag or ""}
    _ADOPT.run(tx, of=nic.port_id, **named, place=place, now=clock.utcnow())
    ctx.changes.mark(tx, "port", (nic.port_id or "",))


_ADOPT = Prepared(
    update(table_of(Port))
    .where(Port.id == bindparam("of"))
    .values(
        server_id=bindparam("to"),
        device_id=bindparam("device"),
        device_owner=bindparam("owner"),
        position=bindparam("place"),
        nic_tag=bindparam("tag"),
        server_made=False,
        status="DOWN",
        revision=Port.revision + 1,
        updated_at=bindparam("now"),
    )
)


def bind(tx: Tx, ctx: NetworkContext, server_id: str, host: str | None) -> None:
    """The server's ports belong on `host` now; those that move are DOWN until they are up there."""
    moved = _UNBIND.all(tx, of=server_id) if host is None else _BIND.all(tx, of=server_id, to=host)
    ctx.changes.mark(tx, "port", moved)


_THEIRS = Port.server_id == bindparam("of")
_DOWN = {"status": "DOWN", "revision": Port.revision + 1}
_UNBIND = Prepared(
    update(table_of(Port)).where(_THEIRS, Port.host.isnot(None)).values(host=None, **_DOWN).returning(Port.id),
    make=only,
)
_BIND = Prepared(
    update(table_of(Port))
    .where(_THEIRS, or_(Port.host.is_(None), Port.host != bindparam("to")))
    .values(host=bindparam("to"), **_DOWN)
    .returning(Port.id),
    make=only,
)
_HELD = Prepared(select(Port.id, Port.server_made).where(_THEIRS))


def release(tx: Tx, ctx: NetworkContext, server_id: str) -> None:
    """The server is gone: its own ports go with it, its user's are free again."""
    held = _HELD.all(tx, of=server_id)
    for row in held:
        if not row.server_made:
            ports.unbind(tx, ctx, tx.get_one(Port, row.id))
    ports.delete_ports(tx, ctx, [row.id for row in held if row.server_made])


def next_position(tx: Tx, server_id: str) -> tuple[int, str | None]:
    """Where the next interface of a running server goes, and the host that its others are bound to."""
    rows = tx.execute(select(Port.position, Port.host).where(Port.server_id == server_id)).all()
    host = next((row.host for row in rows if row.host), None)
    return max((row.position for row in rows), default=-1) + 1, host


def detach(tx: Tx, ctx: NetworkContext, server_id: str, port_id: str) -> None:
    """Take one port from the server. Raises NotFound when it is not the server's."""
    row = tx.scalar(select(Port).where(Port.server_id == server_id, Port.id == port_id))
    if row is None:
        raise NotFound(f"Instance {server_id} does not have a port with id {port_id}")
    if not row.server_made:
        ports.unbind(tx, ctx, row)
        return
    tx.expunge(row)
    ports.delete_ports(tx, ctx, [port_id])


def add_address(tx: Tx, ctx: NetworkContext, server_id: str, network_id: str) -> None:
    """One more address for the server's first port on the network. Raises BadRequest when either is missing."""
    on_it = select(Port).where(Port.server_id == server_id, Port.network_id == network_id)
    row = tx.scalar(on_it.order_by(Port.position).limit(1))
    if row is None:
        raise BadRequest(f"Network could not be found for instance {server_id}.")
    kept = [IpWish(given.subnet_id, given.ip) for given in addresses.held(tx, [row.id])[row.id]]
    try:
        ports.set_addresses(tx, ctx, row, [*kept, IpWish()])
    except Conflict as error:
        raise BadRequest(error.public) from error
    touch(tx, ctx.changes, "port", row)


def remove_address(tx: Tx, ctx: NetworkContext, server_id: str, address: str) -> None:
    """Take a fixed address from the server. Raises BadRequest when it has no such address."""
    holding = select(Port).join(IpAllocation, IpAllocation.owner_id == Port.id)
    row = tx.scalar(holding.where(Port.server_id == server_id, IpAllocation.ip == address))
    if row is None:
        raise BadRequest(f"Fixed IP {address[:64]} is not associated with instance {server_id}.")
    held = addresses.held(tx, [row.id])[row.id]
    try:
        ports.set_addresses(tx, ctx, row, [IpWish(one.subnet_id, one.ip) for one in held if one.ip != address])
    except Conflict as error:
        raise BadRequest(error.public) from error
    touch(tx, ctx.changes, "port", row)


def add_group(tx: Tx, ctx: NetworkContext, server_id: str, name: str) -> None:
    """Give every port of the server the group. Raises NotFound for a group that is not the project's."""
    rows = tx.scalars(select(Port).where(Port.server_id == server_id)).all()
    if not rows:
        raise BadRequest(f"instance_id {server_id} could not be found as device id on any ports")
    group_id = _group(tx, ctx, rows[0].project_id, name)
    having = set(tx.scalars(select(PortGroup.port_id).where(PortGroup.group_id == group_id)))
    for row in rows:
        if row.id not in having and row.port_security:
            tx.add(PortGroup(port_id=row.id, group_id=group_id, position=len(having)))
            touch(tx, ctx.changes, "port", row)


def remove_group(tx: Tx, ctx: NetworkContext, caller: Caller, server_id: str, name: str) -> None:
    """Take the group from every port of the server. Raises NotFound when none has it."""
    rows = tx.scalars(select(Port).where(Port.server_id == server_id)).all()
    group_id = _group(tx, ctx, rows[0].project_id if rows else caller.project_id or "", name)
    found = select(PortGroup).where(PortGroup.group_id == group_id, PortGroup.port_id.in_([row.id for row in rows]))
    memberships = tx.scalars(found).all()
    if not memberships:
        raise NotFound(f"Security group {name} is not associated with the instance {server_id}")
    for one in memberships:
        tx.delete(one)
    for row in rows:
        touch(tx, ctx.changes, "port", row)


def _group(tx: Tx, ctx: NetworkContext, project_id: str, name: str) -> str:
    if name in (DEFAULT, groups.default_id(project_id)):
        return groups.materialise(tx, ctx, project_id)
    try:
        return group_named(tx, project_id, name)
    except BadRequest as error:
        raise NotFound(error.public) from error
