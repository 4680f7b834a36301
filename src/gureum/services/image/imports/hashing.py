"""A location that a client added: its data is read once, hashed and inspected, and compared with what was promised.

With a promised hash the image serves once it is confirmed; without one it serves at once and the hash follows.
Source: image API reference v2.17, "Locations".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from gureum.drivers.image.errors import ImageStoreError
from gureum.drivers.image.inspector import Inspector, mismatch
from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.tasks.lifecycle import PermanentFailureError
from gureum.services.image.deps import ImageDeps
from gureum.services.image.events import ImageActivated
from gureum.services.image.images.model import HASH_ALGORITHM, Image
from gureum.services.image.imports.operations import Job, mine
from gureum.services.image.imports.progress import Watch
from gureum.services.image.tasks.model import begin

ALGORITHMS = {"sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
"""Name -> hexadecimal digits of its value."""


def published(deps: ImageDeps, task_id: str, job: Job) -> Callable[[Tx], None]:
    """What is to be committed: the image is active with the size that the other side tells."""
    size = _told_size(deps, job)

    def commit(tx: Tx) -> None:
        image = mine(tx, job, task_id)
        if image is not None:
            image.status, image.size_bytes, image.updated_at = "active", size, clock.utcnow()
            deps.events.emit(tx, ImageActivated(image.id, image.owner, size))
            if deps.config.secure_hash:
                image.hash_algorithm = HASH_ALGORITHM
            elif job.hash_value:
                image.hash_algorithm, image.hash_value = job.hash_algorithm, job.hash_value
            begin(tx, task_id)

    return commit


def _told_size(deps: ImageDeps, job: Job) -> int | None:
    store = deps.stores.of_kind("web")
    try:
        return None if store is None else store.engine.size(job.uri)
    except ImageStoreError:
        return None


def hashed(deps: ImageDeps, task_id: str, job: Job, image: Image) -> Callable[[Tx], None]:
    """What is to be committed: size and hashes. Raises PermanentFailureError when the data is not what was promised or
    not what the image says.
    """
    algorithm = job.hash_algorithm or HASH_ALGORITHM
    digests = (hashlib.md5(usedforsecurity=False), hashlib.new(algorithm, usedforsecurity=False))
    inspector, size = Inspector(), 0
    watch = Watch(deps.database, task_id, job.image_id)
    try:
        for chunk in watch.over(deps.fetcher.open(job.uri, look=watch.look)):
            for digest in digests:
                digest.update(chunk)
            inspector.feed(chunk)
            size += len(chunk)
            if size > (job.room_bytes or deps.config.max_bytes):
                raise PermanentFailureError("too large", public="The image is larger than is allowed.")
    except ImageStoreError as error:
        raise PermanentFailureError(str(error), public=f"The location gave no data: {error}.") from error
    value, found = digests[1].hexdigest(), inspector.finish()
    if job.hash_value and value != job.hash_value:
        raise PermanentFailureError(f"{algorithm} is {value}", public="The data's hash is not the promised one.")
    reasons = [reason for reason in (mismatch(image.disk_format or "", found), *found.problems) if reason]
    if reasons:
        raise PermanentFailureError("; ".join(reasons), public=f"The data is refused: {'; '.join(reasons)}.")

    def commit(tx: Tx) -> None:
        image = mine(tx, job, task_id)
        if image is not None:
            image.size_bytes, image.virtual_size_bytes = size, found.virtual_size_bytes
            image.md5, image.hash_algorithm, image.hash_value = digests[0].hexdigest(), algorithm, value

    return commit
