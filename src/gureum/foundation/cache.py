"""A cache in memory: bounded, thread safe, with optional expiry, and cleared by events without losing one.

It is not shared between processes: whoever caches rows of the database clears on an event that every process hears.
The invariant: a value that was loaded before a `clear` is not in the cache after it. A loader notes `generation` before
it reads and hands it to `put`, which ignores values of an older generation; `load` does both.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from gureum.foundation import clock

K = TypeVar("K")
V = TypeVar("V")

EVICTED_PART = 10
"""A full cache evicts the oldest tenth at once: one pass over the keys for many insertions."""


class Cache(Generic[K, V]):
    """Keys to values other than None. `maximum` is the number of entries; entries live `ttl_s` seconds, None for ever.

    `get(key)` is the cached value or None, without a lock. Without a TTL it is the dictionary's own method: a lookup
    on the event loop costs no call of Python code.
    """

    def __init__(self, maximum: int, ttl_s: float | None = None) -> None:
        self.generation = 0
        self._maximum = maximum
        self._ttl_s = ttl_s
        self._lock = threading.Lock()
        self._values: dict[K, V] = {}
        self._ends: dict[K, float] = {}
        self.get: Callable[[K], V | None] = self._values.get if ttl_s is None else self._get_unexpired

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[K]:
        """The keys, oldest first, as they are now."""
        return iter(list(self._values))

    def _get_unexpired(self, key: K) -> V | None:
        value = self._values.get(key)
        if value is None or clock.now() < self._ends.get(key, 0.0):
            return value
        with self._lock:
            if clock.now() >= self._ends.get(key, 0.0):  # nobody put it anew meanwhile
                self._remove(key)
        return None

    def load(self, key: K, loader: Callable[[], V]) -> V:
        """The cached value, or what `loader` returns, cached unless it is None. Two callers may load at once."""
        value = self.get(key)
        if value is not None:
            return value
        generation = self.generation
        value = loader()
        self.put(key, value, generation)
        return value

    def put(self, key: K, value: V, generation: int) -> None:
        """Cache what was loaded since `generation` was read; ignored if it was cleared meanwhile or for None."""
        if value is None:
            return
        with self._lock:
            if generation != self.generation:
                return
            if len(self._values) >= self._maximum and key not in self._values:
                for old in list(self._values)[: max(1, self._maximum // EVICTED_PART)]:
                    self._remove(old)
            if self._ttl_s is not None:  # before the value: a value without an end has expired
                self._ends[key] = clock.now() + self._ttl_s
            self._values[key] = value

    def clear(self, stale: Callable[[V], bool] | None = None) -> None:
        """Drop every value, or those that are `stale`, and everything that is being loaded now."""
        with self._lock:
            self.generation += 1
            if stale is None:
                self._values.clear()
                self._ends.clear()
                return
            for key in [key for key, value in self._values.items() if stale(value)]:
                self._remove(key)

    def drop(self, key: K) -> None:
        """Drop one entry whose value has ended by itself."""
        with self._lock:
            self._remove(key)

    def _remove(self, key: K) -> None:
        self._values.pop(key, None)
        self._ends.pop(key, None)
