"""What follows an image's row: a deleted image's data goes by a durable task; dead uploads and orphans are put right.

An image at rest has no task: nothing happens to it by itself. The invariant that the sweep of orphans stands on:
an upload may only finish while its image is `saving` under the upload's own id, so data of an image that is in any
other status, read after the data was listed, and not the image's `location`, can never become anybody's.
"""

from __future__ import annotations

import logging

from sqlalchemy import select, update

from gureum.drivers.image.interface import ImageStore
from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.tasks.lifecycle import Done, Lifecycle, Outcome, Reconciler, Run
from gureum.services.image.images.model import Image

log = logging.getLogger("gureum.image")

KIND = "image"
REMOVE_DATA = "remove_data"

UPLOAD_BEAT_S = 5.0
UPLOAD_SILENCE_S = 30.0
"""An upload that gave no sign of life for so long has died with its process."""

_UPLOADS_EVERY_S = 10.0
_STORE_EVERY_S = 300.0
_LOOKED_UP_AT_ONCE = 500


def lifecycle(store: ImageStore) -> Lifecycle:
    """The end of an image's life. Repeated until the store says that the data is gone."""

    def remove_data(run: Run) -> Outcome:
        store.delete(run.data["location"])
        forget = update(Image).where(Image.id == run.resource_id).values(location=None)
        return Done(commit=lambda tx: _execute(tx, forget))

    return Lifecycle(
        KIND,
        steps={REMOVE_DATA: remove_data},
        first=REMOVE_DATA,
        failed=REMOVE_DATA,
        destroy=REMOVE_DATA,
        ending=frozenset({REMOVE_DATA}),
    )


def _execute(tx: Tx, statement: object) -> None:
    tx.execute(statement, execution_options={"synchronize_session": False})  # type: ignore[call-overload]


def reconcilers(database: Database, store: ImageStore) -> tuple[Reconciler, ...]:
    """What a worker does now and then: see the two functions below."""

    def uploads() -> None:
        for image_id in requeue_dead_uploads(database):
            log.warning("the upload of image %s ended without a word: it is queued again", image_id)

    def leftovers() -> None:
        sweep_store(database, store)

    return (
        Reconciler("image-uploads", _UPLOADS_EVERY_S, uploads),
        Reconciler("image-store", _STORE_EVERY_S, leftovers),
    )


def requeue_dead_uploads(database: Database) -> list[str]:
    """Images whose upload died are queued again; their ids."""
    dead = (Image.status == "saving", Image.upload_seen_at < clock.now() - UPLOAD_SILENCE_S)
    with database.read() as tx:
        if tx.scalar(select(Image.id).where(*dead).limit(1)) is None:
            return []
    values = {"status": "queued", "upload_id": None, "updated_at": clock.utcnow()}
    statement = update(Image).where(*dead).values(**values).returning(Image.id)
    options = {"synchronize_session": False}
    return database.write(lambda tx: list(tx.scalars(statement, execution_options=options)))


def sweep_store(database: Database, store: ImageStore) -> int:
    """Remove data that no image holds and none can come to hold; how many blobs went.

    Data of ids that were never images of this cloud is left alone: the store may have other users.
    """
    swept = store.sweep(UPLOAD_SILENCE_S)
    there = list(store.locations())
    for start in range(0, len(there), _LOOKED_UP_AT_ONCE):
        for location in _orphans(database, there[start : start + _LOOKED_UP_AT_ONCE]):
            log.warning("image data %s belongs to no upload and no image: it is removed", location)
            store.delete(location)
            swept += 1
    return swept


def _orphans(database: Database, locations: list[str]) -> list[str]:
    image_of = {location: location.rpartition(".")[0] for location in locations}
    columns = (Image.id, Image.status, Image.location)
    with database.read() as tx:
        rows = {row.id: row for row in tx.execute(select(*columns).where(Image.id.in_(set(image_of.values()))))}
    found = [(location, rows.get(image_id)) for location, image_id in image_of.items()]
    return [location for location, row in found if row and row.status != "saving" and row.location != location]
