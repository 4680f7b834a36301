"""The time, from one place, so that tests and simulations can move it.

Database timestamps are naive datetimes in UTC; deadlines and leases are seconds since the epoch.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol, overload


class Clock(Protocol):
    def time(self) -> float: ...


class SystemClock:
    def time(self) -> float:
        return time.time()


class VirtualClock:
    """Stands still until told to move."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def time(self) -> float:
        with self._lock:
            return self._now

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds


_current: Clock = SystemClock()


@contextmanager
def use(clock: Clock) -> Iterator[None]:
    """Make `clock` the process's clock for the length of the block."""
    global _current  # noqa: PLW0603 the one clock of the process is exactly this module's state
    before, _current = _current, clock
    try:
        yield
    finally:
        _current = before


def now() -> float:
    """Seconds since the epoch."""
    return _current.time()


def utcnow() -> datetime:
    """Now as a naive datetime in UTC, as database columns hold it."""
    return datetime.fromtimestamp(now(), UTC).replace(tzinfo=None)


@overload
def iso(moment: datetime, suffix: str = "Z") -> str: ...


@overload
def iso(moment: datetime | None, suffix: str = "Z") -> str | None: ...


def iso(moment: datetime | None, suffix: str = "Z") -> str | None:
    """`2026-01-31T12:00:00Z`: whole seconds, the form that compute and image use."""
    return None if moment is None else moment.isoformat(timespec="seconds") + suffix


@overload
def iso_micro(moment: datetime, suffix: str = "Z") -> str: ...


@overload
def iso_micro(moment: datetime | None, suffix: str = "Z") -> str | None: ...


def iso_micro(moment: datetime | None, suffix: str = "Z") -> str | None:
    """`2026-01-31T12:00:00.000000Z`: the form that identity uses."""
    return None if moment is None else moment.isoformat(timespec="microseconds") + suffix


def seconds(moment: datetime) -> float:
    """A naive datetime in UTC as seconds since the epoch."""
    return moment.replace(tzinfo=UTC).timestamp()


def from_seconds(moment: float) -> datetime:
    """Seconds since the epoch as a naive datetime in UTC."""
    return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)
