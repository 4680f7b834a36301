"""An import as a durable task: fetch, judge, convert, copy to each store, end. Killed anywhere, it goes on.

Every step may run again: data that a dead worker wrote and nobody recorded is swept (`images/lifecycle.py`). A step
that finds its image gone leaves by `fail`, which removes what the import brought.
Read next: `operations.py` for what each end writes, `sources.py` for where data comes from.
"""

from __future__ import annotations

import logging

from gureum.drivers.image.errors import ImageRefused, ImageStoreError, ImageTooLarge
from gureum.drivers.image.ingest import Ingest, Ingested
from gureum.drivers.image.pace import TooSlow
from gureum.foundation.db.engine import Tx
from gureum.foundation.tasks.lifecycle import Done, Goto, Lifecycle, Outcome, PermanentFailureError, Run
from gureum.foundation.tasks.steps import step, steps_of, transactional
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.lifecycle import remove_data
from gureum.services.image.images.model import Image
from gureum.services.image.imports import conversion, hashing, operations, sources
from gureum.services.image.imports.operations import Job, activate, bring, job_of, mine
from gureum.services.image.imports.progress import Watch
from gureum.services.image.imports.staged import Staged, staged_of
from gureum.services.image.locations.model import locations_of
from gureum.services.image.locations.reading import open_data
from gureum.services.image.tasks.model import begin

log = logging.getLogger("gureum.image")

KIND = "image-import"
ATTEMPTS = 3
_UNEXPLAINED = "The import did not succeed. An operator finds the cause under the request id."


