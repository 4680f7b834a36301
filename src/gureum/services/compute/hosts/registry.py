"""What the control plane knows of hosts: heartbeats in, facts for placement out, and calls to their agents.

Heartbeats arrive often and from many; they are gathered in memory and written once a second in one
transaction. What a heartbeat observes is compared with the rows: a server that no row places on the host is
removed from it, one that should run and does not is set going again. Losing heartbeats costs latency only.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Integer, bindparam, or_, select, type_coerce, update

from gureum.agents.hypervisor.protocol import (
    AgentDirectory,
    HostObserved,
    HostResources,
    HypervisorAgent,
    ServerObserved,
)
from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.prepared import Prepared, as_tuple
from gureum.foundation.events.outbox import Events
from gureum.foundation.fleet.calls import AgentCall, watched
from gureum.foundation.log import own_story, request_id, took
from gureum.foundation.metrics import Metrics
from gureum.foundation.tasks.store import Tasks
from gureum.services.compute.events import ServerStopped
from gureum.services.compute.hosts.model import Host
from gureum.services.compute.servers.model import IMAGE_STATES, POWER_STATES, TASK_KIND, Server, ServerAction
from gureum.services.compute.servers.rules import HostFacts
from gureum.services.placement.facade import Inventory, PlacementFacade, ProviderReport

log = logging.getLogger("gureum.hosts")

COMPARE_EVERY_S = 20.0
FIRST_HOST_WITHIN_S = 60.0
WRITTEN_WITHIN_S = 0.5
AT_ONCE = 500
BUILD_WITHIN = timedelta(seconds=3)
"""How long a host may show nothing of a server that it is to build; then the server's task looks after it."""


DELETED_WITHIN = timedelta(seconds=10)
"""How long a heartbeat may still tell of a server that was deleted."""

CHANGED_WITHIN = timedelta(seconds=3)
"""How long before its arrival a heartbeat may have looked at the servers: it knows no later change of one."""


@dataclass(frozen=True, slots=True)
class HostOptions:
    """Overcommitment ratios, and after how many silent seconds a host is down."""

    cpu_ratio: float = 16.0
    ram_ratio: float = 1.0
    disk_ratio: float = 1.0
    timeout_s: float = 8.0


_FLAGS = (type_coerce(Host.disabled, Integer), type_coerce(Host.forced_down, Integer))
"""As the database says them: a choice reads thousands, and turning them into booleans takes as long as the query."""
_PLACED = Prepared(
    select(Server.host, Server.id, Server.updated_at, Server.vm_state, Server.task_state, Server.done_boot).where(
        Server.host.in_(bindparam("hosts", expanding=True)), Server.deleted_at.is_(None)
    )
)
_FACTS = Prepared(select(Host.name, Host.zone, Host.seen_at, *_FLAGS), make=as_tuple)


