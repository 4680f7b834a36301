"""What happens to an image's row, each verb within the caller's transaction.

Not here: who may (the handlers enforce), and the bytes (`data/`). Moves of `status`: README.md.
"""

from __future__ import annotations

from msgspec import UNSET
from sqlalchemy import delete, select

from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import Conflict, Forbidden
from gureum.foundation.events.outbox import Events
from gureum.foundation.http.call import Call
from gureum.services.image.cache.model import forget_everywhere
from gureum.services.image.config import ImageConfig
from gureum.services.image.deps import ImageDeps
from gureum.services.image.events import ImageCreated, ImageDeleted
from gureum.services.image.images.fields import (
    KNOWN,
    Fields,
    NewImage,
    characters,
    check_amounts,
    checked,
    checked_property,
)
from gureum.services.image.images.lifecycle import remove_data
from gureum.services.image.images.model import Image
from gureum.services.image.images.patch import Change
from gureum.services.image.imports.lifecycle import KIND as IMPORT_KIND
from gureum.services.image.imports.lifecycle import ImportLifecycle
from gureum.services.image.imports.staged import staged_of
from gureum.services.image.locations.model import detach, locations_of
from gureum.services.image.locations.patching import change_locations
from gureum.services.image.members.model import ImageMember

_COLUMNS = {
    "id": "id",
    "name": "name",
    "visibility": "visibility",
    "os_hidden": "hidden",
    "protected": "protected",
    "owner": "owner",
    "disk_format": "disk_format",
    "container_format": "container_format",
    "min_disk": "min_disk_gib",
    "min_ram": "min_ram_mib",
}
_ONLY_WHILE_QUEUED = ("disk_format", "container_format")


def create_image(events: Events, tx: Tx, new: NewImage, owner: str | None) -> Image:
    """A queued image. Raises Conflict for an id that is or ever was an image's."""
    image_id = ids.new_uuid() if new.fields.id is UNSET else str(new.fields.id).lower()
    if new.fields.id is not UNSET and tx.scalar(select(Image.id).where(Image.id == image_id)) is not None:
        raise Conflict(f"Image ID {image_id} already exists!")
    now = clock.utcnow()
    image = Image(
        status="queued",
        visibility="shared",
        hidden=False,
        protected=False,
        min_disk_gib=0,
        min_ram_mib=0,
        upload_seen_at=0.0,
        stores="",
        created_at=now,
        updated_at=now,
    )
    image.owner = owner
    _write(image, new.fields)
    image.id = image_id
    image.properties.update(new.properties)
    tx.add(image)
    tx.flush()
    events.emit(tx, ImageCreated(image.id, owner))
    return image


def _write(image: Image, fields: Fields) -> None:
    for name, column in _COLUMNS.items():
        value = getattr(fields, name)
        if value is not UNSET:
            setattr(image, column, value)
    if fields.tags is not UNSET:
        _set_tags(image, list(fields.tags))


def _set_tags(image: Image, tags: list[str]) -> None:
    """Tags that stay keep their rows: a row deleted and made again in one flush would collide with itself."""
    wanted = set(tags)
    for row in [row for row in image.tag_rows if row.tag not in wanted]:
        image.tag_rows.remove(row)
    image.tags.extend(sorted(wanted - set(image.tags)))


def change_image(call: Call[ImageDeps], image: Image, changes: list[Change]) -> None:
    """Apply a patch in order. Raises BadRequest, Conflict, Forbidden, TooLarge; then the transaction is void."""
    before = _amounts(image)
    for change in changes:
        if change.name == "locations":
            change_locations(call, image, change)
        elif change.name in KNOWN:
            _change_known(image, change)
        else:
            _change_property(call, image, change)
    if any(now > then for now, then in zip(_amounts(image), before, strict=True)):
        check_amounts(call.deps.config, dict(image.properties), len(image.tag_rows))
    if changes:
        image.updated_at = clock.utcnow()


def _amounts(image: Image) -> tuple[int, int, int]:
    return len(image.properties), characters(image.properties), len(image.tag_rows)


def _change_known(image: Image, change: Change) -> None:
    name = change.name
    if change.op == "remove":
        raise Forbidden(f"Property {name} may not be removed.")
    if change.only_new:
        raise Conflict(f"Property {name} already present.")
    fields = checked({name: change.value})
    if name in _ONLY_WHILE_QUEUED and image.status != "queued" and change.value != getattr(image, name):
        raise Forbidden(f"Attribute {name} can be only replaced for a queued image.")
    _write(image, fields)


def _change_property(call: Call[ImageDeps], image: Image, change: Change) -> None:
    present = change.name in image.properties
    protections, caller = call.deps.protections, call.caller
    if present and not protections.allows(caller, change.name, "read"):
        # Whether it is there is not to be learned either.
        protections.require(caller, change.name, "create")
        raise Forbidden(f"Property '{change.name[:255]}' is protected")
    if change.op != "add" and not present:
        raise Conflict(f"Property {change.name[:255]} does not exist.")
    if change.only_new and present:
        raise Conflict(f"Property {change.name[:255]} already present.")
    if change.op == "remove":
        protections.require(caller, change.name, "delete")
        del image.properties[change.name]
    elif present:
        protections.require(caller, change.name, "update")
        image.property_rows[change.name].value = checked_property(change.name, change.value)
    else:
        protections.require(caller, change.name, "create")
        image.properties[change.name] = checked_property(change.name, change.value)


def delete_image(deps: ImageDeps, tx: Tx, image: Image) -> None:
    """The image is gone for every caller at once; tasks remove its data after the commit. Its id stays taken."""
    now, tasks = clock.utcnow(), deps.tasks
    deps.events.emit(tx, ImageDeleted(image.id, image.owner, image.size_bytes))
    for row in locations_of(tx, image.id):
        detach(tx, image, row)
        remove_data(tasks, tx, image, row.store, row.location)
    if (staged := staged_of(image.staged)) is not None:
        remove_data(tasks, tx, image, staged.store, staged.location)
    if image.import_task_id is not None:
        tasks.signal(tx, IMPORT_KIND, [image.import_task_id], divert=ImportLifecycle.fail)
    image.status, image.deleted_at, image.updated_at, image.upload_id = "deleted", now, now, None
    image.staged = image.staged_bytes = image.import_task_id = None
    image.property_rows.clear()
    image.tag_rows.clear()
    tx.execute(delete(ImageMember).where(ImageMember.image_id == image.id))
    forget_everywhere(tx, image.id)


def switch(image: Image, before: str, after: str) -> None:
    """Deactivate or reactivate; a repetition is no change. Raises Forbidden from any other status."""
    if image.status == after:
        return
    if image.status != before:
        raise Forbidden(f"Image status transition from {image.status} to {after} is not allowed")
    image.status, image.updated_at = after, clock.utcnow()


def add_tag(config: ImageConfig, image: Image, tag: str) -> None:
    """Raises TooLarge, BadRequest."""
    if tag in list(image.tags):
        return
    checked({"tags": [tag]})
    check_amounts(config, {}, len(image.tag_rows) + 1)
    image.tags.append(tag)
    image.updated_at = clock.utcnow()


def remove_tag(image: Image, tag: str) -> bool:
    """Whether the tag was there."""
    rows = [row for row in image.tag_rows if row.tag == tag]
    for row in rows:
        image.tag_rows.remove(row)
        image.updated_at = clock.utcnow()
    return bool(rows)
