"""What an agent tells unasked: a heartbeat every few seconds, and a server that changed by itself at once.

One thread for both, so a burst of changes costs one look at the engine for each server and no thread more.
Losing any of it costs latency only. A host whose engine does not answer sends no heartbeat: it can do no work.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Protocol

from gureum.agents.hypervisor.protocol import AgentEvents, AgentFailure, HostObserved, ServerObserved

_log = logging.getLogger("gureum.agents.hypervisor.reporter")


class Observable(Protocol):
    """What a reporter needs of an agent."""

    def observe(self) -> HostObserved: ...

    def observe_server(self, server_id: str) -> ServerObserved: ...


class Reporter:
    """Runs from construction to `stop`."""

    def __init__(self, agent: Observable, events: AgentEvents, host: str, heartbeat_s: float) -> None:
        self._agent = agent
        self._events = events
        self._host = host
        self._heartbeat_s = heartbeat_s
        self._stirred = threading.Condition()
        self._changed: dict[str, None] = {}
        self._stopped = False
        self._silent = False
        self._thread = threading.Thread(target=self._report_forever, name="reporter", daemon=True)
        self._thread.start()

    def changed(self, server_id: str) -> None:
        """Report this server soon. Returns at once; safe to call from the engine's own threads."""
        with self._stirred:
            self._changed[server_id] = None
            self._stirred.notify()

    def stop(self) -> None:
        with self._stirred:
            self._stopped = True
            self._stirred.notify()
        self._thread.join(timeout=5)

    def _report_forever(self) -> None:
        beat_at = 0.0
        while True:
            with self._stirred:
                self._stirred.wait_for(lambda: self._stopped or bool(self._changed), max(beat_at - time.monotonic(), 0))
                if self._stopped:
                    return
                changed, self._changed = list(self._changed), {}
            for server_id in changed:
                self._tell_change(server_id)
            if time.monotonic() >= beat_at:
                beat_at = time.monotonic() + self._heartbeat_s
                self._beat()

    def _tell_change(self, server_id: str) -> None:
        try:
            self._events.server_changed(self._host, self._agent.observe_server(server_id))
        except Exception as error:
            _log.warning("server %s changed, but cannot be told: %s", server_id, error)

    def _beat(self) -> None:
        try:
            self._events.heartbeat(self._agent.observe())
        except AgentFailure as error:
            if not self._silent:
                _log.warning("no heartbeat: %s", error)
            self._silent = True
            return
        except Exception:
            _log.exception("no heartbeat")
            return
        self._silent = False