class ImportLifecycle:
    """`fail` is also where the deletion of the image diverts to."""

    def __init__(self, deps: ImageDeps) -> None:
        self.deps = deps

    def lifecycle(self) -> Lifecycle:
        return Lifecycle(KIND, steps_of(self), failed=self.fail, attempts=ATTEMPTS, retry_s=1.0)

    @step(transfer=True)
    def fetch(self, run: Run) -> Outcome:
        """Data from elsewhere to the stage."""
        job = job_of(run.data)
        self._begin(run, job)
        store = self.deps.stores.default
        watch = self._watch(run, job)
        facts = sources.facts_of(self.deps, job, watch.look)
        chunks = watch.over(sources.chunks_of(self.deps, job, watch.look))
        found = self._ingested(Ingest(store.engine.create(job.image_id), max_size_bytes=job.room_bytes or None), chunks)
        if facts.sha512 not in (None, found.sha512_hex):
            store.engine.delete(found.blob.location)
            raise PermanentFailureError("another hash", public="The data's hash is not that of the source image.")
        staged = Staged.of(store.name, found)
        run.data["sealed_token"] = ""

        def commit(tx: Tx) -> None:
            image = mine(tx, job, run.resource_id)
            if image is not None:
                image.staged, image.staged_bytes = staged.as_json(), staged.size
                facts.write_to(image)
            else:
                self._drop(tx, job, staged.store, staged.location)

        return Goto(self.judge, commit=commit)

    @step
    def judge(self, run: Run) -> Outcome:
        """The content against what the image says of itself; then whether it is to be converted."""
        job = job_of(run.data)
        image = self._begin(run, job)
        staged = _staged(image)
        refusals = staged.refusals(image.disk_format or "")
        if refusals:
            raise _refused(job, "; ".join(refusals))
        return Goto(self.convert if conversion.is_wanted(self.deps, staged) else self.copy)

    @step(transfer=True)
    def convert(self, run: Run) -> Outcome:
        job = job_of(run.data)
        before = _staged(self._begin(run, job))
        try:
            after = conversion.converted(self.deps, job.image_id, before, self._watch(run, job).look)
        except ImageStoreError as error:
            raise _refused(job, f"it cannot be converted to {self.deps.config.convert_to}", str(error)) from error

        def commit(tx: Tx) -> None:
            image = mine(tx, job, run.resource_id)
            if image is not None:
                image.staged, image.staged_bytes = after.as_json(), after.size
                image.disk_format = self.deps.config.convert_to
                remove_data(self.deps.tasks, tx, image, before.store, before.location)
            else:
                self._drop(tx, job, after.store, after.location)

        return Goto(self.copy, commit=commit)

    @step(transfer=True)
    def copy(self, run: Run) -> Outcome:
        """The data to the next store that lacks it."""
        job = job_of(run.data)
        image = self._begin(run, job)
        left = operations.left_of(image, job)
        if not left:
            _check_copies(image, job)
            return Goto(self.finish)
        store, staged = left[0], staged_of(image.staged) or _as_staged(image)
        try:
            location = self._copied(run, job, image, store)
        except ImageStoreError as error:
            log.warning("image %s did not come into the store %s: %s", job.image_id, store, error)
            if job.all_must:
                raise PermanentFailureError(
                    str(error), public=f"The data could not be put into the store {store}."
                ) from error
            return Goto(self.copy, commit=lambda tx: _note_failure(tx, run.resource_id, job, store))

        def commit(tx: Tx) -> None:
            image = mine(tx, job, run.resource_id)
            if image is not None:
                if bring(tx, image, job, staged, (store, location)):
                    activate(self.deps.events, tx, image)
            else:
                self._drop(tx, job, store, location)

        return Goto(self.copy, commit=commit)

    def _drop(self, tx: Tx, job: Job, store: str, location: str) -> None:
        """The image went away while its data was written."""
        image = tx.get(Image, job.image_id)
        if image is not None:
            remove_data(self.deps.tasks, tx, image, store, location)

    def _copied(self, run: Run, job: Job, image: Image, store: str) -> str:
        """Where the data is in this store now. Staged data that lies there already becomes the image's as it is."""
        staged = staged_of(image.staged)
        if staged is not None and staged.store == store:
            return staged.location
        if staged is not None:
            chunks = self.deps.stores.engine(staged.store).open(staged.location)
        else:
            with self.deps.database.read() as tx:
                rows = locations_of(tx, image.id)
            chunks = open_data(self.deps.stores, image.id, rows).chunks
        declared = image.disk_format if job.method == "copy-image" else None
        ingest = Ingest(self.deps.stores.engine(store).create(job.image_id), declared_format=declared)
        found = self._ingested(ingest, self._watch(run, job).over(chunks))
        wanted = staged.sha512 if staged is not None else image.hash_value
        algorithm = "sha512" if staged is not None else image.hash_algorithm
        if algorithm == "sha512" and wanted and found.sha512_hex != wanted:
            self.deps.stores.engine(store).delete(found.blob.location)
            raise ImageStoreError("the data that was read is not what the image's hash says")
        return found.blob.location

    @step(transfer=True)
    def publish(self, run: Run) -> Outcome:
        """A location without a promised hash: the image serves at once, the hash follows."""
        job = job_of(run.data)
        self._begin(run, job)
        commit = hashing.published(self.deps, run.resource_id, job)
        return Goto(self.hash if self.deps.config.secure_hash else self.finish, commit)

    @step(transfer=True)
    def hash(self, run: Run) -> Outcome:
        """Read a location's data once: its size, hashes and format."""
        job = job_of(run.data)
        image = self._begin(run, job)
        return Goto(self.finish, hashing.hashed(self.deps, run.resource_id, job, image))

    @transactional
    def finish(self, run: Run, tx: Tx) -> Outcome:
        operations.succeed(self.deps, tx, job_of(run.data), run.resource_id)
        return Done()

    @transactional(ending=True)
    def fail(self, run: Run, tx: Tx) -> Outcome:
        message = run.problem.public or _UNEXPLAINED
        operations.fail(self.deps, tx, job_of(run.data), run.resource_id, message)
        return Done()

    def _begin(self, run: Run, job: Job) -> Image:
        """The image, if it is still there for this import. The first time the task is shown as under way."""
        with self.deps.database.read() as tx:
            image = mine(tx, job, run.resource_id)
        if image is None:
            raise PermanentFailureError("the image went away", public="The image was deleted during its import.")
        if not run.data.get("begun"):
            run.data["begun"] = True
            self.deps.database.write(lambda tx: begin(tx, run.resource_id))
        return image

    def _watch(self, run: Run, job: Job) -> Watch:
        return Watch(self.deps.database, run.resource_id, job.image_id)

    def _ingested(self, ingest: Ingest, chunks: object) -> Ingested:
        """All chunks through the ingest. Raises PermanentFailureError for what no repetition can mend."""
        try:
            with ingest:
                for chunk in chunks:  # type: ignore[attr-defined]
                    ingest.feed(chunk)
                return ingest.finish()
        except ImageTooLarge as error:
            text = f"The image is larger than the {error.max_size_bytes} bytes that are allowed."
            raise PermanentFailureError(str(error), public=text) from error
        except ImageRefused as error:
            raise PermanentFailureError(
                str(error), public=f"The data is refused: {'; '.join(error.reasons)}."
            ) from error
        except TooSlow as error:
            raise PermanentFailureError(str(error), public=f"The import was ended: {error}.") from error


def _note_failure(tx: Tx, task_id: str, job: Job, store: str) -> None:
    image = mine(tx, job, task_id)
    if image is not None:
        image.failed_import = ",".join([*operations.failed_at(image), store])
        image.importing_to = ",".join(operations.left_of(image, job))


def _check_copies(image: Image, job: Job) -> None:
    if job.stores and not operations.brought_to(image, job):
        raise PermanentFailureError("no store took the data", public="None of the stores took the data.")


def _staged(image: Image) -> Staged:
    staged = staged_of(image.staged)
    if staged is None:
        raise PermanentFailureError("nothing is staged", public="There is no data to import.")
    return staged


def _as_staged(image: Image) -> Staged:
    return Staged(
        "", "", image.size_bytes or 0, image.md5 or "", image.hash_value or "", "", image.virtual_size_bytes or 0
    )


def _refused(job: Job, reasons: str, internal: str = "") -> PermanentFailureError:
    return PermanentFailureError(internal or reasons, public=f"Image {job.image_id} is refused: {reasons}.")
