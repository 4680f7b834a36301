"""Work that is done again and again: one timer thread for all of it, and a few threads that do it.

A job never runs beside itself: its next turn comes `every_s` seconds after the last one ended. A slow job delays no
other while one of the threads is free. A failure is logged, and the next turn comes as usual. Not here: which of
several processes does the work (`tasks/leases.py`), and work that must not be lost (`tasks/engine.py`).
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from gureum.foundation.db.failures import DatabaseFailure

logger = logging.getLogger("gureum.schedule")

MAX_THREADS = 8
STOP_WITHIN_S = 10.0
LATE_S = 5.0
"""A job that waits for a thread for so long is worth a line in the log."""


@dataclass(frozen=True, slots=True)
class Periodic:
    """`work` every `every_s` seconds, the first time after as long or `at_once`."""

    name: str
    every_s: float
    work: Callable[[], None]
    at_once: bool = False


class Schedule:
    """One per process. `add` may come before `start` or after it; threads come with the first jobs that are due."""

    def __init__(self, max_threads: int = MAX_THREADS) -> None:
        self._max_threads = max_threads
        self._condition = threading.Condition()
        self._numbers = count()
        self._timetable: list[tuple[float, int, Periodic]] = []
        self._due: deque[tuple[float, Periodic]] = deque()
        self._busy = 0
        self._timer: threading.Thread | None = None
        self._workers: list[threading.Thread] = []
        self._stopping = False

    def add(self, *jobs: Periodic) -> None:
        """Do these too."""
        now = time.monotonic()
        with self._condition:
            for job in jobs:
                self._plan(job, now if job.at_once else now + job.every_s)

    def start(self) -> None:
        """Begin; a second call does nothing."""
        with self._condition:
            self._timer = self._timer or _started(self._keep_time, "schedule")

    def stop(self, within_s: float = STOP_WITHIN_S) -> None:
        """Begin no other turn and wait for those under way."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
            threads = [*filter(None, [self._timer]), *self._workers]
        until = time.monotonic() + within_s
        for thread in threads:
            thread.join(timeout=max(until - time.monotonic(), 0))

    def _plan(self, job: Periodic, moment: float) -> None:
        heapq.heappush(self._timetable, (moment, next(self._numbers), job))
        self._condition.notify_all()

    def _keep_time(self) -> None:
        with self._condition:
            while not self._stopping:
                self._hand_out(time.monotonic())
                first = self._timetable[0][0] - time.monotonic() if self._timetable else None
                if first is None or first > 0:
                    self._condition.wait(first)

    def _hand_out(self, now: float) -> None:
        """What is due waits for a thread; another thread comes when all are busy and there may be more."""
        while self._timetable and self._timetable[0][0] <= now:
            moment, _, job = heapq.heappop(self._timetable)
            self._due.append((moment, job))
            self._condition.notify_all()
        while len(self._workers) < min(self._busy + len(self._due), self._max_threads):
            self._workers.append(_started(self._work, f"schedule-{len(self._workers) + 1}"))

    def _work(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._due or self._stopping)
                if self._stopping:
                    return
                moment, job = self._due.popleft()
                self._busy += 1
            if (late_s := time.monotonic() - moment) > LATE_S:
                logger.warning("%s waited %.0f s for a thread: other jobs hang", job.name, late_s)
            _run(job)
            with self._condition:
                self._busy -= 1
                self._plan(job, time.monotonic() + job.every_s)


def _run(job: Periodic) -> None:
    try:
        job.work()
    except DatabaseFailure as failure:
        logger.warning("%s failed; it runs again: %s", job.name, failure)
    except Exception:
        logger.exception("%s failed; it runs again in %s s", job.name, job.every_s)


def _started(target: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread
