"""What other services may ask of images, in their own transactions."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from gureum.agents.hypervisor.protocol import ImageSource
from gureum.drivers.image.ingest import Ingest
from gureum.foundation import clock, ids
from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image, visible

log = logging.getLogger("gureum.image")

_CHUNK = 4 << 20


@dataclass(frozen=True, slots=True)
class BootImage:
    """What a server needs to know of its image."""

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


class ImageFacade:
    def __init__(self, deps: ImageDeps) -> None:
        self._deps = deps

    def boot_image(self, tx: Tx, caller: Caller, image_id: str) -> BootImage:
        """An active image that the caller may use. Raises BadRequest in the words of the compute API."""
        row = tx.scalar(visible(caller).where(Image.id == image_id)) if ids.is_uuid(image_id) else None
        if row is None:
            raise BadRequest(f"Image {image_id} could not be found.")
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
            row.sha512 or "",
            {key: value for key, value in row.properties.items() if isinstance(value, str)},
        )

    def source(self, tx: Tx, image_id: str) -> ImageSource | None:
        """Where a host takes the image's data from; None when the image is gone."""
        row = tx.scalar(select(Image).where(Image.id == image_id, Image.deleted_at.is_(None)))
        if row is None or row.location is None:
            return None
        path = self._deps.store.local_path(row.location)
        return ImageSource(
            row.id,
            row.disk_format or "raw",
            row.size_bytes or 0,
            row.sha512 or "",
            str(path.absolute()) if path is not None else "",
        )

    def ensure_public(self, name: str, file: Path, *, properties: dict[str, str]) -> str:
        """A public qcow2 image with the file's content, once; a file with other content replaces an older image."""
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha512").hexdigest()
        with self._deps.database.read() as tx:
            mine = (Image.name == name, Image.owner.is_(None), Image.status == "active", Image.deleted_at.is_(None))
            rows = tx.scalars(select(Image).where(*mine)).all()
        for row in rows:
            if row.sha512 == digest:
                return row.id
        image_id = ids.new_uuid()
        with Ingest(self._deps.store.create(image_id), declared_format="qcow2") as ingest, file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                ingest.feed(chunk)
            found = ingest.finish()

        def write(tx: Tx) -> None:
            for row in tx.scalars(select(Image).where(*mine)):
                row.hidden = True
            tx.add(
                Image(
                    id=image_id,
                    name=name,
                    status="active",
                    visibility="public",
                    disk_format="qcow2",
                    container_format="bare",
                    size_bytes=found.size,
                    virtual_size_bytes=found.inspection.virtual_size_bytes,
                    md5=found.md5_hex,
                    sha512=found.sha512_hex,
                    location=found.blob.location,
                    properties=dict(properties),
                    updated_at=clock.utcnow(),
                )
            )

        self._deps.database.write(write)
        log.info("image %s is there as %s", name, image_id)
        return image_id
