"""A long step's signs of life: how far it came, for people, and whether anybody still wants it.

Invariant: for each import at most one question in a second and one statement in five, whatever the speed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import select, update

from gureum.foundation import clock
from gureum.foundation.db.engine import Database
from gureum.foundation.tasks.lifecycle import PermanentFailureError
from gureum.services.image.images.model import Image
from gureum.services.image.tasks.model import ImageTask

LOOK_EVERY_S = 1.0
NOTE_EVERY_S = 5.0
MIB = 1 << 20


class Watch:
    """One transfer of the import `task_id`, which ends once the image is no longer this import's."""

    def __init__(self, database: Database, task_id: str, image_id: str) -> None:
        self._database, self._task_id, self._image_id = database, task_id, image_id
        self._look_due = clock.now() + LOOK_EVERY_S
        self._note_due = clock.now() + NOTE_EVERY_S

    def look(self) -> None:
        """Raises PermanentFailureError for an image that was deleted. Call it often: it asks once in a second."""
        if clock.now() < self._look_due:
            return
        self._look_due = clock.now() + LOOK_EVERY_S
        with self._database.read() as tx:
            owner = tx.scalar(select(Image.import_task_id).where(Image.id == self._image_id))
        if owner != self._task_id:
            raise PermanentFailureError("the image went away", public="The image was deleted during its import.")

    def over(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The chunks, looking between them and noting the progress."""
        passed = 0
        for chunk in chunks:
            yield chunk
            passed += len(chunk)
            self.look()
            if clock.now() >= self._note_due:
                self._note_due = clock.now() + NOTE_EVERY_S
                self._note(f"Copied {passed // MIB} MiB")

    def _note(self, message: str) -> None:
        values = {"message": message, "updated_at": clock.utcnow()}
        statement = update(ImageTask).where(ImageTask.id == self._task_id).values(**values)
        self._database.write(lambda tx: tx.execute(statement, execution_options={"synchronize_session": False}))
