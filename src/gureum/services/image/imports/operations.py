"""What an import writes to its image, and its ends, each within one transaction.

Invariant: `images.import_task_id` names the one import that may change the image's data; an import that does not find
its own name there changes nothing and removes what it brought.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.events.outbox import Events
from gureum.foundation.http.views import JsonValue
from gureum.foundation.shapes import converted
from gureum.services.image.deps import ImageDeps
from gureum.services.image.events import ImageActivated
from gureum.services.image.images.lifecycle import remove_data
from gureum.services.image.images.model import HASH_ALGORITHM, Image
from gureum.services.image.imports.staged import Staged, staged_of
from gureum.services.image.locations.model import attach, detach, locations_of
from gureum.services.image.tasks.model import end


class Job(msgspec.Struct):
    """What the import's durable task carries. It never changes: how far the import is stands in the image's row alone
    (`staged`, `stores`, `failed_import`), so that a step whose commit failed leaves no trace of itself. Only
    `sealed_token` goes, in the commit that records the data that was fetched with it.
    """

    image_id: str
    method: str
    stores: list[str]
    all_must: bool = True
    uri: str = ""
    source: dict[str, str] = {}
    sealed_token: str = ""
    room_bytes: int = 0
    result: dict[str, JsonValue] | None = None
    hash_algorithm: str = ""
    hash_value: str = ""

    def data(self) -> dict[str, JsonValue]:
        data: dict[str, JsonValue] = msgspec.to_builtins(self)
        return data


def job_of(data: Mapping[str, JsonValue]) -> Job:
    """The steps' data, without what the engine keeps beside it."""
    return converted({name: data[name] for name in Job.__struct_fields__ if name in data}, Job)


def brought_to(image: Image, job: Job) -> list[str]:
    """The stores that hold the data by this import: those that held it before are not among the job's."""
    there = image.stores.split(",")
    return [name for name in job.stores if name in there]


def failed_at(image: Image) -> list[str]:
    return image.failed_import.split(",") if image.failed_import else []


def left_of(image: Image, job: Job) -> list[str]:
    """The stores that still lack the data."""
    done = (*brought_to(image, job), *failed_at(image))
    return [name for name in job.stores if name not in done]


def mine(tx: Tx, job: Job, task_id: str) -> Image | None:
    """The image, if this import is still the one that may change it."""
    image = tx.get(Image, job.image_id)
    return image if image is not None and image.import_task_id == task_id else None


def bring(tx: Tx, image: Image, job: Job, staged: Staged, place: tuple[str, str]) -> bool:
    """Note that one store holds the data: `place` is (store, location). True when that is enough for the image to be
    active.
    """
    store, location = place
    attach(tx, image, store, location)
    left = left_of(image, job)
    image.importing_to = ",".join(left)
    if job.method == "copy-image":
        return False
    image.size_bytes, image.virtual_size_bytes = staged.size, staged.virtual_size
    image.md5, image.hash_algorithm, image.hash_value = staged.md5, HASH_ALGORITHM, staged.sha512
    image.updated_at = clock.utcnow()
    return not job.all_must or not left


def activate(events: Events, tx: Tx, image: Image) -> None:
    """Make the image active, unless it is."""
    if image.status != "active":
        image.status = "active"
        events.emit(tx, ImageActivated(image.id, image.owner, image.size_bytes))


def succeed(deps: ImageDeps, tx: Tx, job: Job, task_id: str) -> None:
    """End the import: the data is in the stores that were asked for. Clears the stage."""
    image = mine(tx, job, task_id)
    if image is not None:
        _clear_stage(deps, tx, image)
        if job.method != "copy-image":
            activate(deps.events, tx, image)
        _let_go(image, job, failed_at(image))
    end(tx, task_id, "success", result=job.result)


def fail(deps: ImageDeps, tx: Tx, job: Job, task_id: str, message: str) -> None:
    """Whatever this import brought goes; the image is as it was before, without data on the stage."""
    image = mine(tx, job, task_id)
    if image is not None:
        brought, staged = brought_to(image, job), staged_of(image.staged)
        for row in locations_of(tx, image.id):
            if row.store in brought:
                detach(tx, image, row)
                if staged is None or (row.store, row.location) != (staged.store, staged.location):
                    remove_data(deps.tasks, tx, image, row.store, row.location)
        _clear_stage(deps, tx, image)
        if job.method != "copy-image":
            image.status = "queued"
            image.size_bytes = image.virtual_size_bytes = None
            image.md5 = image.hash_algorithm = image.hash_value = None
        _let_go(image, job, job.stores)
    end(tx, task_id, "failure", message=message)


def _let_go(image: Image, job: Job, failed: list[str]) -> None:
    image.import_task_id, image.updated_at = None, clock.utcnow()
    if shows_stores(job):
        image.importing_to, image.failed_import = "", ",".join(failed)


def shows_stores(job: Job) -> bool:
    """Whether clients wait for the job's stores: always for those of a copy, even if there are none."""
    return bool(job.stores) or job.method == "copy-image"


def _clear_stage(deps: ImageDeps, tx: Tx, image: Image) -> None:
    """The staged data is dropped unless it became a location."""
    staged = staged_of(image.staged)
    image.staged = image.staged_bytes = None
    if staged is None:
        return
    place = (staged.store, staged.location)
    if all((row.store, row.location) != place for row in locations_of(tx, image.id)):
        remove_data(deps.tasks, tx, image, staged.store, staged.location)
