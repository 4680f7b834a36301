"""Routes of hypervisors. Source: compute API reference, "Hypervisors (os-hypervisors)".

Each host is one hypervisor. What is taken of it is what placement holds against its provider, so that a list
costs four statements: hosts, inventories, counts of servers, and their names when asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from gureum.agents.hypervisor.protocol import HostResources
from gureum.foundation import clock
from gureum.foundation.db.prepared import row_type, table_of
from gureum.foundation.errors import BadRequest, NotFound, NotImplementedHere
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection, links
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.foundation.shapes import converted
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.hosts.model import Host, Watched
from gureum.services.compute.hosts.numbers import UUIDS_SINCE, check, names, shown
from gureum.services.compute.pages import PAGES, check_paging
from gureum.services.compute.servers.model import Server
from gureum.services.placement.facade import Holding

_PREFIX = "os_compute_api:os-hypervisors:"

RULES = tuple(
    Rule(_PREFIX + name, "rule:admin", text)
    for name, text in (
        ("list", "List hypervisors"),
        ("list-detail", "List hypervisors with details"),
        ("show", "Show a hypervisor"),
        ("statistics", "Show the sums over all hypervisors"),
        ("uptime", "Show how long a hypervisor is up"),
        ("search", "Search hypervisors by name"),
        ("servers", "List the servers of hypervisors"),
    )
)
_LAST_WITH_AMOUNTS = (2, 87)


@dataclass(frozen=True, slots=True)
class Load:
    """What a page of hosts carries: inventories by provider, (servers, servers in change) by host name."""

    stock: dict[str, dict[str, Holding]]
    counts: dict[str, tuple[int, int]]


def index(call: Call[ComputeDeps]) -> dict[str, Any]:
    return _listed(call, details=False)


def detail(call: Call[ComputeDeps]) -> dict[str, Any]:
    return _listed(call, details=True)


def _listed(call: Call[ComputeDeps], *, details: bool) -> dict[str, Any]:
    hosts, marker = _page(call)
    load = _load(call, hosts) if details else None
    servers = _servers(call, hosts) if _wants_servers(call) else None
    views = [_view(call, host, load, servers) for host in hosts]
    return {"hypervisors": views} | links.next_link(call, "hypervisors_links", marker)


HYPERVISORS: Collection[Any] = Collection(
    name="hypervisors",
    model=Host,
    pages=PAGES,
    record=row_type(select(table_of(Host)), Watched),
)


def _page(call: Call[ComputeDeps]) -> tuple[Sequence[Any], str | None]:
    """The page's hosts and the marker of the next one. Paging since 2.33; since 2.53 a pattern of names, which is not
    paged.
    """
    pattern = call.param("hypervisor_hostname_pattern") if call.at_least(2, 53) else None
    if pattern:
        if call.param("limit") or call.param("marker"):
            raise BadRequest("Paging is not supported together with the hypervisor_hostname_pattern query parameter.")
        return _matching(call, pattern), None
    if not call.at_least(2, 33):
        return HYPERVISORS.every(call), None
    check_paging(call)
    if marker := call.param("marker"):
        host = _named(call, marker)
        if host is None:
            raise BadRequest(f"marker [{marker[:64]}] not found")
        call.query = [(name, host.id if name == "marker" else value) for name, value in call.query]
    page = HYPERVISORS.page(call)
    return page.rows, str(shown(page.last, call.version)) if page.last else None


def _matching(call: Call[ComputeDeps], pattern: str) -> list[Host]:
    found = list(call.tx.scalars(select(Host).where(Host.name.contains(pattern, autoescape=True)).order_by(Host.id)))
    if not found:
        raise NotFound(f"No hypervisor matching '{pattern[:64]}' could be found.")
    return found


def _named(call: Call[ComputeDeps], text: str) -> Host | None:
    if call.at_least(2, 53):
        return call.tx.get(Host, text)
    return next((host for host in call.tx.scalars(select(Host)) if names(text, host.id, call.version)), None)


def _find(call: Call[ComputeDeps], hypervisor_id: str) -> Host:
    check(hypervisor_id, call.version)
    host = _named(call, hypervisor_id)
    if host is None:
        raise NotFound(f"Hypervisor with ID '{hypervisor_id[:64]}' could not be found.")
    return host


def _wants_servers(call: Call[Any]) -> bool:
    text = call.param("with_servers") if call.at_least(2, 53) else None
    return text is not None and filters.boolean("with_servers", text)


def show(call: Call[ComputeDeps], hypervisor_id: str) -> dict[str, Any]:
    host = _find(call, hypervisor_id)
    servers = _servers(call, [host]) if _wants_servers(call) else None
    return {"hypervisor": _view(call, host, _load(call, [host]), servers)}


def uptime(call: Call[ComputeDeps], hypervisor_id: str) -> dict[str, Any]:
    host = _find(call, hypervisor_id)
    if not _is_up(call, host):
        raise BadRequest(f"Compute service of {host.name} is unavailable at this time.")
    told = _uptime(call, host)
    if not told:
        raise NotImplementedHere("The hypervisor does not report how long it is up.")
    return {"hypervisor": {**_view(call, host, None, None), "uptime": told}}


def statistics(call: Call[ComputeDeps]) -> dict[str, Any]:
    hosts = list(call.tx.scalars(select(Host).where(Host.disabled.is_(False))))
    load = _load(call, hosts)
    total = {"count": len(hosts), "disk_available_least": 0, **_amounts({}, (0, 0))}
    for host in hosts:
        amounts = _amounts(load.stock.get(host.id, {}), load.counts.get(host.name, (0, 0)))
        for name, amount in amounts.items():
            total[name] += amount
    total["disk_available_least"] = total["free_disk_gb"]
    return {"hypervisor_statistics": total}


def search(call: Call[ComputeDeps], pattern: str) -> dict[str, Any]:
    return {"hypervisors": [_view(call, host, None, None) for host in _matching(call, pattern)]}


def servers_of(call: Call[ComputeDeps], pattern: str) -> dict[str, Any]:
    hosts = _matching(call, pattern)
    servers = _servers(call, hosts)
    return {"hypervisors": [_view(call, host, None, servers) for host in hosts]}


def _load(call: Call[ComputeDeps], hosts: Sequence[Host]) -> Load:
    counts = call.tx.execute(
        select(Server.host, func.count(), func.count(Server.task_state))
        .where(Server.deleted_at.is_(None), Server.host.isnot(None))
        .group_by(Server.host)
    )
    stock = call.deps.placement.holdings(call.tx, [host.id for host in hosts])
    return Load(stock, {name or "": (servers, busy) for name, servers, busy in counts})


def _servers(call: Call[ComputeDeps], hosts: Sequence[Host]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    here = (Server.host.in_([host.name for host in hosts]), Server.deleted_at.is_(None))
    columns = (Server.id, Server.name, Server.host)
    for id_, name, host in call.tx.execute(select(*columns).where(*here).order_by(Server.id)):
        found.setdefault(host or "", []).append({"uuid": id_, "name": name})
    return found


def _view(
    call: Call[ComputeDeps], host: Host, load: Load | None, servers: dict[str, list[dict[str, str]]] | None
) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": shown(host.id, call.version),
        "hypervisor_hostname": host.name,
        "state": "up" if _is_up(call, host) else "down",
        "status": "disabled" if host.disabled else "enabled",
    }
    if load is not None:
        view |= _details(call, host, load)
    if servers is not None and (host.name in servers or call.at_least(2, 75)):
        view["servers"] = servers.get(host.name, [])
    return view


def _is_up(call: Call[ComputeDeps], host: Host) -> bool:
    return host.is_up(clock.now(), call.deps.hosts.timeout_s)


def _uptime(call: Call[ComputeDeps], host: Host) -> str:
    """What its last heartbeat said; "" for a host that is down or told nothing."""
    return call.deps.hosts.uptime(host.name) if _is_up(call, host) else ""


def _details(call: Call[ComputeDeps], host: Host, load: Load) -> dict[str, Any]:
    resources = converted(host.resources, HostResources)
    view: dict[str, Any] = {
        "hypervisor_type": resources.hypervisor_type,
        "hypervisor_version": resources.hypervisor_version,
        "host_ip": resources.host_ip,
        "service": {
            "id": shown(host.service_id, call.version),
            "host": host.name,
            "disabled_reason": host.disabled_reason,
        },
    }
    if call.version > _LAST_WITH_AMOUNTS:
        view["uptime"] = _uptime(call, host) or None
        return view
    view["cpu_info"] = json.loads(resources.cpu_info or "{}") if call.at_least(2, 28) else resources.cpu_info
    amounts = _amounts(load.stock.get(host.id, {}), load.counts.get(host.name, (0, 0)))
    return {**view, **amounts, "disk_available_least": amounts["free_disk_gb"]}


def _amounts(stock: Mapping[str, Holding], counts: tuple[int, int]) -> dict[str, int]:
    """Totals, what is used and what is free, in the names of the API; nothing is overcommitted in these figures."""
    none = Holding(0, 0, 0)
    cpu, ram, disk = (stock.get(name, none) for name in ("VCPU", "MEMORY_MB", "DISK_GB"))
    return {
        "vcpus": cpu.total,
        "vcpus_used": cpu.used,
        "memory_mb": ram.total,
        "memory_mb_used": ram.used + ram.reserved,
        "free_ram_mb": ram.total - ram.used - ram.reserved,
        "local_gb": disk.total,
        "local_gb_used": disk.used + disk.reserved,
        "free_disk_gb": disk.total - disk.used - disk.reserved,
        "running_vms": counts[0],
        "current_workload": counts[1],
    }


_ALL = "/v2.1/os-hypervisors"
_ONE = _ALL + "/{hypervisor_id}"
_QUERY = ("limit", "marker", "hypervisor_hostname_pattern", "with_servers")
ROUTES = (
    Route("GET", _ALL, index, _PREFIX + "list", query=_QUERY, closed=UUIDS_SINCE),
    Route("GET", _ALL + "/detail", detail, _PREFIX + "list-detail", query=_QUERY, closed=UUIDS_SINCE),
    Route("GET", _ALL + "/statistics", statistics, _PREFIX + "statistics", until=_LAST_WITH_AMOUNTS),
    Route("GET", _ONE, show, _PREFIX + "show", query=("with_servers",), closed=UUIDS_SINCE),
    Route("GET", _ONE + "/uptime", uptime, _PREFIX + "uptime", until=_LAST_WITH_AMOUNTS, also=(501,)),
    Route("GET", _ALL + "/{pattern}/search", search, _PREFIX + "search", until=(2, 52)),
    Route("GET", _ALL + "/{pattern}/servers", servers_of, _PREFIX + "servers", until=(2, 52)),
)
