"""The format inspector: says what an image is while its bytes pass by, without ever starting a tool.

It is not a validator of content: it reads headers, so that what a hostile image could do to a tool or a host is known
before either sees it. It never raises for bad bytes.
Invariant: it holds at most half a mebibyte, and how the stream was cut into chunks changes nothing.
Read next: `formats/verdict.py` and the family modules beside it.
"""

from __future__ import annotations

import os
from pathlib import Path

from gureum.drivers.image.formats.regions import HEAD_BYTES, METADATA_BYTES, TAIL_BYTES, Regions
from gureum.drivers.image.formats.verdict import Inspection, conclude
from gureum.drivers.image.formats.vhdx import metadata_offset
from gureum.drivers.image.interface import Chunk

__all__ = ["DECLARED_FORMATS", "Inspection", "Inspector", "inspect_file", "mismatch", "qemu_driver"]

# The image API's disk_format values, and what their content must turn out to be.
DECLARED_FORMATS = {
    "raw": "raw",
    "ami": "raw",
    "aki": "raw",
    "ari": "raw",
    "qcow2": "qcow2",
    "vmdk": "vmdk",
    "vhd": "vpc",
    "vhdx": "vhdx",
    "vdi": "vdi",
    "iso": "iso",
    "ploop": "ploop",
    "luks": "luks",
}

_QEMU_DRIVERS = {"iso": "raw", "ploop": "parallels"}


class Inspector:
    """Feed it every byte in order, then ask once."""

    def __init__(self) -> None:
        self._total = 0
        self._head = bytearray()
        self._tail = b""
        self._metadata_at: int | None = None
        self._metadata = bytearray()

    def feed(self, chunk: Chunk) -> None:
        """Take the next bytes; no reference to `chunk` is kept."""
        start = self._total
        self._total += len(chunk)
        if len(self._head) < HEAD_BYTES:
            self._head += chunk[: HEAD_BYTES - len(self._head)]
            # The region that this finds begins past the head, so none of it has gone by yet.
            self._metadata_at = metadata_offset(bytes(self._head)) if len(self._head) == HEAD_BYTES else None
        if self._metadata_at is not None and len(self._metadata) < METADATA_BYTES:
            first = max(self._metadata_at + len(self._metadata) - start, 0)
            self._metadata += chunk[first : max(self._metadata_at + METADATA_BYTES - start, 0)]
        if len(chunk) >= TAIL_BYTES:
            self._tail = bytes(chunk[-TAIL_BYTES:])
        else:
            self._tail = (self._tail + bytes(chunk))[-TAIL_BYTES:]

    def finish(self) -> Inspection:
        """The verdict over all that was fed."""
        return conclude(Regions(self._total, bytes(self._head), self._tail, bytes(self._metadata)))


def inspect_file(path: Path) -> Inspection:
    """The same verdict over a file, reading only the pieces that matter. Raises OSError.

    For the second look, before a host uses an image that it was given.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        total = os.fstat(descriptor).st_size
        head = os.pread(descriptor, HEAD_BYTES, 0)
        tail = os.pread(descriptor, TAIL_BYTES, max(total - TAIL_BYTES, 0))
        at = metadata_offset(head)
        metadata = os.pread(descriptor, METADATA_BYTES, at) if at is not None and at < total else b""
    finally:
        os.close(descriptor)
    return conclude(Regions(total, head, tail, metadata))


def mismatch(declared: str, inspection: Inspection) -> str | None:
    """Why an image that was declared as this disk_format is something else; None if it is what it says.

    The answer is a sentence for the person who sent the image.
    """
    expected = DECLARED_FORMATS.get(declared)
    if expected is None:
        return f"the disk format {declared!r} is not known"
    if inspection.format == expected:
        return None
    return f"the image is declared as {declared}, but its content is {inspection.format}"


def qemu_driver(image_format: str) -> str:
    """The block driver to name explicitly to QEMU and qemu-img for an inspected format."""
    return _QEMU_DRIVERS.get(image_format, image_format)
