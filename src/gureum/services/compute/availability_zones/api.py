"""Routes of availability zones. Source: compute API reference, "Availability zones (os-availability-zone)".

A zone is a name that hosts carry (`aggregates/` sets it); it is available while one of its hosts is up and enabled.
Administrators see the zone of the control plane too, in which no server can be.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from gureum.foundation import clock
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.hosts.control import INTERNAL_ZONE, control_services
from gureum.services.compute.hosts.model import Host

_PREFIX = "os_compute_api:os-availability-zone:"
BINARY = "nova-compute"

RULES = (
    Rule(_PREFIX + "list", "rule:any_authenticated", "List availability zones", unbounded="the same for every project"),
    Rule(_PREFIX + "detail", "rule:admin", "List availability zones with their hosts"),
)


def index(call: Call[ComputeDeps]) -> dict[str, Any]:
    return {"availabilityZoneInfo": _zones(call, hosts=False)}


def detail(call: Call[ComputeDeps]) -> dict[str, Any]:
    return {"availabilityZoneInfo": [_internal(), *_zones(call, hosts=True)]}


def _internal() -> dict[str, Any]:
    seen = clock.iso_micro(clock.utcnow(), "")
    hosts: dict[str, dict[str, Any]] = {}
    for service in control_services():
        hosts.setdefault(service.host, {})[service.binary] = {"available": True, "active": True, "updated_at": seen}
    return {"zoneName": INTERNAL_ZONE, "zoneState": {"available": True}, "hosts": hosts}


def _zones(call: Call[ComputeDeps], *, hosts: bool) -> list[dict[str, Any]]:
    now, timeout_s = clock.now(), call.deps.hosts.timeout_s
    by_zone: dict[str, list[Host]] = {}
    for host in call.tx.scalars(select(Host).order_by(Host.name)):
        by_zone.setdefault(host.zone, []).append(host)
    found = []
    for zone in sorted(by_zone):
        up = {host.name: host.is_up(now, timeout_s) for host in by_zone[zone]}
        available = any(up[host.name] and not host.disabled for host in by_zone[zone])
        members = {host.name: {BINARY: _service(host, up=up[host.name])} for host in by_zone[zone]}
        found.append({"zoneName": zone, "zoneState": {"available": available}, "hosts": members if hosts else None})
    return found


def _service(host: Host, *, up: bool) -> dict[str, Any]:
    seen = clock.iso_micro(clock.from_seconds(host.seen_at), "")
    return {"available": up, "active": not host.disabled, "updated_at": seen}


_ALL = "/v2.1/os-availability-zone"
ROUTES = (
    Route("GET", _ALL, index, _PREFIX + "list"),
    Route("GET", _ALL + "/detail", detail, _PREFIX + "detail"),
)
