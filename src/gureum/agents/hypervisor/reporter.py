"""What an agent tells unasked: a heartbeat every few seconds, and a server that changed by itself at once.

Three threads: one looks at the servers, one measures what the host can give, one sends what the two found. An engine
that takes long for an answer delays no heartbeat. An engine that fails, or gives no answer for `STALE_S`, does: such a
host can do no work. Losing a report costs latency only.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Protocol

import msgspec

from gureum.agents.hypervisor.protocol import PROTOCOL_VERSION, AgentEvents, HostObserved, HostResources, ServerObserved
from gureum.agents.hypervisor.uptime import uptime_now
from gureum.foundation.fleet.failure import AgentFailure

_log = logging.getLogger("gureum.agents.hypervisor.reporter")

STALE_S = 60.0
"""A host whose servers could not be looked at for so long sends no heartbeat."""
_RESOURCES_EVERY_S = 60.0
_RESOURCES_SHARE = 20  # measuring takes at most this part of the engine's time
_SLOW_S = 5.0


class Observable(Protocol):
    """What a reporter needs of an agent. Every method may take its time, and raises AgentFailure."""

    def observe_servers(self) -> tuple[ServerObserved, ...]: ...

    def observe_server(self, server_id: str) -> ServerObserved: ...

    def measure_resources(self) -> HostResources: ...


class _Findings(msgspec.Struct):
    """What the threads share, under the reporter's condition. `fresh` until the servers are sent once."""

    resources: HostResources | None = None
    servers: tuple[ServerObserved, ...] = ()
    looked_at: float = 0.0
    fresh: bool = False
    problem: str = "the hypervisor was not asked yet"


class Reporter:
    """Runs from construction to `stop`."""

    def __init__(self, agent: Observable, events: AgentEvents, host: str, heartbeat_s: float) -> None:
        self._agent = agent
        self._events = events
        self._host = host
        self._heartbeat_s = heartbeat_s
        self._started_at = time.time()
        self._woken = threading.Condition()
        self._changed: dict[str, None] = {}
        self._stopped = False
        self._told_problem = ""
        self._found = _Findings()
        self._threads = [
            threading.Thread(target=body, name=name, daemon=True)
            for name, body in (
                ("heartbeat", self._beat_forever),
                ("observer", self._look_forever),
                ("resources", self._measure_forever),
            )
        ]
        for thread in self._threads:
            thread.start()

    def changed(self, server_id: str) -> None:
        """Report this server soon. Returns at once; safe to call from the engine's own threads."""
        with self._woken:
            self._changed[server_id] = None
            self._woken.notify_all()

    def stop(self) -> None:
        with self._woken:
            self._stopped = True
            self._woken.notify_all()
        deadline = time.monotonic() + 5
        for thread in self._threads:  # one that waits for the engine ends with the process
            thread.join(timeout=max(0.0, deadline - time.monotonic()))

    # -- the heartbeat: sends, never asks the engine ------------------------------------------------------

    def _beat_forever(self) -> None:
        while True:
            with self._woken:
                self._woken.wait_for(lambda: self._stopped or self._found.fresh, self._heartbeat_s * 1.5)
                if self._stopped:
                    return
                problem, beat = self._problem(), self._content()
                self._found.fresh = False
            if beat is None:
                if problem != self._told_problem:
                    _log.warning("no heartbeat: %s", problem)
            else:
                problem = self._send(beat)
            self._told_problem = problem

    def _problem(self) -> str:
        found = self._found
        if found.problem or found.resources is None:
            return found.problem or "what the host can give is not measured yet"
        silent_s = time.monotonic() - found.looked_at
        return "" if silent_s < STALE_S else f"the hypervisor gives no answer for over {STALE_S:.0f} s"

    def _content(self) -> HostObserved | None:
        found = self._found
        if self._problem() or found.resources is None:
            return None
        age_s = 0.0 if found.fresh else time.monotonic() - found.looked_at
        said = (found.resources, found.servers, uptime_now(), age_s)
        return HostObserved(self._host, PROTOCOL_VERSION, *said, started_at=self._started_at)

    def _send(self, beat: HostObserved) -> str:
        try:
            self._events.heartbeat(beat)
        except Exception as error:
            if self._told_problem != repr(error):
                _log.exception("no heartbeat")
            return repr(error)
        return ""

    # -- the look at the servers ---------------------------------------------------------------------------

    def _look_forever(self) -> None:
        look_at = 0.0
        while True:
            with self._woken:
                left_s = max(look_at - time.monotonic(), 0)
                self._woken.wait_for(lambda: self._stopped or bool(self._changed), left_s)
                if self._stopped:
                    return
                changed, self._changed = list(self._changed), {}
            for server_id in changed:
                self._tell_change(server_id)
            if time.monotonic() >= look_at:
                look_at = time.monotonic() + self._heartbeat_s
                self._look()

    def _tell_change(self, server_id: str) -> None:
        try:
            self._events.server_changed(self._host, self._agent.observe_server(server_id))
        except Exception as error:
            _log.warning("server %s changed, but cannot be told: %s", server_id, error)

    def _look(self) -> None:
        servers: tuple[ServerObserved, ...] = ()
        try:
            servers, problem = self._agent.observe_servers(), ""
        except AgentFailure as error:
            problem = str(error)
        except Exception as error:
            _log.exception("the servers could not be looked at")
            problem = repr(error)
        with self._woken:
            self._found.problem = problem
            if not problem:
                self._found.servers, self._found.looked_at = servers, time.monotonic()
                self._found.fresh = self._found.resources is not None
            self._woken.notify_all()

    # -- what the host can give -----------------------------------------------------------------------------

    def _measure_forever(self) -> None:
        told = ""
        while True:
            begun = time.monotonic()
            problem = self._measure()
            took_s = time.monotonic() - begun
            if not problem and took_s > _SLOW_S:
                problem = "slow"
            if problem and problem != told:
                self._tell_problem(problem, took_s)
            told = problem
            pause_s = self._heartbeat_s if problem not in {"", "slow"} else _RESOURCES_EVERY_S
            with self._woken:
                if self._woken.wait_for(lambda: self._stopped, max(pause_s, took_s * _RESOURCES_SHARE)):
                    return

    def _measure(self) -> str:
        """Measure once; what went wrong, or nothing."""
        try:
            resources = self._agent.measure_resources()
        except AgentFailure as error:
            return str(error)
        except Exception as error:
            _log.exception("what the host can give could not be measured")
            return repr(error)
        with self._woken:
            self._found.resources = resources
            self._found.fresh = self._found.looked_at > 0 and not self._found.problem
            self._woken.notify_all()
        return ""

    @staticmethod
    def _tell_problem(problem: str, took_s: float) -> None:
        if problem == "slow":
            _log.warning(
                "the hypervisor took %.1f s to say what the host can give, and calls for servers are as slow: "
                "`gureum doctor` names the settings of this host that guests need",
                took_s,
            )
        else:
            _log.warning("what the host can give could not be measured: %s", problem)
