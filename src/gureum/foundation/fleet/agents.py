"""The agents of one kind, as a process of the control plane knows them: who was heard lately, and how one is asked.

Liveness is this process's own: a host is silent when no report of it arrived within `timeout_s`. A process that is
younger than that has had no time to hear any, and takes every host for up.
Invariant: nothing here raises for silence; it is an answer (`silence.py`). Read next: `fleet.py`, which listens.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gureum.foundation import clock
from gureum.foundation.bus.interface import BusError
from gureum.foundation.fleet.calls import AgentCall, AgentTooOld, watched
from gureum.foundation.fleet.kind import A, AgentKind, AgentSource, R
from gureum.foundation.fleet.silence import Cause, Silence, forget
from gureum.foundation.log import took
from gureum.foundation.metrics import Metrics
from gureum.foundation.tasks.lifecycle import Run

log = logging.getLogger("gureum.hosts")

T = TypeVar("T")
SILENT_AFTER_S = 8.0


@dataclass(frozen=True, slots=True)
class Heartbeat(Generic[R]):
    """A report as it arrived, by the control plane's clock. It begins the same for agents of every kind."""

    kind: str
    heard_at: float
    report: R

    @property
    def host(self) -> str:
        return self.report.host

    @property
    def version(self) -> int:
        return self.report.version

    @property
    def started_at(self) -> float:
        return self.report.started_at


class Agents(Generic[A, R]):
    """One for each kind and process. Safe to use from several threads."""

    def __init__(
        self, kind: AgentKind[A, R], source: AgentSource[A, R], timeout_s: float = SILENT_AFTER_S, *, metrics: Metrics
    ) -> None:
        self.kind = kind
        self.source = source
        self.timeout_s = timeout_s
        self._metrics = metrics
        self._began = clock.now()
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}
        self._waiting: dict[str, Heartbeat[R]] = {}

    # -- asking ------------------------------------------------------------------------------------------

    def ask(self, host: str, call: Callable[[A], T], run: Run | None = None) -> T | Silence:
        """The answer to `call(agent)`, or a Silence. Raises AgentFailure, which is an answer too.

        A host that is silent already is not asked. A step passes its `run`, so that its next silence counts anew.
        """
        if (silence := self.silence(host)) is not None:
            return silence
        try:
            answer = call(self._agent(host))
        except AgentTooOld as error:
            return Silence(host, Cause.TOO_OLD, str(error))
        except BusError as error:
            return Silence(host, Cause.UNANSWERED, str(error))
        if run is not None:
            forget(run)
        return answer

    def silence(self, host: str) -> Silence | None:
        """A Silence when the host is down, else None."""
        return None if self.answers(host) else Silence(host, Cause.DOWN)

    def _agent(self, host: str) -> A:
        """The host's agent; each call of it is counted, and told in the log."""

        def note(call: AgentCall, seconds: float, error: Exception | None) -> None:
            self._metrics.agent_calls.labels(call.method.name).inc()
            if not call.options.quiet:
                end = f"failed: {error}" if error else "answered"
                log.info("call %s of host %s %s %s", call.method.name, host, end, took(seconds))

        return watched(self.kind.protocol, self.source.agent(host), note)

    # -- liveness ----------------------------------------------------------------------------------------

    @property
    def age_s(self) -> float:
        """For how long this process has listened."""
        return clock.now() - self._began

    def answers(self, host: str) -> bool:
        """Whether a call to the host has a chance: this process heard it lately, or is too young to know."""
        return clock.now() - self._last.get(host, self._began) <= self.timeout_s

    def is_recent(self, seen_at: float) -> bool:
        """Whether a moment that another process noted is recent enough for the host to be up."""
        return seen_at >= clock.now() - self.timeout_s

    # -- reports -----------------------------------------------------------------------------------------

    def arrived(self, report: R, *, keep: bool) -> Heartbeat[R]:
        """Note that the host lives; with `keep`, also what it said, until `take`."""
        beat = Heartbeat(self.kind.name, clock.now(), report)
        with self._lock:
            self._last[beat.host] = beat.heard_at
            if keep:
                self._waiting[beat.host] = beat
        return beat

    def take(self) -> list[Heartbeat[R]]:
        """The last report of each host that was kept since the last time."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        return list(waiting.values())


AnyAgents = Agents[Any, Any]