class HostRegistry:
    """One per control-plane process. `flush` and `compare` are idempotent and run on one thread."""

    def __init__(  # noqa: PLR0917
        self,
        database: Database,
        tasks: Tasks,
        placement: PlacementFacade,
        agents: AgentDirectory,
        options: HostOptions,
        metrics: Metrics | None = None,
    ) -> None:
        self.options = options
        self._metrics = metrics or Metrics()
        self.events = Events()
        self._database = database
        self._tasks = tasks
        self._placement = placement
        self._agents = agents
        self._lock = threading.Lock()
        self._heard: dict[str, tuple[float, HostObserved]] = {}
        self._last_beats: dict[str, float] = {}
        self._uptimes: dict[str, str] = {}
        self._began = clock.now()
        self._compared: dict[str, tuple[float, tuple[ServerObserved, ...]]] = {}
        self._written: dict[str, HostResources] = {}

    def agent(self, host: str) -> HypervisorAgent:
        """The host's agent; each call of it is counted, and told in the log."""

        def note(call: AgentCall, seconds: float, error: Exception | None) -> None:
            self._metrics.agent_calls.labels(call.method.name).inc()
            if not call.options.quiet:
                end = f"failed: {error}" if error else "answered"
                log.info("call %s of host %s %s %s", call.method.name, host, end, took(seconds))

        return watched(HypervisorAgent, self._agents.agent(host), note)

    def heartbeat(self, observed: HostObserved) -> None:
        """Take note; written at the next flush."""
        self.note(observed)
        with self._lock:
            self._heard[observed.host] = (clock.now(), observed)

    def note(self, observed: HostObserved) -> None:
        """Only know that the host lives: for a process without workers, which writes nothing of it."""
        with self._lock:
            self._last_beats[observed.host] = clock.now()
            self._uptimes[observed.host] = observed.uptime

    def heard(self) -> list[HostObserved]:
        with self._lock:
            return [observed for _, observed in self._heard.values()]

    def facts(self, tx: Tx) -> dict[str, HostFacts]:
        """Every host as placement sees it."""
        since = clock.now() - self.options.timeout_s
        return {
            name: HostFacts(zone, not forced and seen >= since, not disabled)
            for name, zone, seen, disabled, forced in _FACTS.all(tx)
        }

    def is_up(self, seen_at: float | None, *, forced_down: bool | None) -> bool:
        """Whether a host with these columns is up; None are those of a host that is gone."""
        return seen_at is not None and not forced_down and seen_at >= clock.now() - self.options.timeout_s

    def answers(self, name: str) -> bool:
        """Whether a call to the host has a chance: this process heard it lately, or is too young to know."""
        return clock.now() - self._last_beats.get(name, self._began) <= self.options.timeout_s

    def uptime(self, name: str) -> str:
        """How long the host is up, as its last heartbeat said; "" when it did not say, or is silent."""
        return self._uptimes.get(name, "") if self.answers(name) else ""

    def awaits_hosts(self, facts: dict[str, HostFacts]) -> bool:
        """Whether hosts that this process is too young to have heard may still report: longest for the very first."""
        if not facts:
            return clock.now() - self._began <= FIRST_HOST_WITHIN_S
        young = clock.now() - self._began <= self.options.timeout_s
        return young and not all(host.up for host in facts.values())

    # -- heartbeats to rows ------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what was heard since the last flush: new hosts, changed inventories, and when each was seen."""
        with self._lock:
            heard, self._heard = self._heard, {}
        if not heard:
            return
        changed = [observed for _, observed in heard.values() if self._written.get(observed.host) != observed.resources]
        if changed:
            self._database.write(lambda tx: self._record_all(tx, changed))
            self._written.update({observed.host: observed.resources for observed in changed})
        moments: dict[float, list[str]] = {}
        newest = max(moment for moment, _ in heard.values())
        for name, (moment, _) in heard.items():
            moments.setdefault(newest if newest - moment < 1 else moment, []).append(name)
        self._database.write(lambda tx: _touch(tx, moments))
        self._compare_those_due(list(heard.values()))

    def _record_all(self, tx: Tx, changed: list[HostObserved]) -> None:
        for start in range(0, len(changed), AT_ONCE):
            self._record(tx, changed[start : start + AT_ONCE])

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
            "VCPU": Inventory(has.vcpus, 0, self.options.cpu_ratio, max_unit=has.vcpus),
            "MEMORY_MB": Inventory(has.ram_mib, 0, self.options.ram_ratio, max_unit=has.ram_mib),
            "DISK_GB": Inventory(has.disk_gib, 0, self.options.disk_ratio, max_unit=has.disk_gib),
        }
        return ProviderReport(host.id, host.name, inventories, frozenset(has.traits))

    # -- drift -------------------------------------------------------------------------------------------

    def _compare_those_due(self, heard: list[tuple[float, HostObserved]]) -> None:
        due = [(moment, seen) for moment, seen in heard if not seen.servers_age_s and self._is_due(seen)]
        placed = self._placed([observed.host for _, observed in due])
        self._compared.update({observed.host: (clock.now(), observed.servers) for _, observed in due})
        for moment, observed in due:
            try:
                with own_story():
                    self._compare(observed, placed[observed.host], clock.from_seconds(moment) - CHANGED_WITHIN)
            except Exception:
                log.exception("comparing host %s failed", observed.host)

    def _is_due(self, observed: HostObserved) -> bool:
        moment, servers = self._compared.get(observed.host, (0.0, ()))
        return not moment or servers != observed.servers or clock.now() - moment >= COMPARE_EVERY_S

    def _placed(self, hosts: list[str]) -> defaultdict[str, list[Any]]:
        """The rows of servers that are placed on the hosts. Read after the hosts were observed: a server is placed
        before its host hears of it."""
        rows: defaultdict[str, list[Any]] = defaultdict(list)
        for start in range(0, len(hosts), AT_ONCE):
            with self._database.read() as tx:
                for row in _PLACED.all(tx, hosts=hosts[start : start + AT_ONCE]):
                    rows[row.host].append(row)
        return rows

    def _compare(self, observed: HostObserved, wanted: Sequence[Any], looked_at: datetime) -> None:
        """Repair what differs between the host and the rows; `looked_at` is the earliest that the host was observed."""
        there = {server.server_id: server for server in observed.servers}
        strangers = there.keys() - {row.id for row in wanted}
        if strangers and (leaving := self._just_deleted(strangers)):
            strangers -= leaving
            self._compared.pop(observed.host, None)  # the next heartbeat tells whether they are gone
        for server_id in strangers:
            log.warning("host %s holds server %s, which is not placed there: removing it", observed.host, server_id)
            self.agent(observed.host).remove_server(server_id)
        lost = [
            row
            for row in wanted
            if row.task_state is None
            and row.done_boot > 0
            and row.vm_state in ("active", "paused")
            and (row.id not in there or there[row.id].power not in ("running", "paused"))
        ]
        gone = [row.id for row in lost if row.updated_at < looked_at]
        if len(gone) < len(lost):
            self._compared.pop(observed.host, None)  # a start may have ended since; the next heartbeat tells
        if gone:
            log.warning("host %s does not run servers that should run: %s", observed.host, ", ".join(gone))
            self._database.write(lambda tx: self._revive(tx, gone))
        begun = clock.utcnow() - BUILD_WITHIN
        slow = [row.id for row in wanted if row.task_state == "spawning" and row.updated_at < begun]
        if unbuilt := [server_id for server_id in slow if server_id not in there]:
            self._database.write(lambda tx: self._tasks.signal(tx, TASK_KIND, unbuilt))

    def _just_deleted(self, server_ids: Collection[str]) -> set[str]:
        """Servers whose removal the host has confirmed since it was looked at: an ordinary deletion, no drift."""
        since = clock.utcnow() - DELETED_WITHIN
        with self._database.read() as tx:
            rows = tx.scalars(select(Server.id).where(Server.id.in_(server_ids), Server.deleted_at >= since))
            return set(rows)

    def _revive(self, tx: Tx, server_ids: list[str]) -> None:
        tx.execute(update(Server).where(Server.id.in_(server_ids), Server.task_state.is_(None)).values(done_spec=0))
        self._tasks.signal(tx, TASK_KIND, server_ids)

    def server_changed(self, host: str, observed: ServerObserved) -> None:
        """A guest changed its power by itself: the row follows, unless something is being done to the server."""

        undisturbed = or_(Server.task_state.is_(None), Server.task_state.in_(IMAGE_STATES))

        def follow(tx: Tx) -> None:
            server = tx.scalar(select(Server).where(Server.id == observed.server_id, Server.host == host, undisturbed))
            if server is None or server.vm_state != "active" or observed.power not in ("stopped", "crashed"):
                return
            server.power_state = POWER_STATES[observed.power]
            server.vm_state, server.wanted_power = "stopped", "stopped"
            server.spec += 1
            server.updated_at = clock.utcnow()
            _note_stop(tx, server, observed.power)
            self.events.emit(tx, ServerStopped.of(server))
            self._tasks.signal(tx, TASK_KIND, [server.id])
            tx.on_commit(lambda: log.info("host %s: server %s is %s by itself", host, server.id, observed.power))

        with own_story():
            self._database.write(follow)


_CAUSES: dict[str, tuple[str | None, str]] = {
    "stopped": (None, "The guest powered off by itself."),
    "crashed": (
        "The guest ended by itself.",
        "Its process was killed or failed: see the host's kernel log and libvirt's log of the guest.",
    ),
}


def _note_stop(tx: Tx, server: Server, power: str) -> None:
    """Nobody asked for this stop: the action has no user, and the request id of the cloud's own work."""
    message, details = _CAUSES[power]
    now = clock.utcnow()
    tx.add(
        ServerAction(
            server_id=server.id,
            action="stop",
            request_id=request_id.get(),
            user_id="",
            project_id=server.project_id,
            host=server.host,
            message=message,
            details=details,
            started_at=now,
            updated_at=now,
            finished_at=now,
        )
    )


def _touch(tx: Tx, moments: dict[float, list[str]]) -> None:
    for moment, names in moments.items():
        for start in range(0, len(names), AT_ONCE):
            # Every process with workers hears every heartbeat; one of them writes it.
            theirs = (Host.name.in_(names[start : start + AT_ONCE]), Host.seen_at < moment - WRITTEN_WITHIN_S)
            tx.execute(update(Host).where(*theirs).values(seen_at=moment))
