"""Wake-ups of tasks across processes: from one that only answers requests to one of those that run tasks.

A call to the name `tasks`, which every process with workers serves: the bus hands it to one of them, in turn, so that
they do not compete for the same task. Whatever is due by the time that a call can be made goes into one. Invariant:
nothing is kept. A call that fails is made once more and then forgotten: the workers look for due tasks by themselves.
Read next: `engine.py`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import msgspec

from gureum.foundation.bus.interface import Bus, BusError, Refused
from gureum.foundation.bus.typed import Method, Remote, serve_methods
from gureum.foundation.tasks.engine import TaskEngine

log = logging.getLogger("gureum.tasks")

NAME = "tasks"
TIMEOUT_S = 2.0
MOST_WAITING = 10_000


class Due(msgspec.Struct, frozen=True):
    """Ids of tasks."""

    ids: tuple[str, ...]


WAKE = Method("wake", Due, type(None), TIMEOUT_S)


def serve_wakes(bus: Bus, engine: TaskEngine) -> Callable[[], None]:
    """Let other processes wake tasks here until the returned function is called."""
    return serve_methods(bus, NAME, {WAKE: lambda due: engine.wake(due.ids)}, threads=1)


class Wakes:
    """Tells a worker which tasks are due. `tell` never waits; a thread of its own makes the calls."""

    def __init__(self, bus: Bus) -> None:
        self._workers = Remote(bus, NAME)
        self._due: dict[str, None] = {}
        self._condition = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="wakes", daemon=True)
        self._thread.start()

    def tell(self, task_id: str) -> None:
        """This task is due, as a commit just now says."""
        with self._condition:
            if len(self._due) < MOST_WAITING:
                self._due[task_id] = None
            self._condition.notify()

    def stop(self) -> None:
        """Tell what is still to be told, and end."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join(timeout=2 * TIMEOUT_S + 1)

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._due or self._stopping)
                due, self._due = Due(tuple(self._due)), {}
            if not due.ids:
                return
            if not self._call(due) and not self._call(due):
                log.warning("no worker hears that %d tasks are due: they wait until one looks", len(due.ids))

    def _call(self, due: Due) -> bool:
        try:
            self._workers.call(WAKE, due)
        except (BusError, Refused):
            return False
        return True
