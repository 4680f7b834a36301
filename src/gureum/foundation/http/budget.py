"""A bound on the bytes that a process holds for slow clients: half a head, half a body, an answer that nobody reads.

Beyond the bound, what was held longest is given up first. `patience_s` is for what a quick client takes as well: it is
never given up sooner. Whoever is asked to give up may go on with what is left, and is asked again later. Used on the
event loop alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass


@dataclass(slots=True)
class _Held:
    size: int
    since: float
    give_up: Callable[[], int]


class Budget:
    """`hold` may be repeated with a new size; whatever ends calls `release`.

    `give_up` returns how many bytes its owner goes on to hold, 0 when it has ended.
    """

    def __init__(
        self, limit_bytes: int, patience_s: float = 0.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit_bytes = limit_bytes
        self._patience_s = patience_s
        self._monotonic = monotonic
        self._held: dict[Hashable, _Held] = {}
        self.total = 0

    def hold(self, owner: Hashable, size: int, give_up: Callable[[], int]) -> None:
        """The owner holds `size` bytes now. May call `give_up` of any owner, this one included."""
        held = self._held.get(owner)
        if held is None:
            self._held[owner] = _Held(size, self._monotonic(), give_up)
        else:
            self.total -= held.size
            held.size = size
        self.total += size
        if self.total > self._limit_bytes:
            self._make_room()

    def _make_room(self) -> None:
        now = self._monotonic()
        for owner, held in list(self._held.items()):
            if self.total <= self._limit_bytes or len(self._held) == 1 or now - held.since < self._patience_s:
                return
            self.release(owner)
            if left := held.give_up():
                self._held[owner] = _Held(left, now, held.give_up)
                self.total += left

    def release(self, owner: Hashable) -> None:
        """The owner holds nothing any more."""
        held = self._held.pop(owner, None)
        if held is not None:
            self.total -= held.size
