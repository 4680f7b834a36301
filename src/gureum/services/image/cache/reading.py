"""Serving from the cache, and counting the hits in memory: a download writes nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from sqlalchemy import bindparam, select

from gureum.drivers.image.errors import BlobNotFound
from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.services.image.cache.model import CachedImage
from gureum.services.image.deps import ImageDeps

_FIND = select(CachedImage.location).where(
    CachedImage.image_id == bindparam("image_id"),
    CachedImage.node == bindparam("node"),
    CachedImage.location.isnot(None),
    CachedImage.wanted,
)


class Hits:
    """What was read since the last time that somebody wrote it down."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[int, float]] = {}

    def note(self, image_id: str) -> None:
        with self._lock:
            self._seen[image_id] = (self._seen.get(image_id, (0, 0.0))[0] + 1, clock.now())

    def take(self) -> dict[str, tuple[int, float]]:
        with self._lock:
            seen, self._seen = self._seen, {}
        return seen


HITS = Hits()


def cached_blob(deps: ImageDeps, tx: Tx, image_id: str, offset: int, length: int) -> Iterator[bytes] | None:
    """The copy's chunks, None when there is no copy."""
    if deps.cache is None:
        return None
    location = tx.scalar(_FIND, {"image_id": image_id, "node": deps.cache.node})
    if location is None:
        return None
    try:
        found = deps.cache.store.open(location, offset, length)
    except BlobNotFound:
        return None
    HITS.note(image_id)
    return found
