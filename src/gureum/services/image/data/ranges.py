"""Which bytes of an image a request asks for. Pure.

Sources: RFC 9110 section 14 (one range of bytes); image API reference v2, "Download binary image data", whose clients
also send the range as `Content-Range`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gureum.foundation.errors import RangeNotSatisfiable

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(?:\d{1,19}|\*)")


@dataclass(frozen=True, slots=True)
class Piece:
    """`length` bytes from `start`; `partial` when it was asked for as a range."""

    start: int
    length: int
    partial: bool

    def content_range(self, size: int) -> str:
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def piece_of(range_header: str, content_range_header: str, size: int) -> Piece:
    """The bytes wanted of `size`; all of them without a range. Raises RangeNotSatisfiable."""
    text, form = (range_header, _RANGE) if range_header else (content_range_header, _CONTENT_RANGE)
    if not text:
        return Piece(0, size, partial=False)
    found = form.fullmatch(text.strip())
    if found is None or not (found[1] or found[2]):
        raise _unsatisfiable(f"{text[:64]!r} is not one range of bytes.", size)
    if not found[1]:
        length = min(int(found[2]), size)
        start = size - length
    else:
        start = int(found[1])
        last = min(int(found[2]), size - 1) if found[2] else size - 1
        length = last - start + 1
    if length <= 0:
        raise _unsatisfiable(f"{text[:64]!r} holds no byte of the image's {size}.", size)
    return Piece(start, length, partial=True)


def _unsatisfiable(text: str, size: int) -> RangeNotSatisfiable:
    return RangeNotSatisfiable(text, headers={"Content-Range": f"bytes */{size}"})
