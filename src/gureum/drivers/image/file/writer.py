"""A blob on its way into the folder: an unfinished, locked file that becomes the blob by one rename.

It is not a file object: it only appends, leaves holes for zeros, and ends in `commit` or `abort`.
Invariant: before the rename nothing is under the blob's name, after it everything is, and is on the disk.
Read next: `store.py`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from gureum.drivers.image.errors import ImageStoreError, StoreFull
from gureum.drivers.image.interface import Chunk, StoredBlob

# The smallest run of zeros worth a hole: file systems keep holes by blocks, and smaller pieces cost more calls.
_HOLE_BYTES = 64 << 10
_ZEROS = bytes(_HOLE_BYTES)
# The disk begins on finished stretches while the next ones arrive, so that commit's fsync finds little left to do
# (512 MiB: 0.22 s without, 0.01 s with).
_WRITEBACK_BYTES = 8 << 20
# What lies further back leaves the page cache: a large upload does not push out what running guests read, and uses
# the same warm memory over and over (512 MiB on a virtual machine: 0.3 s of system time instead of 1.8 s).
# Small images stay cached whole for their first boot.
CACHED_BYTES = 24 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextlib.contextmanager
def naming_the_failure(what: str) -> Iterator[None]:
    """Turn the operating system's refusals into the store's own."""
    try:
        yield
    except OSError as failure:
        kind = StoreFull if failure.errno in _FULL else ImageStoreError
        raise kind(f"cannot {what}: {failure.strerror}") from failure


class FileWriter:
    """See ImageWriter. The lock on the unfinished file dies with the process and marks it as swept goods."""

    def __init__(self, unfinished: Path, finished: Path) -> None:
        self._unfinished = unfinished
        self._finished = finished
        self._size = 0
        self._handed_to_disk = 0
        with naming_the_failure("begin image data"):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(unfinished, flags, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, chunk: Chunk) -> None:
        """See ImageWriter.write."""
        self._require_open()
        data = bytes(chunk) if isinstance(chunk, memoryview) else chunk
        with naming_the_failure("write image data"), memoryview(data) as view:
            for start, end in _data_runs(data):
                self._put(view[start:end], self._size + start)
        self._size += len(data)
        if self._size - self._handed_to_disk >= _WRITEBACK_BYTES:
            self._hand_to_disk()

    def commit(self) -> StoredBlob:
        """See ImageWriter.commit."""
        self._require_open()
        try:
            with naming_the_failure("finish image data"):
                os.ftruncate(self._descriptor, self._size)
                os.fsync(self._descriptor)
                self._leave_page_cache()
                self._unfinished.rename(self._finished)
                _sync_folder(self._finished.parent)
        except ImageStoreError:
            # A rename that cannot be made durable must not stay visible either.
            with contextlib.suppress(OSError):
                self._finished.unlink(missing_ok=True)
            self.abort()
            raise
        self._close()
        return StoredBlob(self._finished.name, self._size)

    def abort(self) -> None:
        """See ImageWriter.abort."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                self._unfinished.unlink(missing_ok=True)
            self._close()

    def _hand_to_disk(self) -> None:
        _begin_writeback(self._descriptor, self._handed_to_disk, self._size - self._handed_to_disk)
        self._handed_to_disk = self._size
        self._leave_page_cache()

    def _leave_page_cache(self) -> None:
        done = self._size - CACHED_BYTES
        if done > 0:
            # Advice, not an order: pages that are still on their way to the disk stay.
            os.posix_fadvise(self._descriptor, 0, done, os.POSIX_FADV_DONTNEED)

    def _put(self, piece: memoryview, offset: int) -> None:
        while piece:
            written = os.pwrite(self._descriptor, piece, offset)
            piece = piece[written:]
            offset += written

    def _require_open(self) -> None:
        if self._descriptor < 0:
            raise ImageStoreError("this writer is closed")

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    def __del__(self) -> None:
        # A writer that is dropped without an end keeps no descriptor; its file waits for the sweep.
        if getattr(self, "_descriptor", -1) >= 0:
            self._close()


def _data_runs(data: bytes | bytearray) -> Iterator[tuple[int, int]]:
    """Start and end of what must be written: everything but whole blocks of zeros."""
    run_start = 0
    for block in range(0, len(data) - _HOLE_BYTES + 1, _HOLE_BYTES):
        if data.startswith(_ZEROS, block):
            if block > run_start:
                yield run_start, block
            run_start = block + _HOLE_BYTES
    if run_start < len(data):
        yield run_start, len(data)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_sync_file_range = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
_SYNC_FILE_RANGE_WRITE = 2


def _begin_writeback(descriptor: int, offset: int, length: int) -> None:
    """Ask the kernel to start writing a range, without waiting (sync_file_range(2)).

    Only a head start: where the call is missing or fails, commit's fsync does the same work later.
    """
    if _sync_file_range is not None:
        _sync_file_range(descriptor, ctypes.c_int64(offset), ctypes.c_int64(length), _SYNC_FILE_RANGE_WRITE)
