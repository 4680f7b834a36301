"""What other services may ask of images, in their own transactions, and what bootstrap asks for."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct
from sqlalchemy import bindparam, select

from gureum.agents.hypervisor.protocol import ImageSource
from gureum.drivers.image.errors import BlobNotFound
from gureum.drivers.image.ingest import Ingest, Ingested
from gureum.foundation import ids
from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared
from gureum.foundation.errors import BadRequest
from gureum.services.image.data import snapshot
from gureum.services.image.data.claim import Claim, take_in
from gureum.services.image.data.snapshot import NewSnapshot, Received
from gureum.services.image.deps import ImageDeps
from gureum.services.image.events import ImageActivated, ImageCreated, ImageDeleted
from gureum.services.image.images.model import Image, ImageProperty, living, visible_to
from gureum.services.image.images.operations import delete_image
from gureum.services.image.locations.model import ImageLocation
from gureum.services.image.locations.reading import Place, place_for_hosts

__all__ = [
    "BootImage",
    "Claim",
    "ImageActivated",
    "ImageCreated",
    "ImageDeleted",
    "ImageFacade",
    "NewSnapshot",
    "Received",
]

log = logging.getLogger("gureum.image")

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class BootImage:
    """What a server needs to know of its image. `properties` are the image's own, beside the API's."""

    id: str
    name: str
    status: str
    disk_format: str
    size_bytes: int
    virtual_size_bytes: int
    min_disk_gib: int
    min_ram_mib: int
    sha512: str
    properties: dict[str, str]


_WANTED = Image.id == bindparam("image_id")
_BOOTABLE = (
    select(
        *(Image.id, Image.name, Image.status, Image.disk_format, Image.size_bytes, Image.virtual_size_bytes),
        *(Image.min_disk_gib, Image.min_ram_mib, Image.hash_value, Image.hash_algorithm),
        ImageProperty.name.label("property_name"),
        ImageProperty.value.label("property_value"),
    )
    .outerjoin(ImageProperty, ImageProperty.image_id == Image.id)
    .where(_WANTED, Image.deleted_at.is_(None))
)


class _BootRow(Struct, frozen=True, gc=False):
    """An image and one of its properties."""

    id: str
    name: str | None
    status: str
    disk_format: str | None
    size_bytes: int | None
    virtual_size_bytes: int | None
    min_disk_gib: int
    min_ram_mib: int
    hash_value: str | None
    hash_algorithm: str | None
    property_name: str | None
    property_value: str | None


class _PlaceRow(Struct, frozen=True, gc=False):
    """An image and one of the places of its data."""

    id: str
    disk_format: str | None
    size_bytes: int | None
    hash_value: str | None
    hash_algorithm: str | None
    store: str
    location: str
    position: int


_BOOT_ANY = Prepared(_BOOTABLE, _BootRow)
_BOOT_VISIBLE = Prepared(_BOOTABLE.where(visible_to(bindparam("project"))), _BootRow)
_SOURCE = Prepared(
    select(
        *(Image.id, Image.disk_format, Image.size_bytes, Image.hash_value, Image.hash_algorithm),
        *(ImageLocation.store, ImageLocation.location, ImageLocation.position),
    )
    .join(ImageLocation, ImageLocation.image_id == Image.id)
    .where(_WANTED, Image.deleted_at.is_(None))
    .order_by(ImageLocation.position),
    _PlaceRow,
)


def _sha512(image: Image | _BootRow | _PlaceRow) -> str:
    return image.hash_value or "" if image.hash_algorithm == "sha512" else ""


class ImageFacade:
    def __init__(self, deps: ImageDeps) -> None:
        self._deps = deps

    def boot_image(self, tx: Tx, caller: Caller, image_id: str) -> BootImage:
        """An active image that the caller may use. Raises BadRequest in the words of the compute API."""
        if caller.is_admin:
            rows = _BOOT_ANY.all(tx, image_id=image_id)
        else:
            rows = _BOOT_VISIBLE.all(tx, image_id=image_id, project=caller.project_id or "")
        if not rows:
            raise BadRequest("Can not find requested image")
        row = rows[0]
        if row.status != "active":
            raise BadRequest(f"Image {image_id} is not active.")
        return BootImage(
            row.id,
            row.name or "",
            row.status,
            row.disk_format or "raw",
            row.size_bytes or 0,
            row.virtual_size_bytes or 0,
            row.min_disk_gib,
            row.min_ram_mib,
            _sha512(row),
            {row.property_name: row.property_value or "" for row in rows if row.property_name is not None},
        )

    def source(self, tx: Tx, image_id: str) -> ImageSource | None:
        """Where a host takes the image's data from; None when the image or its data is gone.

        A deactivated image still has a source: servers that were made from it live on.
        """
        places = _SOURCE.all(tx, image_id=image_id)
        if not places:
            return None
        row = places[0]
        try:
            place = place_for_hosts(self._deps.stores, row.id, places)
        except BlobNotFound:
            return None
        if place == Place() and self._deps.stores.of_kind("web"):
            log.error("image %s has its data outside only: a host cannot take it", row.id)
            return None
        return ImageSource(
            image_id=row.id,
            disk_format=row.disk_format or "raw",
            size_bytes=row.size_bytes or 0,
            sha512=_sha512(row),
            path=str(place.path.absolute()) if place.path is not None else "",
            url=place.url,
        )

    def reserve_snapshot(self, tx: Tx, caller: Caller, new: NewSnapshot) -> str:
        """A queued image for a server's disk; its id. Raises BadRequest, Forbidden, TooLarge as the image API does."""
        return snapshot.reserve(self._deps, tx, caller, new)

    def claim_snapshot(self, tx: Tx, image_id: str) -> Claim:
        """The image is `saving`, and the caller may fill it. Safe to repeat. Raises PermanentFailureError."""
        return snapshot.claim(self._deps, tx, image_id)

    def receive_snapshot(self, claim: Claim, chunks: Iterable[bytes]) -> Received:
        """Take the qcow2 data in, outside of any transaction. Raises PermanentFailureError, ImageStoreError."""
        return snapshot.receive(self._deps, claim, chunks)

    def finish_snapshot(self, tx: Tx, image_id: str, received: Received) -> bool:
        """The image is active. False when it was deleted meanwhile; the data goes then."""
        return snapshot.finish(self._deps, tx, image_id, received)

    def drop_snapshot(self, tx: Tx, image_id: str) -> None:
        """The image will not be filled: it is deleted."""
        snapshot.drop(self._deps, tx, image_id)

    def rotate_backups(self, tx: Tx, image_id: str, properties: dict[str, str], keep: int) -> None:
        """Of the active images of this image's owner with these properties, only the `keep` newest stay."""
        snapshot.rotate(self._deps, tx, image_id, properties, keep)

    def ensure_public(self, name: str, file: Path, *, properties: dict[str, str]) -> str:
        """A public qcow2 image of this name that belongs to the cloud itself and holds the file's content; its id.

        Safe to repeat. Other content under the same name takes the older image's place: what was made from that one
        keeps its own disk. Raises OSError for the file and the store's errors.
        """
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha512").hexdigest()
        mine = living().where(Image.name == name, Image.owner.is_(None), Image.status == "active")
        with self._deps.database.read() as tx:
            for row in tx.scalars(mine):
                if _sha512(row) == digest:
                    return row.id
        image_id = ids.new_uuid()
        found = self._read(image_id, file)

        def publish(tx: Tx) -> None:
            for older in tx.scalars(mine):
                delete_image(self._deps, tx, older)
            row = Image(
                id=image_id,
                name=name,
                visibility="public",
                disk_format="qcow2",
                container_format="bare",
                properties=dict(properties),
                tags=[],
                stores="",
            )
            tx.add(row)
            self._deps.events.emit(tx, ImageCreated(image_id, None))
            take_in(self._deps.events, tx, row, self._deps.stores.default.name, found)

        self._deps.database.write(publish)
        log.info("image %s holds %s", image_id, name)
        return image_id

    def _read(self, image_id: str, file: Path) -> Ingested:
        writer = self._deps.stores.default.engine.create(image_id)
        with Ingest(writer, declared_format="qcow2") as ingest, file.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                ingest.feed(chunk)
            return ingest.finish()
