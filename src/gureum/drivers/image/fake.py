"""An image store in memory, for tests and for a simulated cloud.

It is no cache and survives no restart. It keeps the same promises as the file store: the contract suite runs on both.
Read next: `interface.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from gureum.drivers.image.errors import BlobNotFound, ImageStoreError
from gureum.drivers.image.interface import Chunk, StoredBlob
from gureum.drivers.image.locations import new_location

_READ_BYTES = 1 << 20


class FakeImageStore:
    """Blobs in a dictionary."""

    name = "fake"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blobs: dict[str, bytes] = {}

    def create(self, image_id: str) -> _FakeWriter:
        """See ImageStore.create."""
        return _FakeWriter(self, new_location(image_id))

    def open(self, location: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See ImageStore.open."""
        if offset < 0 or (length is not None and length < 0):
            raise ValueError("offset and length cannot be negative")
        blob = self._blob(location)
        end = len(blob) if length is None else min(len(blob), offset + length)
        return (blob[start : min(start + _READ_BYTES, end)] for start in range(offset, end, _READ_BYTES))

    def size(self, location: str) -> int:
        """See ImageStore.size."""
        return len(self._blob(location))

    def delete(self, location: str) -> None:
        """See ImageStore.delete."""
        with self._lock:
            self._blobs.pop(location, None)

    def locations(self) -> Iterator[str]:
        """See ImageStore.locations."""
        with self._lock:
            return iter(list(self._blobs))

    def local_path(self, location: str) -> Path | None:
        """Memory has no path."""
        self._blob(location)
        return None

    def direct_url(self, location: str) -> str:  # noqa: ARG002 - the interface's name
        """Memory is nobody else's."""
        return ""

    def sweep(self, older_than_s: float) -> int:  # noqa: ARG002 - the interface's name
        """A writer that was dropped takes its bytes with it, so there is never a leftover."""
        return 0

    def keep(self, location: str, content: bytes) -> None:
        """Publish a finished blob; for this store's own writers."""
        with self._lock:
            self._blobs[location] = content

    def _blob(self, location: str) -> bytes:
        with self._lock:
            blob = self._blobs.get(location)
        if blob is None:
            raise BlobNotFound(location)
        return blob


class _FakeWriter:
    def __init__(self, store: FakeImageStore, location: str) -> None:
        self._store = store
        self._location = location
        self._content = bytearray()
        self._closed = False

    def write(self, chunk: Chunk) -> None:
        if self._closed:
            raise ImageStoreError("this writer is closed")
        self._content += chunk

    def commit(self) -> StoredBlob:
        if self._closed:
            raise ImageStoreError("this writer is closed")
        self._closed = True
        content, self._content = bytes(self._content), bytearray()
        self._store.keep(self._location, content)
        return StoredBlob(self._location, len(content))

    def abort(self) -> None:
        self._closed = True
        self._content = bytearray()
