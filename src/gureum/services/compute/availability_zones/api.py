"""Routes of availability zones. Source: compute API reference, "Availability zones (os-availability-zone)".

A zone is a name that hosts carry (`aggregates/` sets it); it is available while one of its hosts is up and enabled.
Administrators see the zone of the control plane too, in which no server can be.
"""

from __future__ import annotations

from msgspec import field
from sqlalchemy import select

from gureum.foundation import clock
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import View
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


class ZoneState(View):
    available: bool


class ServiceState(View):
    available: bool
    active: bool
    updated_at: str | None


class ZoneView(View):
    """`hosts` are the services of each host by their programs' names; null in the list without details."""

    zone_name: str = field(name="zoneName")
    zone_state: ZoneState = field(name="zoneState")
    hosts: dict[str, dict[str, ServiceState]] | None


def index(call: Call[ComputeDeps]) -> list[ZoneView]:
    return _zones(call, with_hosts=False)


def detail(call: Call[ComputeDeps]) -> list[ZoneView]:
    return [_internal(), *_zones(call, with_hosts=True)]


def _internal() -> ZoneView:
    seen = clock.iso_micro(clock.utcnow(), "")
    hosts: dict[str, dict[str, ServiceState]] = {}
    for service in control_services():
        hosts.setdefault(service.host, {})[service.binary] = ServiceState(available=True, active=True, updated_at=seen)
    return ZoneView(INTERNAL_ZONE, ZoneState(available=True), hosts)


def _zones(call: Call[ComputeDeps], *, with_hosts: bool) -> list[ZoneView]:
    now, timeout_s = clock.now(), call.deps.hosts.timeout_s
    by_zone: dict[str, list[Host]] = {}
    for host in call.tx.scalars(select(Host).order_by(Host.name)):
        by_zone.setdefault(host.zone, []).append(host)
    views = []
    for zone in sorted(by_zone):
        up = {host.name: host.is_up(now, timeout_s) for host in by_zone[zone]}
        available = any(up[host.name] and not host.disabled for host in by_zone[zone])
        hosts = {host.name: {BINARY: _state(host, up=up[host.name])} for host in by_zone[zone]}
        views.append(ZoneView(zone, ZoneState(available), hosts if with_hosts else None))
    return views


def _state(host: Host, *, up: bool) -> ServiceState:
    return ServiceState(up, not host.disabled, clock.iso_micro(clock.from_seconds(host.seen_at), ""))


_ALL = "/v2.1/os-availability-zone"
ROUTES = (
    Route("GET", _ALL, index, _PREFIX + "list", envelope="availabilityZoneInfo"),
    Route("GET", _ALL + "/detail", detail, _PREFIX + "detail", envelope="availabilityZoneInfo"),
)
