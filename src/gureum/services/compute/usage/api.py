"""What the servers of projects consumed between two moments.

Source: compute API reference, "Usage reports (os-simple-tenant-usage)". Hours run from a server's launch to its end,
cut to the asked period; amounts are hours times vCPUs, MiB and GiB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select

from gureum.foundation import clock
from gureum.foundation.errors import BadRequest
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection, Condition, links
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.services.compute.pages import CLOSED, PAGES, check_paging
from gureum.services.compute.servers.model import Server

_PREFIX = "os_compute_api:os-simple-tenant-usage:"

RULES = (
    Rule(_PREFIX + "list", "rule:admin", "Show what all projects consumed"),
    Rule(_PREFIX + "show", "rule:project_reader_or_admin", "Show what one project consumed"),
)


@dataclass(frozen=True, slots=True)
class Period:
    start: datetime
    stop: datetime


def index(call: Call[Any]) -> dict[str, Any]:
    period = _period(call)
    rows, links_of = _page(call, period)
    by_project: dict[str, list[Any]] = {}
    for row in rows:
        by_project.setdefault(row.project_id, []).append(row)
    detailed = call.param("detailed") == "1"
    usages = [_usage(project, servers, period, detailed=detailed) for project, servers in by_project.items()]
    return {"tenant_usages": usages} | links_of("tenant_usages_links")


def show(call: Call[Any], project_id: str) -> dict[str, Any]:
    call.enforce(project_id=project_id)
    period = _period(call)
    rows, links_of = _page(call, period, Server.project_id == project_id)
    usage = _usage(project_id, rows, period, detailed=True) if rows else {}
    return {"tenant_usage": usage} | links_of("tenant_usage_links")


_USED: Collection[Any] = Collection(
    name="servers",
    model=Server,
    sort_keys={"project_id": Server.project_id},
    order=(("project_id", False),),
    pages=PAGES,
    source=select(
        *(Server.id, Server.name, Server.project_id, Server.flavor, Server.vcpus, Server.ram_mib, Server.vm_state),
        *(Server.launched_at, Server.terminated_at),
    ),
)
"""Servers as reports count them, deleted ones too."""


def _page(call: Call[Any], period: Period, *within: Condition) -> tuple[Sequence[Any], Callable[[str], dict[str, Any]]]:
    """The page's servers, and the links that follow under a key. Paging since 2.40; before, the first page is all there
    is.
    """
    paged = call.at_least(2, 40)
    if not paged:
        call.query = [(name, value) for name, value in call.query if name not in ("limit", "marker")]
    check_paging(call)
    page = _USED.page(
        call,
        Server.launched_at.isnot(None),
        Server.launched_at < period.stop,
        or_(Server.terminated_at.is_(None), Server.terminated_at > period.start),
        *within,
    )
    return page.rows, lambda key: links.next_link(call, key, page.last) if paged else {}


def _period(call: Call[Any]) -> Period:
    now = clock.utcnow()
    start, stop = call.param("start"), call.param("end")
    begun = filters.moment("start", start) if start else now - timedelta(days=28)
    ended = filters.moment("end", stop) if stop else now
    if begun >= ended:
        raise BadRequest("Invalid start time. The start time cannot occur after the end time.")
    return Period(begun, ended)


def _usage(project_id: str, servers: Iterable[Any], period: Period, *, detailed: bool) -> dict[str, Any]:
    rows = [_server(server, period) for server in servers]
    usage: dict[str, Any] = {
        "tenant_id": project_id,
        "start": clock.iso_micro(period.start, ""),
        "stop": clock.iso_micro(period.stop, ""),
        "total_hours": sum(row["hours"] for row in rows),
        "total_vcpus_usage": sum(row["hours"] * row["vcpus"] for row in rows),
        "total_memory_mb_usage": sum(row["hours"] * row["memory_mb"] for row in rows),
        "total_local_gb_usage": sum(row["hours"] * row["local_gb"] for row in rows),
    }
    if detailed:
        usage["server_usages"] = rows
    return usage


def _server(server: Any, period: Period) -> dict[str, Any]:
    ended = server.terminated_at
    seconds = (min(ended or period.stop, period.stop) - max(server.launched_at, period.start)).total_seconds()
    return {
        "instance_id": server.id,
        "name": server.name,
        "tenant_id": server.project_id,
        "flavor": server.flavor["original_name"],
        "vcpus": server.vcpus,
        "memory_mb": server.ram_mib,
        "local_gb": server.flavor["disk"] + server.flavor["ephemeral"],
        "started_at": clock.iso_micro(server.launched_at, ""),
        "ended_at": clock.iso_micro(ended, ""),
        "state": "terminated" if ended is not None else server.vm_state,
        "uptime": int(((ended or clock.utcnow()) - server.launched_at).total_seconds()),
        "hours": max(seconds, 0.0) / 3600,
    }


_ALL = "/v2.1/os-simple-tenant-usage"
_PERIOD = ("start", "end", "limit", "marker")
ROUTES = (
    Route("GET", _ALL, index, _PREFIX + "list", query=(*_PERIOD, "detailed"), closed=CLOSED),
    Route("GET", _ALL + "/{project_id}", show, _PREFIX + "show", target="handler", query=_PERIOD, closed=CLOSED),
)
