"""Routes of hypervisors. Source: compute API reference, "Hypervisors (os-hypervisors)".

Each host is one hypervisor. What is taken of it is what placement holds against its provider, so that a list
costs four statements: hosts, inventories, counts of servers, and their names when asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from gureum.foundation.errors import BadRequest, NotFound, NotImplementedHere
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection, links
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Listed
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.hosts.model import Host
from gureum.services.compute.hosts.numbers import UUIDS_SINCE, check, names, shown
from gureum.services.compute.hypervisors.views import (
    LAST_WITH_AMOUNTS,
    NO_LOAD,
    HostRow,
    HypervisorDetail,
    HypervisorName,
    HypervisorUptime,
    Load,
    ServerName,
    Statistics,
    detail_of,
    is_up,
    name_of,
    statistics_of,
    told_uptime,
    uptime_of,
)
from gureum.services.compute.pages import PAGES, check_paging
from gureum.services.compute.servers.model import Server

_P = "os_compute_api:os-hypervisors:"

RULES = tuple(
    Rule(_P + name, "rule:admin", text)
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
HYPERVISORS = Collection(name="hypervisors", model=Host, pages=PAGES, record=HostRow)


def index(call: Call[ComputeDeps]) -> Listed[HypervisorName]:
    hosts, marker = _page(call)
    servers = _servers(call, hosts) if _wants_servers(call) else None
    views = [name_of(call, host, servers) for host in hosts]
    return Listed(views, links.next_link(call, "hypervisors_links", marker))


def detail(call: Call[ComputeDeps]) -> Listed[HypervisorDetail]:
    hosts, marker = _page(call)
    load = _load(call, hosts)
    servers = _servers(call, hosts) if _wants_servers(call) else None
    views = [detail_of(call, host, load, servers) for host in hosts]
    return Listed(views, links.next_link(call, "hypervisors_links", marker))


def show(call: Call[ComputeDeps], hypervisor_id: str) -> HypervisorDetail:
    host = _find(call, hypervisor_id)
    servers = _servers(call, [host]) if _wants_servers(call) else None
    return detail_of(call, host, _load(call, [host]), servers)


def uptime(call: Call[ComputeDeps], hypervisor_id: str) -> HypervisorUptime:
    host = _find(call, hypervisor_id)
    if not is_up(call, host):
        raise BadRequest(f"Compute service of {host.name} is unavailable at this time.")
    uptime_text = told_uptime(call, host)
    if not uptime_text:
        raise NotImplementedHere("The hypervisor does not report how long it is up.")
    return uptime_of(call, host, uptime_text)


def statistics(call: Call[ComputeDeps]) -> Statistics:
    hosts = HYPERVISORS.every(call, Host.disabled.is_(False))
    return statistics_of(hosts, _load(call, hosts))


def search(call: Call[ComputeDeps], pattern: str) -> list[HypervisorName]:
    return [name_of(call, host, None) for host in _matching(call, pattern)]


def servers_of(call: Call[ComputeDeps], pattern: str) -> list[HypervisorName]:
    hosts = _matching(call, pattern)
    servers = _servers(call, hosts)
    return [name_of(call, host, servers) for host in hosts]


def _page(call: Call[ComputeDeps]) -> tuple[Sequence[HostRow], str | None]:
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


def _matching(call: Call[ComputeDeps], pattern: str) -> list[HostRow]:
    hosts = HYPERVISORS.every(call, Host.name.contains(pattern, autoescape=True))
    if not hosts:
        raise NotFound(f"No hypervisor matching '{pattern[:64]}' could be found.")
    return hosts


def _named(call: Call[ComputeDeps], text: str) -> HostRow | None:
    within = (Host.id == text,) if call.at_least(2, 53) else ()
    return next((host for host in HYPERVISORS.every(call, *within) if names(text, host.id, call.version)), None)


def _find(call: Call[ComputeDeps], hypervisor_id: str) -> HostRow:
    check(hypervisor_id, call.version)
    host = _named(call, hypervisor_id)
    if host is None:
        raise NotFound(f"Hypervisor with ID '{hypervisor_id[:64]}' could not be found.")
    return host


def _wants_servers(call: Call[ComputeDeps]) -> bool:
    text = call.param("with_servers") if call.at_least(2, 53) else None
    return text is not None and filters.boolean("with_servers", text)


def _load(call: Call[ComputeDeps], hosts: Sequence[HostRow]) -> Load:
    if call.version > LAST_WITH_AMOUNTS:
        return NO_LOAD
    counts = call.tx.execute(
        select(Server.host, func.count(), func.count(Server.task_state))
        .where(Server.deleted_at.is_(None), Server.host.isnot(None))
        .group_by(Server.host)
    )
    stock = call.deps.placement.holdings(call.tx, [host.id for host in hosts])
    return Load(stock, {name or "": (servers, busy) for name, servers, busy in counts})


def _servers(call: Call[ComputeDeps], hosts: Sequence[HostRow]) -> dict[str, list[ServerName]]:
    servers: dict[str, list[ServerName]] = {}
    here = (Server.host.in_([host.name for host in hosts]), Server.deleted_at.is_(None))
    columns = (Server.id, Server.name, Server.host)
    for id_, name, host in call.tx.execute(select(*columns).where(*here).order_by(Server.id)):
        servers.setdefault(host or "", []).append(ServerName(id_, name))
    return servers


_ALL = "/v2.1/os-hypervisors"
_ONE = _ALL + "/{hypervisor_id}"
_QUERY = ("limit", "marker", "hypervisor_hostname_pattern", "with_servers")
_MANY = "hypervisors"
ROUTES = (
    Route("GET", _ALL, index, _P + "list", envelope=_MANY, query=_QUERY, closed=UUIDS_SINCE),
    Route("GET", _ALL + "/detail", detail, _P + "list-detail", envelope=_MANY, query=_QUERY, closed=UUIDS_SINCE),
    Route(
        "GET",
        _ALL + "/statistics",
        statistics,
        _P + "statistics",
        envelope="hypervisor_statistics",
        until=LAST_WITH_AMOUNTS,
    ),
    Route("GET", _ONE, show, _P + "show", envelope="hypervisor", query=("with_servers",), closed=UUIDS_SINCE),
    Route("GET", _ONE + "/uptime", uptime, _P + "uptime", envelope="hypervisor", until=LAST_WITH_AMOUNTS, also=(501,)),
    Route("GET", _ALL + "/{pattern}/search", search, _P + "search", envelope=_MANY, until=(2, 52)),
    Route("GET", _ALL + "/{pattern}/servers", servers_of, _P + "servers", envelope=_MANY, until=(2, 52)),
)
