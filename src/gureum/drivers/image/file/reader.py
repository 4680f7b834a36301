"""A blob on its way out of the folder, forward and once.

It is not a file object: it has no position to set. It owns its descriptor, also when nobody ever takes a first chunk.
Invariant: a large blob leaves the page cache as it found it, unless it is to be `kept` there. What running guests read
stays, and the same warm memory is used over and over (512 MiB that nobody had read yet, on a virtual machine: 0.1 s of
system time instead of 1.2 s). A blob that is read again and again is kept (`memory.py`): from the page cache it comes
twice as fast.
Read next: `writer.py`, which does the same on the way in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from gureum.drivers.image.file.writer import CACHED_BYTES, naming_the_failure

# Half a mebibyte for a system call: reads from the page cache stay at memory speed, and a client that does not read
# holds three of them.
_READ_BYTES = 1 << 19
# The page cache is left by stretches, a system call for each.
_STRETCH_BYTES = 8 << 20


class BlobReader:
    """Chunks of a blob from `offset`, to its end or `length` bytes of it. What is `kept` stays in the page cache."""

    def __init__(self, descriptor: int, offset: int, length: int | None, *, kept: bool = False) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._left = length
        self._dropped_to = offset
        self._drops = False
        size = os.fstat(descriptor).st_size - offset
        if (size := size if length is None else min(size, length)) > CACHED_BYTES and not kept:
            # The middle speaks for the whole: a header may have been looked at by anybody.
            self._drops = not _is_cached(descriptor, offset + size // 2)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        wanted = _READ_BYTES if self._left is None else min(_READ_BYTES, self._left)
        if self._descriptor < 0 or wanted == 0:
            self.close()
            raise StopIteration
        with naming_the_failure("read image data"):
            chunk = os.pread(self._descriptor, wanted, self._offset)
        if not chunk:
            self.close()
            raise StopIteration
        self._offset += len(chunk)
        if self._left is not None:
            self._left -= len(chunk)
        if self._offset - self._dropped_to >= _STRETCH_BYTES:
            self._leave_page_cache()
        return chunk

    def close(self) -> None:
        if self._descriptor >= 0:
            self._leave_page_cache()
            os.close(self._descriptor)
            self._descriptor = -1

    def _leave_page_cache(self) -> None:
        if self._drops and self._offset > self._dropped_to:
            count = self._offset - self._dropped_to
            os.posix_fadvise(self._descriptor, self._dropped_to, count, os.POSIX_FADV_DONTNEED)
        self._dropped_to = self._offset

    def __del__(self) -> None:
        self.close()


def _is_cached(descriptor: int, offset: int) -> bool:
    """Whether the byte there can be had without the disk; True where the file system cannot tell."""
    try:
        os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
