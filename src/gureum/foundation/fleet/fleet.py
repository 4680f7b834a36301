"""The hosts of a cloud: the kinds of agents whose heartbeats this process hears, and who handles their reports.

Heartbeats arrive often and from many; they are gathered in memory and written once a second. Processes that run tasks
write them; the others only note which hosts are up. Losing heartbeats costs latency only.
Invariant: kinds do not disturb each other; what fails for one is logged, and the next heartbeat tells it again.
Read next: `agents.py`, `directory.py`; `gureum/foundation/service.py`, where a service subscribes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, cast

from gureum.foundation.bus.interface import Bus
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.fleet.agents import SILENT_AFTER_S, Agents, AnyAgents, Heartbeat
from gureum.foundation.fleet.directory import Directory
from gureum.foundation.fleet.kind import A, AgentKind, AgentSource, AgentsOverBus, R, Stop
from gureum.foundation.metrics import Metrics

log = logging.getLogger("gureum.hosts")

WRITE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Reports(Generic[R]):
    """What a service does with the reports of a kind of agent.

    `arrived` runs in every process, at once and for each report: it touches memory only. `record` and `compare` run in
    processes with workers, once a second, with the newest report of each host that was heard: `record` in one
    transaction, to write what they say (it may be repeated), then `compare` outside of one and on a thread of its own,
    to repair what differs.
    Several processes do so for the same reports: all of it is idempotent.
    """

    kind: AgentKind[Any, R]
    arrived: Callable[[Heartbeat[R]], None] | None = None
    record: Callable[[Tx, Sequence[Heartbeat[R]]], None] | None = None
    compare: Callable[[Sequence[Heartbeat[R]]], None] | None = None


class Fleet:
    """One per process of the control plane."""

    def __init__(self, database: Database, bus: Bus, metrics: Metrics) -> None:
        self._database = database
        self._bus = bus
        self._metrics = metrics
        self._agents: dict[str, AnyAgents] = {}
        self._subscribers: dict[str, list[Reports[Any]]] = {}
        self._directory = Directory()
        self._lock = threading.Lock()
        self._recorded: dict[str, dict[str, Heartbeat[Any]]] = {}

    def agents(
        self, kind: AgentKind[A, R], source: AgentSource[A, R] | None = None, timeout_s: float | None = None
    ) -> Agents[A, R]:
        """The agents of a kind, the same object for every caller. They are found over the bus and silent after
        `SILENT_AFTER_S`, unless the service whose agents they are names another source or time.
        """
        if kind.name not in self._agents:
            over_bus = AgentsOverBus(kind, self._bus)
            self._agents[kind.name] = Agents(kind, over_bus, SILENT_AFTER_S, metrics=self._metrics)
        agents = cast("Agents[A, R]", self._agents[kind.name])
        agents.source = source or agents.source
        agents.timeout_s = agents.timeout_s if timeout_s is None else timeout_s
        return agents

    def subscribe(self, subscribers: Iterable[Reports[Any]]) -> None:
        for subscriber in subscribers:
            self.agents(subscriber.kind)
            self._subscribers.setdefault(subscriber.kind.name, []).append(subscriber)

    def listen(self, *, keep: bool) -> Stop:
        """Hear every kind's heartbeats until the returned function is called; with `keep`, to take them in."""
        stops = [agents.source.hear(self._hearer(agents, keep=keep)) for agents in self._agents.values()]
        if keep:
            self.take_in()

        def stop() -> None:
            for each in stops:
                each()

        return stop

    def hear(self, kind: AgentKind[Any, R], report: R, *, keep: bool = True) -> None:
        """As if this report had just arrived."""
        self._hearer(self.agents(kind), keep=keep)(report)

    def _hearer(self, agents: AnyAgents, *, keep: bool) -> Callable[[Any], None]:
        subscribers = self._subscribers.get(agents.kind.name, [])
        handlers = [subscriber.arrived for subscriber in subscribers if subscriber.arrived is not None]

        def heard(report: Any) -> None:
            beat = agents.arrived(report, keep=keep)
            for arrived in handlers:
                arrived(beat)

        return heard

    def take_in(self) -> None:
        """Write and compare what was heard since the last time."""
        self.record()
        self.compare()

    def record(self) -> None:
        """Write what was heard since the last time, kind by kind. It waits for no host."""
        for name, agents in self._agents.items():
            if beats := agents.take():
                try:
                    self._record(name, beats)
                except Exception:
                    log.exception("the heartbeats of %s agents could not be taken in", name)

    def _record(self, kind: str, beats: list[Heartbeat[Any]]) -> None:
        subscribers = self._subscribers.get(kind, [])

        def write(tx: Tx) -> None:
            self._directory.record(tx, kind, beats)
            for subscriber in subscribers:
                if subscriber.record is not None:
                    subscriber.record(tx, beats)

        # Every process with workers writes the same rows: where they clash, they take turns among themselves.
        self._database.write(write, "heartbeats")
        with self._lock:
            self._recorded.setdefault(kind, {}).update({beat.host: beat for beat in beats})

    def compare(self) -> None:
        """Compare what was written since the last time. It asks hosts: one that hangs may hold it up for a minute."""
        with self._lock:
            recorded, self._recorded = self._recorded, {}
        for kind, beats in recorded.items():
            for subscriber in self._subscribers.get(kind, []):
                if subscriber.compare is not None:
                    try:
                        subscriber.compare(list(beats.values()))
                    except Exception:
                        log.exception("what %s agents reported could not be compared", kind)
