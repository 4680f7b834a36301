"""What heartbeats observe of servers against the rows, repaired where it differs.

A server that no row places on the host is removed from it, one that should run and does not is set going again. The
comparison is made when the servers changed, and every `COMPARE_EVERY_S` seconds. It is idempotent.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, or_, select, update

from gureum.agents.hypervisor.protocol import HostObserved, HypervisorAgent, ServerObserved
from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.prepared import Prepared
from gureum.foundation.events.outbox import Events
from gureum.foundation.fleet.agents import Agents, Heartbeat
from gureum.foundation.fleet.silence import Silence
from gureum.foundation.log import own_story, request_id
from gureum.foundation.tasks.store import Tasks
from gureum.services.compute.events import ServerStopped
from gureum.services.compute.servers.model import IMAGE_STATES, POWER_STATES, TASK_KIND, Server, ServerAction

log = logging.getLogger("gureum.hosts")

COMPARE_EVERY_S = 20.0
AT_ONCE = 500
BUILD_WITHIN = timedelta(seconds=3)
"""How long a host may show nothing of a server that it is to build; then the server's task looks after it."""

DELETED_WITHIN = timedelta(seconds=10)
"""How long a heartbeat may still tell of a server that was deleted."""

CHANGED_WITHIN = timedelta(seconds=3)
"""How long before its arrival a heartbeat may have looked at the servers: it knows no later change of one."""

_PLACED = Prepared(
    select(Server.host, Server.id, Server.updated_at, Server.vm_state, Server.task_state, Server.done_boot).where(
        Server.host.in_(bindparam("hosts", expanding=True)), Server.deleted_at.is_(None)
    )
)


class ServerDrift:
    """One per process; `compare` runs on one thread."""

    def __init__(
        self, database: Database, tasks: Tasks, agents: Agents[HypervisorAgent, HostObserved], events: Events
    ) -> None:
        self._database = database
        self._tasks = tasks
        self._agents = agents
        self._events = events
        self._compared: dict[str, tuple[float, tuple[ServerObserved, ...]]] = {}

    def compare(self, beats: Sequence[Heartbeat[HostObserved]]) -> None:
        """Compare the hosts that are due."""
        due = [beat for beat in beats if not beat.report.servers_age_s and self._is_due(beat.report)]
        placed = self._placed([beat.host for beat in due])
        self._compared.update({beat.host: (clock.now(), beat.report.servers) for beat in due})
        for beat in due:
            try:
                with own_story():
                    looked_at = clock.from_seconds(beat.heard_at) - CHANGED_WITHIN
                    self._compare(beat.report, placed[beat.host], looked_at)
            except Exception:
                log.exception("comparing host %s failed", beat.host)

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
            if (silence := self._remove(observed.host, server_id)) is not None:
                log.warning("host %s is compared later: waiting for %s", observed.host, silence.awaited)
                break  # after `COMPARE_EVERY_S`: asking it may take a minute
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

    def _remove(self, host: str, server_id: str) -> Silence | None:
        return self._agents.ask(host, lambda agent: agent.remove_server(server_id))

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
            self._events.emit(tx, ServerStopped.of(server))
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
