"""Hypervisors as the API shows them, and what is read of hosts for it. Source: compute API reference, "Hypervisors"."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from msgspec import UNSET, Struct, UnsetType

from gureum.agents.hypervisor.protocol import HostResources
from gureum.foundation import clock
from gureum.foundation.http.call import Call
from gureum.foundation.http.versioned import Since, Takes, Until
from gureum.foundation.http.views import JsonValue, View
from gureum.foundation.shapes import converted
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.hosts.model import Watched
from gureum.services.compute.hosts.numbers import ShownId, shown
from gureum.services.placement.facade import Holding

LAST_WITH_AMOUNTS = (2, 87)
Amount = Annotated[int, Until(2, 87)]


class HostRow(Watched, Struct, frozen=True, gc=False):
    """What is read of a host."""

    id: str
    service_id: str
    name: str
    resources: dict[str, Any]
    seen_at: float
    disabled: bool
    disabled_reason: str | None
    forced_down: bool


class ServerName(View):
    uuid: str
    name: str


class ServiceOfHost(View):
    id: ShownId
    host: str
    disabled_reason: str | None


class HypervisorName(View):
    """`servers` when they were asked for; before 2.75 only of hosts that have some."""

    id: ShownId
    hypervisor_hostname: str
    state: str
    status: str
    servers: list[ServerName] | UnsetType = UNSET


class HypervisorUptime(HypervisorName, kw_only=True):
    uptime: str


class HypervisorDetail(HypervisorName, kw_only=True):
    """`cpu_info` is a text of JSON before 2.28."""

    hypervisor_type: str
    hypervisor_version: int
    host_ip: str
    service: ServiceOfHost
    uptime: Annotated[str | None, Since(2, 88)]
    cpu_info: Annotated[
        dict[str, JsonValue] | str, Until(2, 87), Takes((2, 1), str), Takes((2, 28), dict[str, JsonValue])
    ]
    vcpus: Amount
    vcpus_used: Amount
    memory_mb: Amount
    memory_mb_used: Amount
    free_ram_mb: Amount
    local_gb: Amount
    local_gb_used: Amount
    free_disk_gb: Amount
    disk_available_least: Amount
    running_vms: Amount
    current_workload: Amount


class Statistics(View):
    count: int
    vcpus: int
    vcpus_used: int
    memory_mb: int
    memory_mb_used: int
    free_ram_mb: int
    local_gb: int
    local_gb_used: int
    free_disk_gb: int
    disk_available_least: int
    running_vms: int
    current_workload: int


class Amounts(NamedTuple):
    """Totals, what is used and what is free; nothing is overcommitted in these figures."""

    vcpus: int = 0
    vcpus_used: int = 0
    memory_mb: int = 0
    memory_mb_used: int = 0
    free_ram_mb: int = 0
    local_gb: int = 0
    local_gb_used: int = 0
    free_disk_gb: int = 0
    running_vms: int = 0
    current_workload: int = 0


@dataclass(frozen=True, slots=True)
class Load:
    """What a page of hosts carries: inventories by provider, (servers, servers in change) by host name."""

    stock: Mapping[str, Mapping[str, Holding]]
    counts: Mapping[str, tuple[int, int]]

    def amounts(self, host: HostRow) -> Amounts:
        stock, none = self.stock.get(host.id, {}), Holding(0, 0, 0)
        cpu, ram, disk = (stock.get(name, none) for name in ("VCPU", "MEMORY_MB", "DISK_GB"))
        return Amounts(
            cpu.total,
            cpu.used,
            ram.total,
            ram.used + ram.reserved,
            ram.total - ram.used - ram.reserved,
            disk.total,
            disk.used + disk.reserved,
            disk.total - disk.used - disk.reserved,
            *self.counts.get(host.name, (0, 0)),
        )


NO_LOAD = Load({}, {})
"""For versions that show no amounts."""
Servers = Mapping[str, list[ServerName]]
"""By the name of their host."""


def name_of(call: Call[ComputeDeps], host: HostRow, servers: Servers | None) -> HypervisorName:
    return HypervisorName(*_columns(call, host, servers))


def uptime_of(call: Call[ComputeDeps], host: HostRow, uptime: str) -> HypervisorUptime:
    return HypervisorUptime(*_columns(call, host, None), uptime=uptime)


def detail_of(call: Call[ComputeDeps], host: HostRow, load: Load, servers: Servers | None) -> HypervisorDetail:
    resources = converted(host.resources, HostResources)
    amounts = load.amounts(host)
    return HypervisorDetail(
        *_columns(call, host, servers),
        hypervisor_type=resources.hypervisor_type,
        hypervisor_version=resources.hypervisor_version,
        host_ip=resources.host_ip,
        service=ServiceOfHost(shown(host.service_id, call.version), host.name, host.disabled_reason),
        uptime=told_uptime(call, host) or None,
        cpu_info=json.loads(resources.cpu_info or "{}") if call.at_least(2, 28) else resources.cpu_info,
        disk_available_least=amounts.free_disk_gb,
        **amounts._asdict(),
    )


def statistics_of(hosts: Sequence[HostRow], load: Load) -> Statistics:
    total = Amounts(*map(sum, zip(Amounts(), *map(load.amounts, hosts), strict=True)))
    return Statistics(count=len(hosts), disk_available_least=total.free_disk_gb, **total._asdict())


def is_up(call: Call[ComputeDeps], host: HostRow) -> bool:
    return host.is_up(clock.now(), call.deps.hosts.timeout_s)


def told_uptime(call: Call[ComputeDeps], host: HostRow) -> str:
    """What its last heartbeat said; "" for a host that is down or told nothing."""
    return call.deps.hosts.uptime(host.name) if is_up(call, host) else ""


def _columns(
    call: Call[ComputeDeps], host: HostRow, servers: Servers | None
) -> tuple[str | int, str, str, str, list[ServerName] | UnsetType]:
    """The fields of a `HypervisorName`."""
    here: list[ServerName] | UnsetType = UNSET
    if servers is not None and (host.name in servers or call.at_least(2, 75)):
        here = servers.get(host.name, [])
    state, status = "up" if is_up(call, host) else "down", "disabled" if host.disabled else "enabled"
    return shown(host.id, call.version), host.name, state, status, here
