"""The few pieces of an image that the inspector kept, and safe reading of numbers from them.

It is not the stream: it is what is left of it, at most half a mebibyte.
Invariant: no read leaves its piece; one that would raises TruncatedHeader, which the verdict turns into a problem.
Read next: `verdict.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

# Where VHDX's second region table ends: no fixed header of any known format reaches further.
HEAD_BYTES = 320 << 10
# VMDK's stream footer takes three sectors at the end, VHD and DMG trailers one.
TAIL_BYTES = 4 << 10
# VHDX's metadata table is 64 KiB, its items follow; a page holds all that the specification names.
METADATA_BYTES = (64 << 10) + (4 << 10)

SECTOR = 512


class TruncatedHeader(Exception):
    """A field lies outside what the image holds."""


@dataclass(frozen=True)
class Regions:
    """`total` bytes were seen; `head` and `tail` are their ends; `metadata` is what VHDX's region table points to."""

    total: int
    head: bytes
    tail: bytes
    metadata: bytes = b""


@dataclass(frozen=True)
class Examination:
    """What one family says about an image that carries its signature."""

    virtual_size_bytes: int
    problems: tuple[str, ...] = ()


def piece(data: bytes, offset: int, length: int) -> bytes:
    """Exactly `length` bytes at `offset`. Raises TruncatedHeader."""
    if offset < 0 or length < 0 or offset + length > len(data):
        raise TruncatedHeader
    return data[offset : offset + length]


def big(data: bytes, offset: int, size: int) -> int:
    """An unsigned big-endian number of `size` bytes. Raises TruncatedHeader."""
    return int.from_bytes(piece(data, offset, size), "big")


def little(data: bytes, offset: int, size: int) -> int:
    """An unsigned little-endian number of `size` bytes. Raises TruncatedHeader."""
    return int.from_bytes(piece(data, offset, size), "little")
