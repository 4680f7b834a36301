"""The rate that a stream must keep up. Pure.

Judged is the time that was spent waiting for the other side: a store that is slow is not the sender's fault.
Invariant: whoever sends less than the minimum is found out once `window_s` seconds were spent waiting.
"""

from __future__ import annotations

from dataclasses import dataclass

from gureum.drivers.image.errors import ImageStoreError


class TooSlow(ImageStoreError):
    """The other side sends, or takes, less than the minimum; the text may be shown to who uses the stream."""


@dataclass(frozen=True)
class MinimumRate:
    """Bytes a second, on average over `window_s` seconds of waiting."""

    bytes_s: int = 16 << 10
    window_s: float = 30.0


USUAL_RATE = MinimumRate()


class Pace:
    """One stream's."""

    def __init__(self, minimum: MinimumRate) -> None:
        self._minimum = minimum
        self._waited_s = 0.0
        self._bytes = 0

    def waited(self, seconds: float, count: int) -> None:
        """Note that `count` bytes came after `seconds` of waiting. Raises TooSlow."""
        self._waited_s += seconds
        self._bytes += count
        if self._waited_s < self._minimum.window_s:
            return
        if self._bytes < self._minimum.bytes_s * self._waited_s:
            kib = self._minimum.bytes_s >> 10
            raise TooSlow(f"the data comes slower than {kib} KiB/s, on average over {self._minimum.window_s:.0f} s")
        self._waited_s, self._bytes = 0.0, 0
