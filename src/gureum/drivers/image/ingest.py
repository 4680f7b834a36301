"""An upload's way in: every byte goes to a store, to MD5, to SHA-512 and to the inspector, and is read once.

It is not a web handler: whoever receives the bytes calls `feed` from one thread at a time and ends with `finish`,
or leaves the `with` block, which drops what was not finished.
Invariant: nothing becomes readable in the store unless `finish` returned, and then only if the content is what it was
declared to be and has no problem.
The two hashes run in other threads: they are the bottleneck, and hashlib lets other threads run meanwhile.
Read next: `interface.py`, `inspector.py`.
"""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from gureum.drivers.image.errors import ImageRefused, ImageStoreError, ImageTooLarge
from gureum.drivers.image.inspector import Inspection, Inspector, mismatch
from gureum.drivers.image.interface import Chunk, ImageWriter, StoredBlob

PIECE_BYTES = 128 << 10
"""A good size of chunks: smaller ones cost more turns of threads, of larger ones more is held."""
_SMALL_BYTES = 32 << 10
_LEAST_THREADS, _MOST_THREADS = 2, 8


@dataclass(frozen=True)
class Ingested:
    """`size` in bytes, digests in lower-case hex, `blob` where it rests now."""

    size: int
    md5_hex: str
    sha512_hex: str
    inspection: Inspection
    blob: StoredBlob


class Ingest:
    """One upload. With `declared_format` (an API disk_format) `finish` refuses what is unsafe or something else."""

    def __init__(
        self,
        writer: ImageWriter,
        *,
        max_size_bytes: int | None = None,
        declared_format: str | None = None,
    ) -> None:
        self._writer = writer
        self._max_size_bytes = max_size_bytes
        self._declared_format = declared_format
        self._inspector = Inspector()
        self._size = 0
        self._over = False
        self._hashes = _Hashes()

    @property
    def size(self) -> int:
        """Bytes fed so far."""
        return self._size

    def feed(self, chunk: Chunk) -> None:
        """Take the next bytes. What can change is copied; `bytes` are referred to until the next ones are taken.

        Raises ImageTooLarge past the limit and the store's own errors; either way the upload is dropped.
        """
        self._require_open()
        self._size += len(chunk)
        if self._max_size_bytes is not None and self._size > self._max_size_bytes:
            self.abort()
            raise ImageTooLarge(self._max_size_bytes)
        if isinstance(chunk, bytes):
            self._pass_on(chunk)
            return
        with memoryview(chunk).cast("B") as left:
            for start in range(0, len(left), PIECE_BYTES):
                self._pass_on(bytes(left[start : start + PIECE_BYTES]))

    def finish(self) -> Ingested:
        """Commit the blob. Raises ImageRefused (only with a declared format) and the store's own errors."""
        self._require_open()
        inspection = self._inspector.finish()
        try:
            if self._declared_format is not None:
                _refuse_unless_sound(self._declared_format, inspection)
            md5_hex, sha512_hex = self._hashes.hexdigests()
            blob = self._writer.commit()
        except BaseException:
            self.abort()
            raise
        self._over = True
        return Ingested(self._size, md5_hex, sha512_hex, inspection, blob)

    def abort(self) -> None:
        """Drop the upload. Safe to repeat, and a no-op after finish."""
        if not self._over:
            self._over = True
            self._hashes.stop()
            self._writer.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    def _require_open(self) -> None:
        if self._over:
            raise ImageStoreError("this upload is over")

    def _pass_on(self, piece: bytes) -> None:
        try:
            self._hashes.update(piece)
            self._inspector.feed(piece)
            self._writer.write(piece)
        except BaseException:
            self.abort()
            raise


class _HashThreads:
    """Threads that all uploads of the process share, a few for each processor; they are there while an upload is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uploads = 0
        self._pool: ThreadPoolExecutor | None = None

    def join(self) -> ThreadPoolExecutor:
        """For an upload, until it calls `leave`."""
        with self._lock:
            self._uploads += 1
            if self._pool is None:
                count = min(max(_LEAST_THREADS, os.cpu_count() or 1), _MOST_THREADS)
                self._pool = ThreadPoolExecutor(count, thread_name_prefix="image-hash")
            return self._pool

    def leave(self) -> None:
        with self._lock:
            self._uploads -= 1
            pool = self._pool
            if self._uploads or pool is None:
                return
            self._pool = None
        pool.shutdown()


_threads = _HashThreads()


class _Hashes:
    """MD5 and SHA-512 of one upload, both at work on a piece while it is stored."""

    def __init__(self) -> None:
        self._digests = (hashlib.md5(usedforsecurity=False), hashlib.sha512())
        self._pool: ThreadPoolExecutor | None = None
        self._under_way: list[Future[None]] = []

    def update(self, piece: bytes) -> None:
        """Wait for the piece before, and begin with this one."""
        self._settle()
        if len(piece) < _SMALL_BYTES:
            for digest in self._digests:
                digest.update(piece)
            return
        self._pool = self._pool or _threads.join()
        self._under_way = [self._pool.submit(digest.update, piece) for digest in self._digests]

    def hexdigests(self) -> tuple[str, str]:
        """MD5's and SHA-512's."""
        self.stop()
        md5, sha512 = self._digests
        return md5.hexdigest(), sha512.hexdigest()

    def stop(self) -> None:
        """Wait for what is under way. Safe to repeat."""
        self._settle()
        if self._pool is not None:
            self._pool = None
            _threads.leave()

    def _settle(self) -> None:
        for future in self._under_way:
            future.result()
        self._under_way = []


def _refuse_unless_sound(declared: str, inspection: Inspection) -> None:
    reasons = [reason for reason in (mismatch(declared, inspection), *inspection.problems) if reason]
    if reasons:
        raise ImageRefused(tuple(reasons))
