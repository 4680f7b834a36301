"""A blob on its way into the pool: an image of another name, imported from our pipe, renamed when it is whole.

It is not a file object: it only appends and ends in `commit` or `abort`.
Invariant: under the blob's name there is nothing, or a whole image with its protected snapshot, from which
copy-on-write clones can be made.
Read next: `store.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from gureum.drivers.image.errors import ImageStoreError
from gureum.drivers.image.interface import Chunk, StoredBlob
from gureum.drivers.image.rbd.command import ClusterSilent, Missing, RbdPool, Stream

UNFINISHED = ".part"
SNAPSHOT = "snap"


class RbdWriter:
    """See ImageWriter. `over` is called once, when the unfinished image is nobody's any more."""

    def __init__(self, pool: RbdPool, location: str, over: Callable[[], None]) -> None:
        self._pool = pool
        self._location = location
        self._unfinished = location + UNFINISHED
        self._over = over
        self._size = 0
        self._open = True
        size = f"--object-size={pool.chunk_bytes}B"
        into = f"--dest-pool={pool.pool}"
        words = ("import", "--no-progress", "--image-format=2", size, into, "-", self._unfinished)
        try:
            self._stream = Stream(pool, "rbd", *words, feeds=True)
        except ImageStoreError:
            self._leave()
            raise

    def write(self, chunk: Chunk) -> None:
        """See ImageWriter.write."""
        self._require_open()
        with memoryview(chunk).cast("B") as view:
            self._stream.write(view)
            self._size += len(view)

    def commit(self) -> StoredBlob:
        """See ImageWriter.commit."""
        self._require_open()
        pool, snapshot = self._pool, f"{self._pool.spec(self._unfinished)}@{SNAPSHOT}"
        try:
            self._stream.end()
            pool.ask("rbd", "snap", "create", "--no-progress", snapshot)
            pool.ask("rbd", "snap", "protect", snapshot)
            pool.ask("rbd", "rename", pool.spec(self._unfinished), pool.spec(self._location))
        except ClusterSilent:
            # Asking again would only wait again: the sweeps find what is left, under either name.
            self._stream.kill()
            self._leave()
            raise
        except ImageStoreError:
            self.abort()
            # A rename whose answer was lost may have happened.
            with contextlib.suppress(ImageStoreError):
                remove_image(pool, self._location)
            raise
        self._leave()
        return StoredBlob(self._location, self._size)

    def abort(self) -> None:
        """See ImageWriter.abort. What a silent cluster keeps is left to the sweep."""
        if not self._open:
            return
        # The end of its input lets the child close the image: one that is killed blocks the removal for half a minute.
        with contextlib.suppress(ImageStoreError):
            self._stream.end()
        self._stream.kill()
        try:
            if not self._stream.silent:
                with contextlib.suppress(ImageStoreError):
                    remove_image(self._pool, self._unfinished)
        finally:
            self._leave()

    def _leave(self) -> None:
        self._open = False
        self._over()

    def _require_open(self) -> None:
        if not self._open:
            raise ImageStoreError("this writer is closed")

    def __del__(self) -> None:
        # A writer that is dropped without an end keeps no child; its image waits for the sweep.
        if getattr(self, "_open", False) and hasattr(self, "_stream"):
            self._stream.kill()
            self._leave()


def remove_image(pool: RbdPool, image: str) -> None:
    """An image and its snapshot, at once. One that is gone is no error. Raises ImageStoreError."""
    spec = pool.spec(image)
    with contextlib.suppress(Missing):
        try:
            pool.ask("rbd", "rm", "--no-progress", spec)
        except Missing:
            raise
        except ImageStoreError:
            with contextlib.suppress(ImageStoreError):
                pool.ask("rbd", "snap", "unprotect", f"{spec}@{SNAPSHOT}")
            pool.ask("rbd", "snap", "purge", "--no-progress", spec)
            pool.ask("rbd", "rm", "--no-progress", spec)
