"""Allocating and freeing addresses: rows whose primary key is the address.

Choosing is pure (`rules.py`); here is the try at the cursor, the look at what is taken near it, and at everything when
the neighbourhood is full. Invariant: an address is handed out when its row is inserted, never before.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from msgspec import Struct
from sqlalchemy import bindparam, delete, select
from sqlalchemy.exc import DBAPIError

from gureum.drivers.network.addresses import automatic_address
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, as_tuple, columns_of, insert_into, insert_unless_there, only
from gureum.services.network import errors
from gureum.services.network.context import NetworkContext
from gureum.services.network.ports import rules
from gureum.services.network.ports.model import IpAllocation
from gureum.services.network.subnets.model import Subnet
from gureum.services.network.subnets.rules import Ip, Net, ip_of, is_automatic


@dataclass(frozen=True, slots=True)
class IpWish:
    """A wanted address: a subnet to choose from, an address, or both."""

    subnet_id: str | None = None
    ip: str | None = None


class Given(Struct, frozen=True, gc=False):
    """An address chosen for an owner."""

    subnet_id: str
    ip: str


class Range(Struct, frozen=True, gc=False):
    """What allocation needs to know of a subnet."""

    id: str
    network_id: str
    ip_version: int
    cidr: str
    pools: list[tuple[str, str]]
    ra_mode: str | None
    address_mode: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """Who wants addresses of which network; the MAC decides those that a guest makes for itself.

    A router may have addresses that a guest may not: any in a subnet of an automatic mode, and the first of all.
    """

    owner_id: str
    network_id: str
    mac: str
    is_router: bool = False


_OF_NETWORKS = Prepared(
    select(*columns_of(Subnet, Range))
    .where(Subnet.network_id.in_(bindparam("networks", expanding=True)))
    .order_by(Subnet.created_at, Subnet.id),
    Range,
)
_HOLD = insert_into(IpAllocation)
_HOLD_FREE = insert_unless_there(IpAllocation, "subnet_id", "ip")
_TAKEN = Prepared(
    select(IpAllocation.ip).where(
        IpAllocation.subnet_id == bindparam("subnet"), IpAllocation.ip.in_(bindparam("near", expanding=True))
    ),
    make=only,
)
_HELD = Prepared(
    select(IpAllocation.owner_id, IpAllocation.subnet_id, IpAllocation.ip)
    .where(IpAllocation.owner_id.in_(bindparam("owners", expanding=True)))
    .order_by(IpAllocation.position, IpAllocation.ip),
    make=as_tuple,
)
_FREE = Prepared(delete(IpAllocation).where(IpAllocation.owner_id.in_(bindparam("owners", expanding=True))))


def subnets_of(tx: Tx, *network_ids: str) -> list[Range]:
    """The subnets of networks, oldest first."""
    return _OF_NETWORKS.all(tx, networks=network_ids)


def allocate(
    tx: Tx, ctx: NetworkContext, claim: Claim, subnets: Sequence[Range], wishes: Sequence[IpWish] | None
) -> list[Given]:
    """Choose and hold addresses; `wishes` None means one of each IP version that the network has.

    Raises Conflict (none left, already in use) and BadRequest (not of this network).
    """
    choices = _one_of_each(claim, subnets) if wishes is None else (_wished(claim, subnets, wish) for wish in wishes)
    found: list[Given] = []
    for choice in choices:
        if not isinstance(choice, Given):
            found.append(take_any(tx, ctx, claim, choice, len(found)))
            continue
        if choice in found:
            raise errors.invalid(f"Duplicate IP address '{choice.ip}'")
        take(tx, claim.owner_id, choice, len(found))
        found.append(choice)
    return found


Choice = Given | Sequence[Range]
"""An address, or any of the first of these subnets that has one left."""


def _one_of_each(claim: Claim, subnets: Sequence[Range]) -> Iterator[Choice]:
    for version in (4, 6):
        choices = [s for s in subnets if s.ip_version == version and not is_automatic(s.ra_mode, s.address_mode)]
        if choices:
            yield choices
    for subnet in subnets:
        if is_automatic(subnet.ra_mode, subnet.address_mode):
            yield automatic(subnet, claim.mac)


def automatic(subnet: Range | Subnet, mac: str) -> Given:
    """The address that a guest with this MAC makes for itself in a subnet of an automatic mode."""
    return Given(subnet.id, automatic_address(ipaddress.ip_network(subnet.cidr), mac))


def _wished(claim: Claim, subnets: Sequence[Range], wish: IpWish) -> Choice:
    choices = [s for s in subnets if wish.subnet_id is None or s.id == wish.subnet_id]
    if not choices:
        raise errors.invalid(
            f"Failed to create port on network {claim.network_id}, "
            f"because fixed_ips included invalid subnet {wish.subnet_id}"
        )
    if wish.ip is None:
        subnet = choices[0]
        if wish.subnet_id is not None and is_automatic(subnet.ra_mode, subnet.address_mode):
            return automatic(subnet, claim.mac)
        return choices
    address = ip_of(wish.ip)
    for subnet in choices:
        if _may_have(claim, ipaddress.ip_network(subnet.cidr), address):
            if is_automatic(subnet.ra_mode, subnet.address_mode) and not claim.is_router:
                _refuse_other_than_automatic(subnet, claim, str(address))
            return Given(subnet.id, str(address))
    code = "InvalidIpForNetwork" if wish.subnet_id is None else "InvalidIpForSubnet"
    where = "any subnet on the specified network" if wish.subnet_id is None else "the specified subnet"
    raise errors.invalid(f"IP address {wish.ip} is not a valid IP for {where}.", code)


def _may_have(claim: Claim, net: Net, address: Ip) -> bool:
    """Whether an address is one that a port can have in a range: not the range's own, nor the one of all its hosts."""
    if address not in net:
        return False
    if net.max_prefixlen - net.prefixlen < 2:
        return True
    if net.version == 4:
        return address not in (net.network_address, net.broadcast_address)
    return claim.is_router or address != net.network_address


