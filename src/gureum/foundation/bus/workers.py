"""Threads for handlers and subscribers: an elastic pool, and lanes that bound how many of its threads one name takes.

It is not a task engine: a job lives in memory and is lost with the process. Invariant: a lane runs at most `width`
jobs at once and starts them in the order of arrival, so a slow name holds its own threads and no others. Threads are
started on demand and end when idle, so that a thousand served names cost no thread while nobody calls them.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from functools import partial

_log = logging.getLogger(__name__)

Job = Callable[[], None]

_JOBS_IN_A_ROW = 32
"""A busy lane gives its thread back after so many jobs, lest it starve the others when the pool is full."""


class _Worker(threading.Thread):
    """One thread: it runs the job it was handed, then those that wait, then parks until the pool hands it another."""

    def __init__(self, pool: Workers, name: str, job: Job) -> None:
        super().__init__(name=name, daemon=True)
        self._pool = pool
        self._wake = threading.Lock()
        self._wake.acquire()
        self._handed: Job | None = job

    def hand(self, job: Job | None) -> None:
        """Give a parked worker its next job, or None to end it."""
        self._handed = job
        self._wake.release()

    def run(self) -> None:
        job, self._handed = self._handed, None
        while job is not None:
            _run(job)
            job = None  # a parked thread must not keep the last payload alive
            job = self._pool.next_job(self) or self._park()

    def _park(self) -> Job | None:
        if not self._wake.acquire(timeout=self._pool.idle_s):
            if self._pool.leave(self):
                return None
            self._wake.acquire()  # a job was handed over just as the time ran out
        job, self._handed = self._handed, None
        return job


def _run(job: Job) -> None:
    try:
        job()
    except Exception:
        _log.exception("a bus job failed")


class Workers:
    """Up to `limit` threads that take jobs; the most recently idle one first, so that the rest may end."""

    def __init__(self, name: str, *, limit: int = 64, idle_s: float = 20.0) -> None:
        self.idle_s = idle_s
        self._name = name
        self._limit = limit
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._waiting: deque[Job] = deque()
        self._count = 0
        self._closed = False

    def submit(self, job: Job) -> bool:
        """Run `job` on some thread soon. False when the pool is closed."""
        with self._lock:
            if self._closed:
                return False
            if self._idle:
                self._idle.pop().hand(job)
                return True
            if self._count >= self._limit:
                self._waiting.append(job)
                return True
            self._count += 1
        _Worker(self, f"{self._name}-worker", job).start()
        return True

    def next_job(self, worker: _Worker) -> Job | None:
        """Return a waiting job, or note the worker as idle."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._idle.append(worker)
            if self._closed:
                self._idle.remove(worker)
                worker.hand(None)
            return None

    def leave(self, worker: _Worker) -> bool:
        """Let an idle worker end; False when it has just been handed something."""
        with self._lock:
            if worker not in self._idle:
                return False
            self._idle.remove(worker)
            self._count -= 1
            return True

    def close(self) -> None:
        """Take no more jobs. What is under way or waiting still runs; nobody waits for it here."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for worker in idle:
                worker.hand(None)


class Lane:
    """At most `width` jobs at once, in order, at most `room` waiting."""

    def __init__(self, workers: Workers, *, width: int, room: int) -> None:
        self._workers = workers
        self._width = max(1, width)
        self._room = room
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._running = 0

    def submit(self, job: Job) -> bool:
        """Return False when the lane is full or the pool is closed: the job will not run."""
        with self._lock:
            if self._running >= self._width:
                if len(self._waiting) >= self._room:
                    return False
                self._waiting.append(job)
                return True
            self._running += 1
        if self._workers.submit(partial(self._drain, job)):
            return True
        with self._lock:
            self._running -= 1
        return False

    def _drain(self, job: Job) -> None:
        for _ in range(_JOBS_IN_A_ROW):
            _run(job)
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                job = self._waiting.popleft()
        if not self._workers.submit(partial(self._drain, job)):
            self._drain(job)  # the pool is closing: finish here what was accepted
