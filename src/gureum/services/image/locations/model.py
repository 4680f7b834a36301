"""The table of places that hold images' data, and the two moves: one comes, one goes.

Invariant: `images.stores` always names the stores of the image's rows here; both are only written by `attach` and
`detach`, so that lists of images need no statement for their stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKey, Index, String, bindparam, select
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.types import Id, Name, Row

if TYPE_CHECKING:
    from gureum.services.image.images.model import Image


class ImageLocation(Row):
    """`location` is the store's name for the data (a URL in the web store), `facts` what clients noted about it."""

    __tablename__ = "image_locations"
    __table_args__ = (Index("ix_image_locations_image", "image_id", "position"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    image_id: Mapped[str] = mapped_column(Id, ForeignKey("images.id"))
    position: Mapped[int]
    store: Mapped[str] = mapped_column(Name)
    location: Mapped[str] = mapped_column(String(2048))
    facts: Mapped[dict[str, Any]]


_OF_IMAGE = (
    select(ImageLocation).where(ImageLocation.image_id == bindparam("image_id")).order_by(ImageLocation.position)
)


def locations_of(tx: Tx, image_id: str) -> Sequence[ImageLocation]:
    """In the order in which they came."""
    return tx.scalars(_OF_IMAGE, {"image_id": image_id}).all()


def locations_of_all(tx: Tx, image_ids: Sequence[str]) -> dict[str, list[ImageLocation]]:
    """Of a page of images, in one statement."""
    found: dict[str, list[ImageLocation]] = {image_id: [] for image_id in image_ids}
    statement = select(ImageLocation).where(ImageLocation.image_id.in_(image_ids)).order_by(ImageLocation.position)
    for row in tx.scalars(statement) if image_ids else ():
        found[row.image_id].append(row)
    return found


def attach(tx: Tx, image: Image, store: str, location: str, facts: dict[str, Any] | None = None) -> ImageLocation:
    """The image's data is there too."""
    there = locations_of(tx, image.id)
    position = there[-1].position + 1 if there else 0
    row = ImageLocation(
        id=ids.new_uuid(), image_id=image.id, position=position, store=store, location=location, facts=facts or {}
    )
    tx.add(row)
    tx.flush()
    image.stores = joined([*there, row])
    return row


def detach(tx: Tx, image: Image, row: ImageLocation) -> None:
    """The image's data is not there any more; what lies there is the caller's to remove."""
    tx.delete(row)
    tx.flush()
    image.stores = joined(locations_of(tx, image.id))


def joined(rows: Sequence[ImageLocation]) -> str:
    """The stores of some rows, each once."""
    return ",".join(dict.fromkeys(row.store for row in rows))
