"""The keeper of a node's image cache: fills what is queued, takes away what is not wanted, keeps it within its size.

It runs in the processes that answer requests, since the copies lie on their machine; of those of one node one at a
time. Each round compares the node's rows with what its store holds, so that a killed process costs a repetition.
Invariant: the store holds nothing for long that no row names, and a row is gone before its data is.
Read next: `node.py`, `reading.py`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

from sqlalchemy import delete, or_, select, update

from gureum.drivers.image.errors import BlobNotFound, ImageStoreError, ImageTooLarge
from gureum.drivers.image.ingest import Ingest, Ingested
from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.services.image.cache.model import CachedImage
from gureum.services.image.cache.node import NodeCache
from gureum.services.image.cache.reading import HITS
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image, living
from gureum.services.image.locations.model import locations_of
from gureum.services.image.locations.reading import open_data

log = logging.getLogger("gureum.image")

EVERY_S = 10.0
SOON_S = 1.0
MOST_BETWEEN_S = 600.0
_LEFTOVER_S = 600.0


class UnfitError(Exception):
    """The image cannot be cached, however often it is tried."""


class Keeper:
    """One for a process; `start` and `stop` once each. Without a cache it does nothing."""

    def __init__(self, deps: ImageDeps) -> None:
        self._deps = deps
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed: dict[str, tuple[float, float]] = {}

    def start(self) -> None:
        if self._deps.cache is not None:
            self._thread = threading.Thread(target=self._run, name="image-cache", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends a copy that is under way: its image stays queued."""
        self._stopping.set()
        if self._deps.cache is not None and self._thread is not None:
            self._deps.cache.changed.set()
            self._thread.join(timeout=10)

    def _run(self) -> None:
        assert self._deps.cache is not None
        changed, pause = self._deps.cache.changed, SOON_S
        while True:
            changed.wait(pause)
            changed.clear()
            if self._stopping.is_set():
                return
            pause = EVERY_S
            try:
                pause = EVERY_S if self.tend() else SOON_S
            except Exception:
                log.exception("the image cache could not be tended; it is tried again in %s s", EVERY_S)

    def tend(self) -> bool:
        """One round; False when another process of this node is at one."""
        cache = self._deps.cache
        if cache is None:
            return True
        hits = HITS.take()
        if hits:
            self._deps.database.write(lambda tx: _count(tx, cache.node, hits))
        with cache.alone() as mine:
            if mine:
                self._drop(cache)
                for image_id in self._queued(cache):
                    self._fill(cache, image_id)
                self._drop(cache)
                self._sweep(cache)
            return mine

    def _queued(self, cache: NodeCache) -> Iterator[str]:
        mine = select(CachedImage.image_id).where(
            CachedImage.node == cache.node, CachedImage.location.is_(None), CachedImage.wanted
        )
        with self._deps.database.read() as tx:
            found = tx.scalars(mine.order_by(CachedImage.modified_at)).all()
        self._failed = {one: tried for one, tried in self._failed.items() if one in found}
        for image_id in found:
            if not self._stopping.is_set() and self._failed.get(image_id, (0.0, 0.0))[0] <= clock.now():
                yield image_id

    def _fill(self, cache: NodeCache, image_id: str) -> None:
        try:
            self._copy(cache, image_id)
        except (UnfitError, BlobNotFound, ImageTooLarge) as error:
            log.warning("image %s is not cached on %s: %s", image_id, cache.node, error)
            self._deps.database.write(lambda tx: _forget(tx, cache.node, image_id))
        except ImageStoreError as error:
            log.warning("image %s stays queued for the cache of %s: %s", image_id, cache.node, error)
            pause = min(2 * self._failed.get(image_id, (0.0, EVERY_S / 2))[1], MOST_BETWEEN_S)
            self._failed[image_id] = (clock.now() + pause, pause)

    def _copy(self, cache: NodeCache, image_id: str) -> None:
        """The image's data into the store. Raises UnfitError and what stores raise."""
        most = self._deps.config.cache_bytes
        with self._deps.database.read() as tx:
            image = tx.scalar(living().where(Image.id == image_id, Image.status == "active"))
            if image is None:
                return
            if (image.size_bytes or 0) > most:
                raise UnfitError("it is larger than the cache")
            rows = locations_of(tx, image.id)
        chunks = open_data(self._deps.stores, image.id, rows).chunks
        found = self._ingested(Ingest(cache.store.create(image.id), max_size_bytes=most), chunks)
        if found is None:
            return
        location = found.blob.location
        if image.hash_algorithm == "sha512" and image.hash_value not in (None, found.sha512_hex):
            cache.store.delete(location)
            raise UnfitError("its data is not what its hash says")
        if not self._deps.database.write(lambda tx: _cached(tx, cache.node, image.id, location, found.size)):
            cache.store.delete(location)

    def _ingested(self, ingest: Ingest, chunks: Iterator[bytes]) -> Ingested | None:
        """None when the process is to end."""
        with ingest:
            for chunk in chunks:
                if self._stopping.is_set():
                    return None
                ingest.feed(chunk)
            return ingest.finish()

    def _drop(self, cache: NodeCache) -> None:
        """What is not wanted goes, and of the rest what was not read for longest, until it fits."""
        with self._deps.database.read() as tx:
            rows = tx.scalars(
                select(CachedImage).where(CachedImage.node == cache.node).order_by(CachedImage.accessed_at.desc())
            ).all()
        room, evicted = self._deps.config.cache_bytes, []
        for row in rows:
            room -= row.size_bytes if row.wanted else 0
            if row.wanted and row.location is not None and room < 0:
                evicted.append(row.image_id)
        if evicted or not all(row.wanted for row in rows):
            for location in self._deps.database.write(lambda tx: _remove(tx, cache.node, evicted)):
                cache.store.delete(location)

    def _sweep(self, cache: NodeCache) -> None:
        """Copies that nobody recorded go; images whose copy was lost are queued again."""
        try:
            cache.store.sweep(_LEFTOVER_S)
            there = set(cache.store.locations())
        except ImageStoreError:
            log.exception("the image cache of %s cannot be swept", cache.node)
            return
        named_here = select(CachedImage.location).where(
            CachedImage.node == cache.node, CachedImage.location.isnot(None)
        )
        with self._deps.database.read() as tx:
            named = set(tx.scalars(named_here))
        for location in there - named:
            cache.store.delete(location)
        if lost := named - there:
            again = update(CachedImage).where(CachedImage.node == cache.node, CachedImage.location.in_(lost))
            self._deps.database.write(lambda tx: _execute(tx, again.values(location=None, size_bytes=0)))
            cache.changed.set()


