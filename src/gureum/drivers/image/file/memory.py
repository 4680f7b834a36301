"""Which blobs stay in the page cache: those that are read a second time within an hour, as far as memory is free.

A blob's first read leaves the page cache as it was, for most are read once. One that hosts fetch again and again is
kept by its second read, and comes from memory from the third on. The kernel drops it before what running guests read:
its pages were touched once each.
Source: proc_meminfo(5), MemAvailable.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

AGAIN_S = 3600.0
"""A second read that comes later than this counts as a first one."""
SHARE = 4
"""A blob is kept when it fits this many times into the memory that is available."""
_REMEMBERED = 1024
_MEMINFO = Path("/proc/meminfo")


class ReadBefore:
    """The blobs that were read lately, the last 1,024 of them. Threads may share it."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._times: OrderedDict[str, float] = OrderedDict()

    def note(self, location: str) -> bool:
        """A blob is read now. Whether it was read within the last hour."""
        with self._lock:
            now = self._now()
            before = self._times.pop(location, None)
            self._times[location] = now
            if len(self._times) > _REMEMBERED:
                self._times.popitem(last=False)
        return before is not None and now - before <= AGAIN_S


def fits_in_memory(size_bytes: int, meminfo: Path = _MEMINFO) -> bool:
    """Whether a blob is small beside the memory that is available. False where the system does not say."""
    try:
        for line in meminfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return size_bytes * SHARE <= int(value.split()[0]) << 10
    except (OSError, ValueError, IndexError):
        pass
    return False
