"""Who is uploading to an image: taking the image, keeping it, giving it back, finishing it. One transaction each.

Invariant: of all uploads of an image one finishes, the one whose id the `saving` row carries; an image that nobody
keeps is queued again (`images/lifecycle.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import update

from gureum.drivers.image.ingest import Ingested
from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Conflict, Gone
from gureum.services.image.images.model import Image


@dataclass(frozen=True, slots=True)
class Claim:
    """An upload's right to finish the image."""

    image_id: str
    upload_id: str
    disk_format: str


def take(image: Image) -> Claim:
    """Raises Conflict unless the image is queued, BadRequest before its formats are known."""
    if image.status != "queued":
        raise Conflict(f"Image status transition from {image.status} to saving is not allowed")
    missing = [name for name in ("disk_format", "container_format") if getattr(image, name) is None]
    if missing:
        kind = "Properties" if len(missing) > 1 else "Property"
        raise BadRequest(f"{kind} {', '.join(missing)} must be set prior to saving data.")
    image.status, image.upload_id = "saving", ids.new_uuid()
    image.upload_seen_at, image.updated_at = clock.now(), clock.utcnow()
    return Claim(image.id, image.upload_id, image.disk_format or "")


def keep(tx: Tx, claim: Claim) -> bool:
    """A sign of life. False when the image is no longer this upload's: it was deleted, or the upload thought dead."""
    return _change(tx, claim, upload_seen_at=clock.now())


def give_back(tx: Tx, claim: Claim) -> bool:
    """Queued again, if it is still ours."""
    return _change(tx, claim, status="queued", upload_id=None, updated_at=clock.utcnow())


def finish(tx: Tx, claim: Claim, found: Ingested) -> None:
    """Active, with the data. Raises Gone when the image is no longer this upload's."""
    image = tx.get(Image, claim.image_id)
    if image is None or image.status != "saving" or image.upload_id != claim.upload_id:
        raise Gone(f"Image {claim.image_id} was deleted, or taken back, while its data was uploaded.")
    take_in(image, found)


def take_in(image: Image, found: Ingested) -> None:
    """The image is active and holds what was found."""
    image.status, image.upload_id, image.updated_at = "active", None, clock.utcnow()
    image.size_bytes = found.size
    image.virtual_size_bytes = found.inspection.virtual_size_bytes
    image.md5, image.sha512 = found.md5_hex, found.sha512_hex
    image.location = found.blob.location


def _change(tx: Tx, claim: Claim, **values: object) -> bool:
    mine = (Image.id == claim.image_id, Image.status == "saving", Image.upload_id == claim.upload_id)
    statement = update(Image).where(*mine).values(**values).returning(Image.id)
    return tx.scalar(statement, execution_options={"synchronize_session": False}) is not None
