"""An image store in a pool of a Ceph cluster: one RBD image for each blob, named by its location.

It drives the `rbd` and `rados` programs of ceph-common. Other users of the pool are left alone: only names that we
could have made are listed or removed.
Invariant: a blob's image gets its name by one rename, after its bytes and its protected snapshot are there, and is
never written again. A deleted one goes to the pool's trash, where who reads it goes on, and a sweep ends it later.
Read next: `writer.py`, `reader.py`, `command.py`, `../interface.py` for the promises.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gureum.drivers.image.errors import BlobNotFound, ImageStoreError
from gureum.drivers.image.locations import is_location, new_location
from gureum.drivers.image.rbd.command import ClusterSilent, Missing, RbdPool
from gureum.drivers.image.rbd.reader import Export, Layout, by_objects, whole_or_failed
from gureum.drivers.image.rbd.writer import SNAPSHOT, UNFINISHED, RbdWriter, remove_image

_TRASHED_S = 3600
"""How long a deleted image's data stays for those who read it."""

_STAMP_S = 60.0
"""librbd writes an image's time of modification at most once in so many seconds (rbd_mtime_update_interval)."""

_PROBE = "gureum-asks-whether-this-pool-answers"


class Problem(NamedTuple):
    """What is wrong with a pool, and what mends it."""

    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.text}: {self.remedy}"


class RbdImageStore:
    """Blobs as images of a pool."""

    name = "rbd"

    def __init__(self, pool: RbdPool, now: Callable[[], float] = time.time) -> None:
        """`now` gives seconds of the cluster's clock. Raises ValueError for a configuration file without an fsid."""
        self._pool = pool
        self._now = now
        self._fsid = pool.fsid()
        self._lock = threading.Lock()
        self._writing: set[str] = set()

    def create(self, image_id: str) -> RbdWriter:
        """See ImageStore.create."""
        location = new_location(image_id)
        with self._lock:
            self._writing.add(location)
        return RbdWriter(self._pool, location, lambda: self._writing.discard(location))

    def open(self, location: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See ImageStore.open. The child is held until the iterator ends, is closed or is dropped."""
        if offset < 0 or (length is not None and length < 0):
            raise ValueError("offset and length cannot be negative")
        began = self._now()

        def check() -> None:
            # The trash kept a deleted image's data for so long; later, absent objects would be read as zeros.
            if self._now() - began > _TRASHED_S / 2:
                self._layout(location)

        if offset == 0:
            return whole_or_failed(self._export(location, 0, length), check)
        layout = self._layout(location)
        end = layout.size if length is None else min(layout.size, offset + length)
        if layout.striped and offset < end:
            return whole_or_failed(self._export(location, offset, end - offset), check)
        return whole_or_failed(by_objects(self._pool, layout, offset, end), check)

    def size(self, location: str) -> int:
        """See ImageStore.size."""
        return self._layout(location).size

    def delete(self, location: str) -> None:
        """See ImageStore.delete."""
        if is_location(location):
            try:
                expiry = f"--expires-at={_TRASHED_S} seconds"
                self._pool.ask("rbd", "trash", "mv", expiry, self._pool.spec(location))
            except Missing:
                return

    def locations(self) -> Iterator[str]:
        """See ImageStore.locations."""
        return iter([name for name in self._names() if is_location(name)])

    def local_path(self, location: str) -> Path | None:
        """A pool has no path."""
        self._layout(location)
        return None

    def direct_url(self, location: str) -> str:
        """See ImageStore.direct_url. The form is that of OpenStack's RBD store: rbd://fsid/pool/image/snapshot."""
        return f"rbd://{self._fsid}/{self._pool.pool}/{location}/{SNAPSHOT}" if is_location(location) else ""

    def sweep(self, older_than_s: float) -> int:
        """See ImageStore.sweep. What somebody writes is watched; deleted images end here when their time came."""
        for entry in self._json("trash", "ls", "--long", f"--pool={self._pool.pool}"):
            if is_location(entry["name"]) and not entry["status"].startswith("protected"):
                self._end_trashed(entry["id"])
        return sum(self._sweep_unfinished(name, older_than_s) for name in self._names() if name.endswith(UNFINISHED))

    def problem(self) -> Problem | None:
        """What keeps this pool from being used now, found out within `answer_s`; None for nothing."""
        pool = self._pool
        try:
            pool.ask("rbd", "info", pool.spec(_PROBE))
        except Missing:
            return None
        except ClusterSilent as error:
            return Problem(str(error), f"see that its monitors run and that `mon host` in {pool.conf} names them.")
        except ImageStoreError as error:
            caps = f"mon 'profile rbd' osd 'profile rbd pool={pool.pool}'"
            return Problem(
                f"the pool {pool.pool!r} is not open to client.{pool.user} ({error})",
                f"make it with `ceph osd pool create {pool.pool}`, give the user its key with "
                f"`ceph auth get-or-create client.{pool.user} {caps}`, and put that where {pool.conf} says.",
            )
        return None

    def _sweep_unfinished(self, name: str, older_than_s: float) -> bool:
        location = name.removesuffix(UNFINISHED)
        if not is_location(location) or location in self._writing:
            return False
        try:
            age = self._now() - _moment(self._json("info", self._pool.spec(name))["modify_timestamp"])
            if age < older_than_s + _STAMP_S or self._json("status", self._pool.spec(name))["watchers"]:
                return False
            remove_image(self._pool, name)
        except Missing:
            return False
        return True

    def _end_trashed(self, image_id: str) -> None:
        """One with clones stays until they are gone or flattened: its snapshot cannot be unprotected."""
        pool, chosen = f"--pool={self._pool.pool}", f"--image-id={image_id}"
        try:
            for snapshot in self._json("snap", "ls", pool, chosen):
                if snapshot["protected"] == "true":
                    self._pool.ask("rbd", "snap", "unprotect", pool, chosen, f"--snap={snapshot['name']}")
            self._pool.ask("rbd", "snap", "purge", "--no-progress", pool, chosen)
            self._pool.ask("rbd", "trash", "rm", "--no-progress", pool, chosen)
        except ClusterSilent:
            raise
        except ImageStoreError:
            return

    def _export(self, location: str, skip: int, length: int | None) -> Export:
        if not is_location(location):
            raise BlobNotFound(location)
        try:
            return Export(self._pool, location, skip, length)
        except Missing:
            raise BlobNotFound(location) from None

    def _layout(self, location: str) -> Layout:
        if not is_location(location):
            raise BlobNotFound(location)
        try:
            found = self._json("info", self._pool.spec(location))
        except Missing:
            raise BlobNotFound(location) from None
        return Layout(
            found["size"],
            found["object_size"],
            found["block_name_prefix"],
            found.get("data_pool") or self._pool.pool,
            "stripe_unit" in found,
        )

    def _names(self) -> list[str]:
        found: list[str] = self._json("ls", f"--pool={self._pool.pool}")
        return found

    def _json(self, *words: str) -> Any:
        said = self._pool.ask("rbd", *words, "--format=json")
        try:
            return msgspec.json.decode(said)
        except msgspec.DecodeError as error:
            raise ImageStoreError(f"rbd {words[0]} said something else than JSON: {error}") from error


def _moment(text: str) -> float:
    """Seconds since the epoch of rbd's `Sat Nov 21 10:58:13 2026`, in UTC as we told it."""
    return datetime.strptime(text, "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC).timestamp()
