"""What must happen to an image's data after the row says so: a deleted image's blob goes, by a durable task."""

from __future__ import annotations

import logging

from sqlalchemy import select, update

from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.tasks.lifecycle import Done, Lifecycle, Outcome, Reconciler, Run
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image

log = logging.getLogger("gureum.image")

KIND = "image_data"
SILENT_UPLOAD_S = 60.0
SWEEP_S = 30.0


def lifecycle(deps: ImageDeps) -> Lifecycle:
    """One step: delete the blob. It is repeated until the store says that it is gone."""

    def delete_blob(run: Run) -> Outcome:
        deps.store.delete(run.data["location"])
        return Done()

    return Lifecycle(
        KIND,
        steps={"delete_blob": delete_blob},
        first="delete_blob",
        failed="delete_blob",
        destroy="delete_blob",
        ending=frozenset({"delete_blob"}),
    )


def reconcilers(deps: ImageDeps) -> tuple[Reconciler, ...]:
    """Uploads whose process died go back to queued; what they left in the store goes."""

    def sweep() -> None:
        edge = clock.now() - SILENT_UPLOAD_S

        def reset(tx: Tx) -> None:
            dead = (Image.status == "saving", Image.saving_at < edge)
            for image_id in tx.scalars(select(Image.id).where(*dead)).all():
                log.warning("the upload of image %s ended without a word: it is queued again", image_id)
            tx.execute(update(Image).where(*dead).values(status="queued", updated_at=clock.utcnow()))

        deps.database.write(reset)
        deps.store.sweep(SILENT_UPLOAD_S)

    return (Reconciler("image-uploads", SWEEP_S, sweep),)