def _refuse_other_than_automatic(subnet: Range, claim: Claim, ip: str) -> None:
    if ip != automatic(subnet, claim.mac).ip:
        raise errors.invalid(
            f"IPv6 address {ip} cannot be directly assigned to a port on subnet {subnet.id} "
            "as the subnet is configured for automatic addresses",
            "AllocationOnAutoAddressSubnet",
        )


def take(tx: Tx, owner_id: str, given: Given, position: int = 0) -> None:
    """Hold this very address. Raises Conflict when it is in use."""
    if not _hold_free(tx, owner_id, given, position):
        raise errors.address_in_use(given.ip, given.subnet_id)


def take_any(tx: Tx, ctx: NetworkContext, claim: Claim, subnets: Iterable[Range], position: int = 0) -> Given:
    """Hold a free address of the first subnet that has one. Raises Conflict."""
    given = take_free(tx, ctx, claim, subnets, position)
    if given is None:
        raise errors.no_address_left(claim.network_id)
    return given


def take_free(tx: Tx, ctx: NetworkContext, claim: Claim, subnets: Iterable[Range], position: int = 0) -> Given | None:
    """Hold a free address of the first subnet that has one; None when none has.

    The search begins after the last address that this process tried: a hint in memory, for a row that every new port
    changes would make them all wait for each other. What is there is mostly free, so it is tried before any look.
    """
    for subnet in subnets:
        for ip in _to_try(tx, subnet, ctx.cursors.get(subnet.id)):
            address = Given(subnet.id, ip)
            ctx.cursors.put(subnet.id, rules.after(ip), ctx.cursors.generation)  # other threads try the next one
            try:
                is_held = _hold_free(tx, claim.owner_id, address, position)
            except DBAPIError:  # another process took it meanwhile, and would be met at each of the next addresses too
                ctx.cursors.put(subnet.id, rules.anywhere(subnet.pools), ctx.cursors.generation)
                raise
            if is_held:
                return address
    return None


def _hold_free(tx: Tx, owner_id: str, given: Given, position: int) -> bool:
    """Write the row unless the address is in use."""
    new = {"new_subnet_id": given.subnet_id, "new_ip": given.ip, "new_owner_id": owner_id, "new_position": position}
    return bool(_HOLD_FREE.run(tx, **new))


def _to_try(tx: Tx, subnet: Range, cursor: str | None) -> Iterator[str]:
    """The address at the cursor, a free one near it, a free one anywhere: each is looked for when it is asked for."""
    yield from rules.window(subnet.pools, cursor, 1)
    ip = _free_near(tx, subnet, cursor) or _free_anywhere(tx, subnet, cursor)
    if ip is not None:
        yield ip


def _free_near(tx: Tx, subnet: Range, cursor: str | None) -> str | None:
    near = rules.window(subnet.pools, cursor)
    used = set(_TAKEN.all(tx, subnet=subnet.id, near=near))
    return next((ip for ip in near if ip not in used), None)


def _free_anywhere(tx: Tx, subnet: Range, cursor: str | None) -> str | None:
    taken = set(tx.scalars(select(IpAllocation.ip).where(IpAllocation.subnet_id == subnet.id)).all())
    return rules.first_free(subnet.pools, cursor, taken)


def hold(tx: Tx, owner_id: str, given: Iterable[Given], start: int = 0) -> None:
    """Write the rows that make the chosen addresses the owner's."""
    rows = [
        {"subnet_id": one.subnet_id, "ip": one.ip, "owner_id": owner_id, "position": place}
        for place, one in enumerate(given, start)
    ]
    _HOLD.run_many(tx, rows)


def free(tx: Tx, owner_ids: Sequence[str]) -> None:
    """Give back every address of these owners."""
    if owner_ids:
        _FREE.run(tx, owners=owner_ids)


def held(tx: Tx, owner_ids: Sequence[str]) -> dict[str, list[Given]]:
    """The addresses of these owners in their order, one statement."""
    found: dict[str, list[Given]] = {owner: [] for owner in owner_ids}
    if owner_ids:
        for owner, subnet_id, ip in _HELD.all(tx, owners=owner_ids):
            found[owner].append(Given(subnet_id, ip))
    return found
