"""An image store in a folder: one file for each blob, named by its location.

It is not shared by itself: on many machines the folder is a mount of shared storage.
Invariant: a blob's file appears under its name by one rename, after its bytes are on the disk, and is never written
again. Unfinished blobs live in `.incoming`, locked by the process that writes them, so that a sweep can tell a dead
writer's file from a slow one's.
Read next: `writer.py` for the way in, `reader.py` for the way out, `../interface.py` for the promises.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gureum.drivers.image.errors import BlobNotFound
from gureum.drivers.image.file.memory import ReadBefore, fits_in_memory
from gureum.drivers.image.file.reader import BlobReader
from gureum.drivers.image.file.writer import FileWriter, naming_the_failure
from gureum.drivers.image.locations import is_location, new_location


class FileImageStore:
    """Blobs as files of mode 0600 in a folder of mode 0700."""

    name = "file"

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        """`now` gives seconds of the same clock as the file system's modification times."""
        self._folder = folder
        self._incoming = folder / ".incoming"
        self._now = now
        self._read_before = ReadBefore()
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)

    def create(self, image_id: str) -> FileWriter:
        """See ImageStore.create."""
        location = new_location(image_id)
        return FileWriter(self._incoming / location, self._folder / location)

    def open(self, location: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See ImageStore.open. The descriptor is held until the iterator ends, is closed or is dropped."""
        if offset < 0 or (length is not None and length < 0):
            raise ValueError("offset and length cannot be negative")
        descriptor = self._descriptor(location)
        size = os.fstat(descriptor).st_size
        whole = offset == 0 and (length is None or length >= size)  # a piece says nothing of the rest
        kept = whole and self._read_before.note(location) and fits_in_memory(size)
        return BlobReader(descriptor, offset, length, kept=kept)

    def size(self, location: str) -> int:
        """See ImageStore.size."""
        return self._stat(location).st_size

    def delete(self, location: str) -> None:
        """See ImageStore.delete."""
        if is_location(location):
            with naming_the_failure("delete image data"):
                (self._folder / location).unlink(missing_ok=True)

    def locations(self) -> Iterator[str]:
        """See ImageStore.locations."""
        with os.scandir(self._folder) as entries:
            found = [entry.name for entry in entries if is_location(entry.name)]
        return iter(found)

    def local_path(self, location: str) -> Path | None:
        """The blob's own file; readers must not write to it."""
        self._stat(location)
        return self._folder / location

    def direct_url(self, location: str) -> str:  # noqa: ARG002 - the interface's name
        """Hosts take a file by its path."""
        return ""

    def sweep(self, older_than_s: float) -> int:
        """See ImageStore.sweep. A lock that can be had is one whose owner is dead."""
        swept = 0
        for leftover in list(self._incoming.iterdir()):
            try:
                descriptor = os.open(leftover, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                old = self._now() - os.fstat(descriptor).st_mtime >= older_than_s
                if old and _lock_if_free(descriptor):
                    leftover.unlink(missing_ok=True)
                    swept += 1
            finally:
                os.close(descriptor)
        return swept

    def _stat(self, location: str) -> os.stat_result:
        if not is_location(location):
            raise BlobNotFound(location)
        try:
            found = (self._folder / location).lstat()
        except FileNotFoundError:
            raise BlobNotFound(location) from None
        if not stat.S_ISREG(found.st_mode):
            raise BlobNotFound(location)
        return found

    def _descriptor(self, location: str) -> int:
        self._stat(location)
        try:
            return os.open(self._folder / location, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise BlobNotFound(location) from None


def _lock_if_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
