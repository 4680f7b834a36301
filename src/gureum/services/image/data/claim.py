"""Who is uploading to an image: taking the image, keeping it, giving it back, finishing it. One transaction each.

An upload goes to the image itself (`saving`) or to the stage (`uploading`), where it waits for its import.
Invariant: of all uploads of an image one finishes, the one whose id the row carries; an image that nobody keeps is
queued again (`images/lifecycle.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import update

from gureum.drivers.image.ingest import Ingested
from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Conflict, Gone
from gureum.foundation.events.outbox import Events
from gureum.services.image.events import ImageActivated
from gureum.services.image.images.model import HASH_ALGORITHM, Image
from gureum.services.image.imports.staged import Staged
from gureum.services.image.locations.model import attach, detach, locations_of

UPLOADING = ("saving", "uploading")


@dataclass(frozen=True, slots=True)
class Claim:
    """An upload's right to finish the image, into one store. `declared_format` is empty for the stage."""

    image_id: str
    upload_id: str
    declared_format: str
    store: str
    max_bytes: int


def take(image: Image, status: Literal["saving", "uploading"], store: str, max_bytes: int) -> Claim:
    """Raises Conflict unless the image is queued, BadRequest before its formats are known."""
    if image.status != "queued":
        raise Conflict(f"Image status transition from {image.status} to {status} is not allowed")
    require_formats(image)
    image.status, image.upload_id = status, ids.new_uuid()
    image.upload_seen_at, image.updated_at = clock.now(), clock.utcnow()
    declared = image.disk_format or "" if status == "saving" else ""
    return Claim(image.id, image.upload_id, declared, store, max_bytes)


def require_formats(image: Image) -> None:
    """Raises BadRequest."""
    missing = [name for name in ("disk_format", "container_format") if getattr(image, name) is None]
    if missing:
        kind = "Properties" if len(missing) > 1 else "Property"
        raise BadRequest(f"{kind} {', '.join(missing)} must be set prior to saving data.")


def keep(tx: Tx, claim: Claim) -> bool:
    """A sign of life. False when the image is no longer this upload's: it was deleted, or the upload thought dead."""
    return _change(tx, claim, upload_seen_at=clock.now())


def give_back(tx: Tx, claim: Claim) -> bool:
    """Queued again, if it is still ours."""
    return _change(tx, claim, status="queued", upload_id=None, updated_at=clock.utcnow())


def finish(events: Events, tx: Tx, claim: Claim, found: Ingested) -> None:
    """Active with the data, or staged with it. Raises Gone when the image is no longer this upload's."""
    image = tx.get(Image, claim.image_id)
    if image is None or image.status not in UPLOADING or image.upload_id != claim.upload_id:
        raise Gone(f"Image {claim.image_id} was deleted, or taken back, while its data was uploaded.")
    if image.status == "uploading":
        image.staged, image.staged_bytes = Staged.of(claim.store, found).as_json(), found.size
        image.upload_id, image.updated_at = None, clock.utcnow()
        return
    take_in(events, tx, image, claim.store, found)


def take_in(events: Events, tx: Tx, image: Image, store: str, found: Ingested) -> None:
    """The image is active and holds what was found, in this store alone."""
    image.status, image.upload_id, image.updated_at = "active", None, clock.utcnow()
    image.size_bytes = found.size
    image.virtual_size_bytes = found.inspection.virtual_size_bytes
    image.md5, image.hash_algorithm, image.hash_value = found.md5_hex, HASH_ALGORITHM, found.sha512_hex
    for row in locations_of(tx, image.id):
        detach(tx, image, row)
    attach(tx, image, store, found.blob.location)
    events.emit(tx, ImageActivated(image.id, image.owner, found.size))


def _change(tx: Tx, claim: Claim, **values: object) -> bool:
    mine = (Image.id == claim.image_id, Image.status.in_(UPLOADING), Image.upload_id == claim.upload_id)
    statement = update(Image).where(*mine).values(**values).returning(Image.id)
    return tx.scalar(statement, execution_options={"synchronize_session": False}) is not None
