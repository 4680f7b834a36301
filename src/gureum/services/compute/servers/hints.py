"""Scheduler hints of POST /servers: which there are, which are offered, and where they let a server go.

What is not offered is refused (400), never taken and ignored. A hint names other servers only within the caller's
reach, so that it does not reveal where others' servers are.
Source: compute API reference, "Servers", os:scheduler_hints.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest
from gureum.services.compute.hosts.model import Host
from gureum.services.compute.servers.model import Scheduling, Server

_MOST_SERVERS = 100
_NOT_OFFERED = ("query", "target_cell", "different_cell")


class SchedulerHints(Struct, forbid_unknown_fields=True):
    """Every hint of the reference. `_checked` says which values are good."""

    group: Annotated[str, Meta(max_length=64)] | None = None
    same_host: list[str] | str | None = None
    different_host: list[str] | str | None = None
    build_near_host_ip: Annotated[str, Meta(max_length=45)] | None = None
    cidr: Annotated[str, Meta(max_length=4, pattern=r"^/[0-9]{1,3}\Z")] | None = None
    query: dict[str, Any] | list[Any] | str | None = None
    target_cell: str | None = None
    different_cell: list[str] | str | None = None


@dataclass(frozen=True, slots=True)
class Hints:
    """Servers to be with or apart from, by id, and the network of hosts' addresses to be in; "" for any."""

    same_host: tuple[str, ...] = ()
    different_host: tuple[str, ...] = ()
    near: str = ""

    def stored(self) -> Scheduling:
        """What a server's `scheduling` keeps of it."""
        kept: Scheduling = {}
        if self.same_host:
            kept["same_host"] = list(self.same_host)
        if self.different_host:
            kept["different_host"] = list(self.different_host)
        if self.near:
            kept["near"] = self.near
        return kept


def hints_of(given: SchedulerHints | None) -> tuple[str | None, Hints]:
    """(the group's id, the other hints). Raises BadRequest that names the hint."""
    if given is None:
        return None, Hints()
    for name in _NOT_OFFERED:
        if getattr(given, name) is not None:
            raise BadRequest(f"The scheduler hint {name} is not offered by this cloud.")
    group = _ids("group", given.group)
    hints = Hints(_ids("same_host", given.same_host), _ids("different_host", given.different_host), _near(given))
    return next(iter(group), None), hints


def _ids(name: str, value: list[str] | str | None) -> tuple[str, ...]:
    found = (value,) if isinstance(value, str) else tuple(value or ())
    if len(found) > _MOST_SERVERS or not all(ids.is_uuid(one) for one in found):
        raise BadRequest(f"Invalid input for the scheduler hint {name}: at most {_MOST_SERVERS} UUIDs are wanted.")
    return found


def _near(given: SchedulerHints) -> str:
    if given.build_near_host_ip is None:
        if given.cidr is not None:
            raise BadRequest("The scheduler hint cidr needs build_near_host_ip.")
        return ""
    try:
        return str(ipaddress.ip_network(given.build_near_host_ip + (given.cidr or "/24"), strict=False))
    except ValueError as error:
        raise BadRequest(f"Invalid input for the scheduler hints build_near_host_ip and cidr: {error}") from error


def within_reach(tx: Tx, caller: Caller, hints: Hints) -> Hints:
    """The hints with only the servers that the caller sees. Raises BadRequest when none is left to be with."""
    named = {*hints.same_host, *hints.different_host}
    if not named:
        return hints
    statement = select(Server.id).where(Server.id.in_(named), Server.deleted_at.is_(None))
    if not caller.is_admin:
        statement = statement.where(Server.project_id == caller.project_id)
    seen = set(tx.scalars(statement))
    same = tuple(one for one in hints.same_host if one in seen)
    if hints.same_host and not same:
        raise BadRequest("The scheduler hint same_host names no server of this project.")
    return Hints(same, tuple(one for one in hints.different_host if one in seen), hints.near)


def hosts_by_hints(tx: Tx, scheduling: Scheduling) -> dict[str, frozenset[str]]:
    """For each hint that a server's `scheduling` keeps, by its name in `rules.Wish`, the hosts that it speaks of."""
    hosts = {}
    if same := scheduling.get("same_host"):
        hosts["same_host"] = _hosts_of(tx, same)
    if different := scheduling.get("different_host"):
        hosts["different_host"] = _hosts_of(tx, different)
    if near := scheduling.get("near"):
        network = ipaddress.ip_network(near)
        rows = tx.execute(select(Host.name, Host.resources))
        hosts["within"] = frozenset(name for name, facts in rows if _is_in(facts.get("host_ip", ""), network))
    return hosts


def _hosts_of(tx: Tx, server_ids: list[str]) -> frozenset[str]:
    where = (Server.id.in_(server_ids), Server.host.isnot(None), Server.deleted_at.is_(None))
    return frozenset(str(host) for host in tx.scalars(select(Server.host).where(*where)))


def _is_in(address: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    try:
        return ipaddress.ip_address(address) in network
    except ValueError:
        return False
