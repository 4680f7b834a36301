"""What the servers of projects consumed between two moments.

Source: compute API reference, "Usage reports (os-simple-tenant-usage)". Hours run from a server's launch to its end,
cut to the asked period; amounts are hours times vCPUs, MiB and GiB.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import or_

from gureum.foundation import clock
from gureum.foundation.errors import BadRequest
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection, Condition, links
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Link, Listed, View
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
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


class ServerRow(Struct, frozen=True, gc=False):
    """What a report reads of a server."""

    id: str
    name: str
    project_id: str
    flavor: dict[str, Any]
    vcpus: int
    ram_mib: int
    vm_state: str
    launched_at: datetime
    terminated_at: datetime | None


class ServerUsage(View):
    instance_id: str
    name: str
    tenant_id: str
    flavor: str
    vcpus: int
    memory_mb: int
    local_gb: int
    started_at: str
    ended_at: str | None
    state: str
    uptime: int
    hours: float


class ProjectUsage(View):
    tenant_id: str
    start: str
    stop: str
    total_hours: float
    total_vcpus_usage: float
    total_memory_mb_usage: float
    total_local_gb_usage: float
    server_usages: list[ServerUsage] | UnsetType = UNSET


class UsageDocument(View):
    tenant_usage: ProjectUsage
    tenant_usage_links: list[Link] | UnsetType = UNSET


class NoUsage(View):
    """The answer for a project without servers in the period."""


class NoUsageDocument(View):
    tenant_usage: NoUsage


def index(call: Call[ComputeDeps]) -> Listed[ProjectUsage]:
    period = _period(call)
    rows, marker = _page(call, period)
    by_project: dict[str, list[ServerRow]] = {}
    for row in rows:
        by_project.setdefault(row.project_id, []).append(row)
    detailed = call.param("detailed") == "1"
    usages = [_usage(project, servers, period, detailed=detailed) for project, servers in by_project.items()]
    return Listed(usages, links.next_link(call, "tenant_usages_links", marker))


def show(call: Call[ComputeDeps], project_id: str) -> UsageDocument | NoUsageDocument:
    call.enforce(project_id=project_id)
    period = _period(call)
    rows, marker = _page(call, period, Server.project_id == project_id)
    if not rows:
        return NoUsageDocument(NoUsage())
    more = links.next_link(call, "tenant_usage_links", marker)
    return UsageDocument(_usage(project_id, rows, period, detailed=True), **more)


_USED = Collection(
    name="servers",
    model=Server,
    sort_keys={"project_id": Server.project_id},
    order=(("project_id", False),),
    pages=PAGES,
    record=ServerRow,
)
"""Servers as reports count them, deleted ones too."""


def _page(call: Call[ComputeDeps], period: Period, *within: Condition) -> tuple[Sequence[ServerRow], str | None]:
    """The page's servers, and the marker of the next one. Paging since 2.40; before, the first page is all there is."""
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
    return page.rows, page.last if paged else None


def _period(call: Call[ComputeDeps]) -> Period:
    now = clock.utcnow()
    start, stop = call.param("start"), call.param("end")
    begun = filters.moment("start", start) if start else now - timedelta(days=28)
    ended = filters.moment("end", stop) if stop else now
    if begun >= ended:
        raise BadRequest("Invalid start time. The start time cannot occur after the end time.")
    return Period(begun, ended)


def _usage(project_id: str, servers: Iterable[ServerRow], period: Period, *, detailed: bool) -> ProjectUsage:
    usages = [_server(server, period) for server in servers]
    return ProjectUsage(
        project_id,
        clock.iso_micro(period.start, ""),
        clock.iso_micro(period.stop, ""),
        sum(usage.hours for usage in usages),
        sum(usage.hours * usage.vcpus for usage in usages),
        sum(usage.hours * usage.memory_mb for usage in usages),
        sum(usage.hours * usage.local_gb for usage in usages),
        usages if detailed else UNSET,
    )


def _server(server: ServerRow, period: Period) -> ServerUsage:
    ended = server.terminated_at
    seconds = (min(ended or period.stop, period.stop) - max(server.launched_at, period.start)).total_seconds()
    return ServerUsage(
        server.id,
        server.name,
        server.project_id,
        server.flavor["original_name"],
        server.vcpus,
        server.ram_mib,
        server.flavor["disk"] + server.flavor["ephemeral"],
        clock.iso_micro(server.launched_at, ""),
        clock.iso_micro(ended, ""),
        "terminated" if ended is not None else server.vm_state,
        int(((ended or clock.utcnow()) - server.launched_at).total_seconds()),
        max(seconds, 0.0) / 3600,
    )


_ALL = "/v2.1/os-simple-tenant-usage"
_PERIOD = ("start", "end", "limit", "marker")
ROUTES = (
    Route("GET", _ALL, index, _PREFIX + "list", envelope="tenant_usages", query=(*_PERIOD, "detailed"), closed=CLOSED),
    Route("GET", _ALL + "/{project_id}", show, _PREFIX + "show", target="handler", query=_PERIOD, closed=CLOSED),
)
