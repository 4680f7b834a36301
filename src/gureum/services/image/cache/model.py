"""The table of cached images. Invariant: a row with a location has its data in its node's store, whole."""

from __future__ import annotations

from sqlalchemy import BigInteger, Float, String, update
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.types import Id, Row


class CachedImage(Row):
    """An image on one node. Queued while `location` is null; `wanted` turns false when the copy is to go.

    Times are seconds.
    """

    __tablename__ = "image_cache"

    image_id: Mapped[str] = mapped_column(Id, primary_key=True)
    node: Mapped[str] = mapped_column(String(64), primary_key=True)
    location: Mapped[str | None] = mapped_column(String(255))
    wanted: Mapped[bool] = mapped_column(default=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    hits: Mapped[int] = mapped_column(default=0)
    modified_at: Mapped[float] = mapped_column(Float(53), default=clock.now)
    accessed_at: Mapped[float] = mapped_column(Float(53), default=0.0)


def forget_everywhere(tx: Tx, image_id: str) -> None:
    """No node serves the copy any more; each node's keeper removes its own."""
    statement = update(CachedImage).where(CachedImage.image_id == image_id).values(wanted=False)
    tx.execute(statement, execution_options={"synchronize_session": False})
