"""A bound on the bytes that a process holds for slow clients: half a head, half a body, an answer that nobody reads.

Beyond the bound, what was held longest is given up first. `patience_s` is for what a quick client takes as well: it is
never given up sooner. Used on the event loop alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass


@dataclass(slots=True)
class _Held:
    size: int
    since: float
    give_up: Callable[[], None]


class Budget:
    """`hold` may be repeated with a new size; whatever ends calls `release`."""

    def __init__(
        self, limit_bytes: int, patience_s: float = 0.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit_bytes = limit_bytes
        self._patience_s = patience_s
        self._monotonic = monotonic
        self._held: dict[Hashable, _Held] = {}
        self.total = 0

    def hold(self, owner: Hashable, size: int, give_up: Callable[[], None]) -> None:
        """The owner holds `size` bytes now. May call `give_up` of any owner, this one included."""
        held = self._held.get(owner)
        if held is None:
            self._held[owner] = _Held(size, self._monotonic(), give_up)
        else:
            self.total -= held.size
            held.size = size
        self.total += size
        while self.total > self._limit_bytes and len(self._held) > 1:
            oldest, held = next(iter(self._held.items()))
            if self._monotonic() - held.since < self._patience_s:
                return
            self.release(oldest)
            held.give_up()

    def release(self, owner: Hashable) -> None:
        """The owner holds nothing any more."""
        held = self._held.pop(owner, None)
        if held is not None:
            self.total -= held.size
