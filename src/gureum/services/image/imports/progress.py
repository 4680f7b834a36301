"""A long step's signs of life: how far it came, for people, and whether anybody still wants it.

Invariant: at most one statement in five seconds for each import, whatever the speed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import select, update

from gureum.foundation import clock
from gureum.foundation.db.engine import Database
from gureum.foundation.tasks.lifecycle import PermanentFailureError
from gureum.services.image.images.model import Image
from gureum.services.image.tasks.model import ImageTask

EVERY_S = 5.0
MIB = 1 << 20


def watched(database: Database, task_id: str, image_id: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, noting the progress. Raises PermanentFailureError once the image is no longer this import's."""
    passed, due = 0, clock.now() + EVERY_S
    for chunk in chunks:
        yield chunk
        passed += len(chunk)
        if clock.now() >= due:
            due = clock.now() + EVERY_S
            _note(database, task_id, image_id, f"Copied {passed // MIB} MiB")


def _note(database: Database, task_id: str, image_id: str, message: str) -> None:
    with database.read() as tx:
        owner = tx.scalar(select(Image.import_task_id).where(Image.id == image_id))
    if owner != task_id:
        raise PermanentFailureError("the image went away", public="The image was deleted during its import.")
    values = {"message": message, "updated_at": clock.utcnow()}
    statement = update(ImageTask).where(ImageTask.id == task_id).values(**values)
    database.write(lambda tx: tx.execute(statement, execution_options={"synchronize_session": False}))
