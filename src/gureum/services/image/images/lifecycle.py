"""What follows an image's row: data that nobody needs goes by a durable task; dead uploads and orphans are put right.

An image at rest has no task: nothing happens to it by itself. The invariant that the sweep of orphans stands on:
data comes to an image only through an upload whose id its row carries or an import whose task its row names. So data
of an image that has neither, read after the data was listed, and that is neither staged nor one of the image's
locations, can never become anybody's.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy import select, update

from gureum.drivers.image.stores import NamedStore, Stores
from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.tasks.lifecycle import Done, Lifecycle, Outcome, Reconciler, Run
from gureum.foundation.tasks.steps import step, steps_of
from gureum.foundation.tasks.store import Tasks
from gureum.services.image.images.model import Image
from gureum.services.image.locations.model import ImageLocation

log = logging.getLogger("gureum.image")

KIND = "image-data"

UPLOAD_BEAT_S = 5.0
UPLOAD_SILENCE_S = 30.0
"""An upload that gave no sign of life for so long has died with its process."""

_UPLOADS_EVERY_S = 10.0
_STORE_EVERY_S = 300.0
_LOOKED_UP_AT_ONCE = 500


@dataclass(frozen=True)
class DataLifecycle:
    """The end of a piece of data. Repeated until its store says that it is gone."""

    stores: Stores

    def lifecycle(self) -> Lifecycle:
        return Lifecycle(KIND, steps_of(self), failed=self.remove)

    @step(ending=True)
    def remove(self, run: Run) -> Outcome:
        store = self.stores.get(run.data["store"])
        if store is None:
            log.error("the store %s of %s is not configured any more", run.data["store"], run.data["location"])
        else:
            store.engine.delete(run.data["location"])
        return Done()


def remove_data(tasks: Tasks, tx: Tx, image: Image, store: str, location: str) -> None:
    """Data that is no image's any more goes after the commit, however often the store must be asked."""
    data = {"store": store, "location": location}
    tasks.create(tx, KIND, ids.new_uuid(), DataLifecycle.remove, data, image.owner or "-")


def reconcilers(database: Database, stores: Stores) -> tuple[Reconciler, ...]:
    """What a worker does now and then: see the two functions below."""

    def uploads() -> None:
        for image_id in requeue_dead_uploads(database):
            log.warning("the upload of image %s ended without a word: it is queued again", image_id)

    def leftovers() -> None:
        for store in stores:
            sweep_store(database, store)

    return (
        Reconciler("image-uploads", _UPLOADS_EVERY_S, uploads),
        Reconciler("image-store", _STORE_EVERY_S, leftovers),
    )


def requeue_dead_uploads(database: Database) -> list[str]:
    """Images whose upload died are queued again; their ids."""
    dead = (Image.upload_id.isnot(None), Image.upload_seen_at < clock.now() - UPLOAD_SILENCE_S)
    with database.read() as tx:
        if tx.scalar(select(Image.id).where(*dead).limit(1)) is None:
            return []
    values = {"status": "queued", "upload_id": None, "updated_at": clock.utcnow()}
    statement = update(Image).where(*dead).values(**values).returning(Image.id)
    options = {"synchronize_session": False}
    return database.write(lambda tx: list(tx.scalars(statement, execution_options=options)))


def sweep_store(database: Database, store: NamedStore) -> int:
    """Remove data that no image holds and none can come to hold; how many blobs went.

    Data of ids that were never images of this cloud is left alone: the store may have other users.
    """
    engine = store.engine
    swept = engine.sweep(UPLOAD_SILENCE_S)
    there = list(engine.locations())
    for start in range(0, len(there), _LOOKED_UP_AT_ONCE):
        for location in _orphans(database, store.name, there[start : start + _LOOKED_UP_AT_ONCE]):
            log.warning("image data %s belongs to no upload and no image: it is removed", location)
            engine.delete(location)
            swept += 1
    return swept


def _orphans(database: Database, store: str, locations: list[str]) -> list[str]:
    image_of = {location: location.rpartition(".")[0] for location in locations}
    columns = (Image.id, Image.upload_id, Image.import_task_id, Image.staged)
    held = select(ImageLocation.location).where(
        ImageLocation.store == store, ImageLocation.image_id.in_(set(image_of.values()))
    )
    with database.read() as tx:
        rows = {row.id: row for row in tx.execute(select(*columns).where(Image.id.in_(set(image_of.values()))))}
        kept = set(tx.scalars(held))
    kept |= {row.staged["location"] for row in rows.values() if row.staged}
    found = [(location, rows.get(image_id)) for location, image_id in image_of.items() if location not in kept]
    return [location for location, row in found if row and not row.upload_id and not row.import_task_id]
