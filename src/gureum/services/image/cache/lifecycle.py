"""Filling the cache by a durable task, and keeping it within its size and free of what nobody wants.

Invariant: the cache's store holds nothing for long that no row names; a row that nobody wants goes with its copy.
"""

from __future__ import annotations

import logging

from sqlalchemy import select, update

from gureum.drivers.image.errors import BlobNotFound, ImageStoreError
from gureum.drivers.image.ingest import Ingest
from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.tasks.lifecycle import Done, Lifecycle, Outcome, PermanentFailureError, Reconciler, Run
from gureum.services.image.cache.model import CachedImage
from gureum.services.image.cache.reading import HITS
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image, living
from gureum.services.image.locations.reading import open_data

log = logging.getLogger("gureum.image")

KIND = "image-cache"
FILL, GIVE_UP = "fill", "give_up"
_EVERY_S = 10.0
_LEFTOVER_S = 600.0


def lifecycle(deps: ImageDeps) -> Lifecycle:
    """One copy into the cache."""

    def fill(run: Run) -> Outcome:
        with deps.database.read() as tx:
            row = tx.get(CachedImage, run.resource_id)
            image = tx.scalar(living().where(Image.id == run.resource_id, Image.status == "active"))
            if deps.cache is None or row is None or image is None or not row.wanted or row.location is not None:
                return Done()
            try:
                chunks = open_data(deps.stores, tx, image)
            except BlobNotFound as error:
                raise PermanentFailureError(str(error)) from error
        if (image.size_bytes or 0) > deps.config.cache_bytes:
            raise PermanentFailureError(f"image {image.id} is larger than the cache")
        with Ingest(deps.cache.create(image.id)) as ingest:
            for chunk in chunks:
                ingest.feed(chunk)
            found = ingest.finish()
        if image.hash_algorithm == "sha512" and image.hash_value not in (None, found.sha512_hex):
            deps.cache.delete(found.blob.location)
            raise PermanentFailureError(f"the data of image {image.id} is not what its hash says")
        return Done(commit=lambda tx: _cached(tx, run.resource_id, found.blob.location, found.size))

    def give_up(run: Run) -> Outcome:
        log.warning("image %s is not cached: %s", run.resource_id, run.error.get("text"))
        forget = update(CachedImage).where(CachedImage.image_id == run.resource_id, CachedImage.location.is_(None))
        return Done(commit=lambda tx: _execute(tx, forget.values(wanted=False)))

    return Lifecycle(
        KIND,
        steps={FILL: fill, GIVE_UP: give_up},
        first=FILL,
        failed=GIVE_UP,
        destroy=GIVE_UP,
        ending=frozenset({GIVE_UP}),
    )


def _execute(tx: Tx, statement: object) -> None:
    tx.execute(statement, execution_options={"synchronize_session": False})  # type: ignore[call-overload]


def _cached(tx: Tx, image_id: str, location: str, size: int) -> None:
    """A row that is gone or not wanted leaves the copy to the reconciler."""
    mine = update(CachedImage).where(CachedImage.image_id == image_id, CachedImage.location.is_(None))
    now = clock.now()
    _execute(tx, mine.values(location=location, size_bytes=size, modified_at=now, accessed_at=now))


def reconcilers(deps: ImageDeps) -> tuple[Reconciler, ...]:
    if deps.cache is None:
        return ()
    return (Reconciler("image-cache", _EVERY_S, lambda: tidy(deps)),)


def tidy(deps: ImageDeps) -> None:
    """Hits are written down, what is too much or not wanted goes, and data that no row names."""
    cache = deps.cache
    if cache is None:
        return
    hits = HITS.take()
    if hits:
        deps.database.write(lambda tx: _count(tx, hits))
    with deps.database.read() as tx:
        rows = tx.scalars(select(CachedImage).order_by(CachedImage.accessed_at.desc())).all()
    room, gone = deps.config.cache_bytes, []
    for row in rows:
        room -= row.size_bytes if row.wanted else 0
        if not row.wanted or room < 0:
            gone.append(row)
    for row in gone:
        if row.location is not None:
            cache.delete(row.location)
    if gone:
        names = [row.image_id for row in gone]
        deps.database.write(lambda tx: _drop(tx, names))
    _sweep(deps, {row.location for row in rows if row not in gone})


def _count(tx: Tx, hits: dict[str, tuple[int, float]]) -> None:
    for image_id, (count, when) in hits.items():
        row = tx.get(CachedImage, image_id)
        if row is not None:
            row.hits, row.accessed_at = row.hits + count, when


def _drop(tx: Tx, image_ids: list[str]) -> None:
    for image_id in image_ids:
        row = tx.get(CachedImage, image_id)
        if row is not None:
            tx.delete(row)


def _sweep(deps: ImageDeps, named: set[str | None]) -> None:
    """Copies that a dead worker finished and nobody recorded, once no fill is under way for their image."""
    cache = deps.cache
    if cache is None:
        return
    try:
        cache.sweep(_LEFTOVER_S)
        there = [location for location in cache.locations() if location not in named]
    except ImageStoreError:
        log.exception("the image cache cannot be swept")
        return
    for location in there:
        with deps.database.read() as tx:
            kept = tx.scalar(select(CachedImage.location).where(CachedImage.location == location))
            busy = deps.tasks.exists(tx, KIND, location.rpartition(".")[0])
        if kept is None and not busy:
            cache.delete(location)