def _execute(tx: Tx, statement: object) -> int:
    found = tx.execute(statement, execution_options={"synchronize_session": False})  # type: ignore[call-overload]
    return int(found.rowcount)


def _count(tx: Tx, node: str, hits: dict[str, tuple[int, float]]) -> None:
    for image_id, (count, when) in hits.items():
        row = tx.get(CachedImage, (image_id, node))
        if row is not None:
            row.hits, row.accessed_at = row.hits + count, when


def _forget(tx: Tx, node: str, image_id: str) -> None:
    mine = (CachedImage.node == node, CachedImage.image_id == image_id, CachedImage.location.is_(None))
    _execute(tx, delete(CachedImage).where(*mine))


def _cached(tx: Tx, node: str, image_id: str, location: str, size: int) -> bool:
    """False when nobody wants the copy any more."""
    mine = (CachedImage.node == node, CachedImage.image_id == image_id)
    queued = update(CachedImage).where(*mine, CachedImage.location.is_(None), CachedImage.wanted)
    now = clock.now()
    return _execute(tx, queued.values(location=location, size_bytes=size, modified_at=now, accessed_at=now)) == 1


def _remove(tx: Tx, node: str, evicted: list[str]) -> list[str]:
    """Remove the rows; the locations that they had. One that was asked for again meanwhile stays."""
    mine = select(CachedImage).where(
        CachedImage.node == node, or_(CachedImage.wanted.is_(False), CachedImage.image_id.in_(evicted))
    )
    rows = tx.scalars(mine).all()
    for row in rows:
        tx.delete(row)
    return [row.location for row in rows if row.location is not None]
