"""What heartbeats say of hosts, written down: new hosts, what they offer, and when each was heard.

A host's row is made by its first heartbeat; its inventories go to placement, under the provider of the same id.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import select

from gureum.agents.hypervisor.protocol import HostObserved, HostResources
from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.fleet.agents import Heartbeat
from gureum.foundation.fleet.directory import note_heard
from gureum.services.compute.hosts.model import Host
from gureum.services.placement.facade import Inventory, PlacementFacade, ProviderReport

log = logging.getLogger("gureum.hosts")

AT_ONCE = 500
LOOK_EVERY_S = 20.0
"""How often hosts that report are compared with the rows: an operator may have deleted one."""


@dataclass(frozen=True, slots=True)
class Ratios:
    """How many times its processors, memory and disk a host may give away."""

    cpu: float = 16.0
    ram: float = 1.0
    disk: float = 1.0


class HostInventories:
    """One per process; `record` is idempotent and runs on one thread."""

    def __init__(self, placement: PlacementFacade, ratios: Ratios) -> None:
        self._placement = placement
        self._ratios = ratios
        self._written: dict[str, HostResources] = {}
        self._looked_at = 0.0

    def record(self, tx: Tx, beats: Sequence[Heartbeat[HostObserved]]) -> None:
        """Write what these heartbeats say and the last ones did not, and when each host was heard."""
        missing = self._missing(tx, beats)
        changed = [
            beat.report
            for beat in beats
            if self._written.get(beat.host) != beat.report.resources or beat.host in missing
        ]
        for start in range(0, len(changed), AT_ONCE):
            self._record(tx, changed[start : start + AT_ONCE])
        tx.on_commit(lambda: self._written.update({observed.host: observed.resources for observed in changed}))
        note_heard(tx, Host.name, Host.seen_at, beats)

    def _missing(self, tx: Tx, beats: Sequence[Heartbeat[HostObserved]]) -> set[str]:
        """Hosts that report and have no row, where it is time to look."""
        if clock.now() - self._looked_at < LOOK_EVERY_S:
            return set()
        tx.on_commit(self._note_look)
        return {beat.host for beat in beats} - set(tx.scalars(select(Host.name)))

    def _note_look(self) -> None:
        self._looked_at = clock.now()

    def _record(self, tx: Tx, changed: list[HostObserved]) -> None:
        names = [observed.host for observed in changed]
        hosts = {host.name: host for host in tx.scalars(select(Host).where(Host.name.in_(names)))}
        for observed in changed:
            if observed.host not in hosts:
                hosts[observed.host] = Host(
                    id=ids.new_uuid(), service_id=ids.new_uuid(), name=observed.host, resources={}, seen_at=0.0
                )
                tx.add(hosts[observed.host])
                log.info("host %s is new", observed.host)
            host = hosts[observed.host]
            host.resources = msgspec.to_builtins(observed.resources)
            host.version = observed.version
            host.updated_at = clock.utcnow()
        self._placement.ensure_providers(
            tx, [self._report(hosts[observed.host], observed.resources) for observed in changed]
        )

    def _report(self, host: Host, has: HostResources) -> ProviderReport:
        inventories = {
            "VCPU": Inventory(has.vcpus, 0, self._ratios.cpu, max_unit=has.vcpus),
            "MEMORY_MB": Inventory(has.ram_mib, 0, self._ratios.ram, max_unit=has.ram_mib),
            "DISK_GB": Inventory(has.disk_gib, 0, self._ratios.disk, max_unit=has.disk_gib),
        }
        return ProviderReport(host.id, host.name, inventories, frozenset(has.traits))
