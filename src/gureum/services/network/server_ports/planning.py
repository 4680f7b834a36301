"""Planning a server's interfaces: checks everything that POST /servers must refuse at once. Writes nothing but, when it
is needed for the first time, the project's default security group.

Source: compute API reference, "Create server" (networks, security_groups) and its error codes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from msgspec import Struct
from sqlalchemy import ColumnElement, bindparam, or_, select, true

from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared
from gureum.foundation.errors import BadRequest, Conflict, Forbidden, OverQuota
from gureum.foundation.http.collections import NOBODY
from gureum.foundation.quota import Overrun
from gureum.services.network.context import NetworkContext
from gureum.services.network.networks.model import Network
from gureum.services.network.networks.model import seen_by as networks_seen_by
from gureum.services.network.ports.addresses import Range
from gureum.services.network.ports.model import IpAllocation, Port
from gureum.services.network.ports.rules import is_multicast
from gureum.services.network.security_groups import operations as groups
from gureum.services.network.security_groups.model import DEFAULT, SecurityGroup
from gureum.services.network.server_ports.model import NicNetwork, NicPlan, NicRequest, NicWanted
from gureum.services.network.subnets.model import Subnet


def plan(tx: Tx, ctx: NetworkContext, caller: Caller, request: NicRequest, count: int) -> NicPlan:
    """The checked request. Raises BadRequest, Forbidden, Conflict with what the compute API says."""
    if request.mode == "none":
        return NicPlan()
    nics = request.nics if request.mode == "listed" else _only_network(tx, caller)
    if not nics:
        return NicPlan()
    if count > 1 and any(nic.port_id for nic in nics):
        raise BadRequest(
            "Unable to launch multiple instances with a single configured port ID. "
            "Please launch your instances one by one with different ports."
        )
    if count > 1 and any(nic.fixed_ip for nic in nics):
        raise BadRequest("Invalid fixed IP address in requested networks: one address cannot serve several instances.")
    _check_ports(tx, caller, [nic.port_id for nic in nics if nic.port_id])
    project_id = caller.project_id or ""
    networks, subnets, has_default = _networks(tx, caller, nics)
    for nic in nics:
        if not nic.port_id and not subnets[nic.network_id or ""]:
            raise BadRequest(f"Network {nic.network_id} requires a subnet in order to boot instances on.")
        if nic.fixed_ip and not nic.port_id:
            _require_owner(caller, networks[nic.network_id or ""])
            _check_address(tx, nic, subnets[nic.network_id or ""])
    made = sum(not nic.port_id for nic in nics)
    if made and not has_default:
        groups.write_default(tx, ctx, project_id)
    members = _groups(tx, project_id, request.security_groups) if made else ()
    ctx.quotas.require(tx, project_id, {"port": made * count}, refusal=_too_many_ports)
    return NicPlan(tuple(nics), tuple(members), networks, subnets)


def _too_many_ports(overruns: Sequence[Overrun]) -> OverQuota:
    return OverQuota(f"Maximum number of ports exceeded ({overruns[0]}).")


def _only_network(tx: Tx, caller: Caller) -> tuple[NicWanted, ...]:
    """The one network that the project can use, its own or a shared one. Several are a Conflict."""
    usable = (Network.project_id == (caller.project_id or NOBODY)) & Network.external.is_(False)
    found = tx.scalars(select(Network.id).where(or_(usable, Network.shared.is_(True))).limit(2)).all()
    if len(found) > 1:
        raise Conflict("Multiple possible networks found, use a Network ID to be more specific.")
    return tuple(NicWanted(network_id=network_id) for network_id in found)


def _check_ports(tx: Tx, caller: Caller, port_ids: Sequence[str]) -> None:
    """Raises BadRequest, Conflict unless the named ports are free and have an address each."""
    if not port_ids:
        return
    if len(set(port_ids)) < len(port_ids):
        raise BadRequest("Duplicate ports are not allowed in the request.")
    mine: ColumnElement[bool] = true() if caller.is_admin else Port.project_id == (caller.project_id or NOBODY)
    columns = select(Port.id, Port.mac, Port.server_id, Port.device_id, Port.device_owner)
    rows = {row.id: row for row in tx.execute(columns.where(Port.id.in_(port_ids), mine))}
    with_address = set(tx.scalars(select(IpAllocation.owner_id).where(IpAllocation.owner_id.in_(port_ids))))
    for port_id in port_ids:
        row = rows.get(port_id)
        if row is None:
            raise BadRequest(f"Port {port_id} could not be found.")
        if row.server_id or row.device_id or row.device_owner.startswith("network:"):
            raise Conflict(f"Port {port_id} is still in use.")
        if is_multicast(row.mac):
            raise BadRequest(f"Port {port_id} has the multicast MAC address {row.mac}, which no interface can have.")
        if port_id not in with_address:
            raise BadRequest(f"Port {port_id} requires a FixedIP in order to be used.")


class _NamedRow(Struct, frozen=True, gc=False):
    """A network and one of its subnets, if it has any."""

    id: str
    project_id: str
    port_security: bool
    shared: bool
    external: bool
    subnet_id: str | None
    ip_version: int
    cidr: str
    pools: list[tuple[str, str]]
    ra_mode: str | None
    address_mode: str | None
    has_default: bool


_NAMED = (
    select(
        *(Network.id, Network.project_id, Network.port_security, Network.shared, Network.external),
        *(Subnet.id.label("subnet_id"), Subnet.ip_version, Subnet.cidr, Subnet.pools),
        *(Subnet.ra_mode, Subnet.address_mode),
        select(SecurityGroup.id).where(SecurityGroup.id == bindparam("default_group")).exists().label("has_default"),
    )
    .outerjoin_from(Network, Subnet, Subnet.network_id == Network.id)
    .where(Network.id.in_(bindparam("wanted", expanding=True)))
    .order_by(Subnet.created_at, Subnet.id)
)
_ANY = Prepared(_NAMED, _NamedRow)
_SEEN = Prepared(_NAMED.where(networks_seen_by(bindparam("project"))), _NamedRow)


def _networks(
    tx: Tx, caller: Caller, wanted: Iterable[NicWanted]
) -> tuple[dict[str, NicNetwork], dict[str, list[Range]], bool]:
    """The named networks, within reach and for servers, the subnets of each, oldest first, and whether the project's
    default security group is real: one look for all that new ports need.
    """
    named = {nic.network_id for nic in wanted if not nic.port_id and nic.network_id}
    if not named:
        return {}, {}, False
    values = {"wanted": list(named), "default_group": groups.default_id(caller.project_id or "")}
    pairs = _ANY.all(tx, **values) if caller.is_admin else _SEEN.all(tx, **values, project=caller.project_id or NOBODY)
    rows = {row.id: row for row in pairs}
    for network_id in sorted(named):
        row = rows.get(network_id)
        if row is None:
            raise BadRequest(f"Network {network_id} could not be found.")
        if row.external and not row.shared and not caller.is_admin:
            raise Forbidden(f"It is not allowed to create an interface on external network {network_id}")
    subnets: dict[str, list[Range]] = {network_id: [] for network_id in rows}
    for row in pairs:
        if row.subnet_id is not None:
            subnet = Range(row.subnet_id, row.id, row.ip_version, row.cidr, row.pools, row.ra_mode, row.address_mode)
            subnets[row.id].append(subnet)
    networks = {row.id: NicNetwork(row.id, row.project_id, row.port_security) for row in rows.values()}
    return networks, subnets, bool(pairs[0].has_default)


def _require_owner(caller: Caller, network: NicNetwork) -> None:
    """Addresses on another project's shared network are given, not chosen: as the rule create_port:fixed_ips has it."""
    if not caller.is_admin and network.project_id != caller.project_id:
        raise Forbidden(f"Addresses on network {network.id} are for its owner to choose.")


