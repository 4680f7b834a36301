"""Images whose data comes from a server's disk: reserved with the request, filled by compute's task, or dropped.

What an image of a server says of itself is compute's; here it is an image like others, which one upload may fill. That
upload's id is the image's own id, so that a worker that takes over from a dead one goes on with the same claim.
Invariant: an image that somebody else filled or deleted meanwhile is neither filled nor dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import select

from gureum.drivers.image.errors import ImageRefused, ImageTooLarge
from gureum.drivers.image.ingest import Ingest, Ingested
from gureum.foundation import clock
from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, TooLarge
from gureum.foundation.tasks.lifecycle import PermanentFailureError
from gureum.services.image.data.claim import Claim, keep, take_in
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.fields import (
    KNOWN,
    Fields,
    NewImage,
    check_amounts,
    checked_property,
    refuse_unwritable,
)
from gureum.services.image.images.lifecycle import UPLOAD_BEAT_S, remove_data
from gureum.services.image.images.model import Image, ImageProperty, living
from gureum.services.image.images.operations import create_image, delete_image
from gureum.services.image.usage import checks
from gureum.services.image.usage.checks import Coming
from gureum.services.image.usage.quotas import SIZE

FORMAT = "qcow2"
_GONE = "The image was deleted while its data was made."


@dataclass(frozen=True, slots=True)
class NewSnapshot:
    """`given` are properties of whoever asks, `properties` compute's own and those of the server's image."""

    owner: str
    name: str
    given: dict[str, str]
    properties: dict[str, str]
    min_disk_gib: int = 0
    min_ram_mib: int = 0


@dataclass(frozen=True, slots=True)
class Received:
    """Data that lies whole in a store and is no image's yet."""

    store: str
    found: Ingested


def reserve(deps: ImageDeps, tx: Tx, caller: Caller, new: NewSnapshot) -> str:
    """A queued private image; its id. Raises BadRequest, Forbidden, TooLarge as the image API does."""
    for name, value in new.given.items():
        refuse_unwritable(name)
        if name in KNOWN:
            raise BadRequest(f"{name} is no property of an image but a field of it.")
        checked_property(name, value)
        deps.protections.require(caller, name, "create")
    properties = {**new.properties, **{name: new.given[name] for name in new.given.keys() - new.properties.keys()}}
    check_amounts(deps.config, properties, 0)
    checks.require_count(deps, tx, new.owner)
    fields = Fields(name=new.name, visibility="private", min_disk=new.min_disk_gib, min_ram=new.min_ram_mib)
    return create_image(deps.events, tx, NewImage(fields, properties), new.owner).id


def claim(deps: ImageDeps, tx: Tx, image_id: str) -> Claim:
    """The image is `saving`; repeating it goes on with the same claim. Raises PermanentFailureError."""
    image = tx.get(Image, image_id)
    if image is None or not _is_ours(image):
        raise PermanentFailureError(f"image {image_id} is not to be filled", public=_GONE)
    try:
        if image.upload_id is None:
            checks.require_upload(deps, tx, image.owner)
        room = checks.room_bytes(deps, tx, image.owner, SIZE, Coming(image.id))
    except TooLarge as error:
        raise PermanentFailureError(str(error), public=error.public) from error
    image.status, image.upload_id = "saving", image.id
    image.disk_format, image.container_format = FORMAT, "bare"
    image.upload_seen_at, image.updated_at = clock.now(), clock.utcnow()
    return Claim(image.id, image.id, FORMAT, deps.stores.default.name, room)


def receive(deps: ImageDeps, mine: Claim, chunks: Iterable[bytes]) -> Received:
    """The data through hashes and inspector into the claim's store, in transactions of its own.

    Raises PermanentFailureError for what no repetition mends, ImageStoreError where one may.
    """
    writer = deps.stores.engine(mine.store).create(mine.image_id)
    try:
        with Ingest(writer, max_size_bytes=mine.max_bytes, declared_format=FORMAT) as ingest:
            for chunk in _kept(deps, mine, chunks):
                ingest.feed(chunk)
            return Received(mine.store, ingest.finish())
    except ImageTooLarge as error:
        text = f"The image is larger than the {error.max_size_bytes} bytes that are allowed."
        raise PermanentFailureError(str(error), public=text) from error
    except ImageRefused as error:
        raise PermanentFailureError(str(error), public="The server's disk does not make a sound image.") from error


def _kept(deps: ImageDeps, mine: Claim, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, with a sign of life now and then. Raises PermanentFailureError once the image is lost."""
    due = clock.now() + UPLOAD_BEAT_S
    for chunk in chunks:
        yield chunk
        if clock.now() >= due:
            due = clock.now() + UPLOAD_BEAT_S
            if not deps.database.write(lambda tx: keep(tx, mine)):
                raise PermanentFailureError(f"image {mine.image_id} went away", public=_GONE)


def finish(deps: ImageDeps, tx: Tx, image_id: str, received: Received) -> bool:
    """Active with the data. False when the image is not ours any more: then the data is removed."""
    image = tx.get(Image, image_id)
    if image is None:
        return False
    if image.status == "saving" and image.upload_id == image.id:
        take_in(deps.events, tx, image, received.store, received.found)
        return True
    remove_data(deps.tasks, tx, image, received.store, received.found.blob.location)
    return False


def drop(deps: ImageDeps, tx: Tx, image_id: str) -> None:
    """The image is deleted, unless it is not ours any more."""
    image = tx.get(Image, image_id)
    if image is not None and _is_ours(image):
        delete_image(deps, tx, image)


def _is_ours(image: Image) -> bool:
    if image.status == "queued":
        return image.upload_id is None and image.import_task_id is None
    return image.status == "saving" and image.upload_id == image.id


def rotate(deps: ImageDeps, tx: Tx, image_id: str, wanted: dict[str, str], keep_newest: int) -> None:
    """Of the owner's active images with all these properties, only the newest stay; protected ones always do."""
    owner = select(Image.owner).where(Image.id == image_id).scalar_subquery()
    statement = living().where(Image.owner == owner, Image.status == "active")
    for name, value in wanted.items():
        holds = select(ImageProperty.image_id).where(ImageProperty.name == name, ImageProperty.value == value)
        statement = statement.where(Image.id.in_(holds))
    tx.flush()
    found = tx.scalars(statement.order_by(Image.created_at.desc(), Image.id)).all()
    # The image at hand is the newest, whatever the clock says.
    newest_first = sorted(found, key=lambda image: image.id != image_id)
    for image in newest_first[keep_newest:]:
        if not image.protected:
            delete_image(deps, tx, image)