def _check_address(tx: Tx, nic: NicWanted, subnets: Sequence[Range]) -> None:
    try:
        address = ipaddress.ip_address(nic.fixed_ip or "")
    except ValueError as error:
        raise BadRequest(f"Invalid fixed IP address ({nic.fixed_ip})") from error
    inside = [subnet for subnet in subnets if address in ipaddress.ip_network(subnet.cidr)]
    if not inside:
        raise BadRequest(f"Fixed IP address {nic.fixed_ip} does not belong to network {nic.network_id}.")
    taken = select(IpAllocation.owner_id).where(IpAllocation.subnet_id == inside[0].id, IpAllocation.ip == str(address))
    if tx.scalar(taken) is not None:
        raise BadRequest(f"Fixed IP address {nic.fixed_ip} is already in use on instance.")


def _groups(tx: Tx, project_id: str, wanted: Sequence[str]) -> list[str]:
    """Ids for names or ids; the default group, which is real by now, for none."""
    if not wanted or set(wanted) == {DEFAULT}:
        return [groups.default_id(project_id)]
    return [group_named(tx, project_id, name) for name in dict.fromkeys(wanted)]


def group_named(tx: Tx, project_id: str, name: str) -> str:
    """The id of a project's group by id or name. Raises BadRequest for none, Conflict for several of a name."""
    mine = (SecurityGroup.project_id == project_id, or_(SecurityGroup.id == name, SecurityGroup.name == name))
    found = tx.scalars(select(SecurityGroup.id).where(*mine)).all()
    if name in found:
        return name
    if not found:
        raise BadRequest(f"Security group {name} not found for project {project_id}.")
    if len(found) > 1:
        raise Conflict(f"Multiple security groups found matching '{name}'. Use an ID to be more specific.")
    return found[0]
