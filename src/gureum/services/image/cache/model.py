"""The table of cached images. Invariant: a row with a location has its data in the cache's store, whole."""

from __future__ import annotations

from sqlalchemy import BigInteger, Float, String, update
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.types import Id, Row


class CachedImage(Row):
    """Queued while `location` is null. `wanted` turns false when the copy is to go. Times are seconds."""

    __tablename__ = "image_cache"

    image_id: Mapped[str] = mapped_column(Id, primary_key=True)
    location: Mapped[str | None] = mapped_column(String(255))
    wanted: Mapped[bool] = mapped_column(default=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    hits: Mapped[int] = mapped_column(default=0)
    modified_at: Mapped[float] = mapped_column(Float(53), default=clock.now)
    accessed_at: Mapped[float] = mapped_column(Float(53), default=0.0)


def forget_cached(tx: Tx, image_id: str) -> None:
    """The copy is served no more; the cache's reconciler removes it."""
    statement = update(CachedImage).where(CachedImage.image_id == image_id).values(wanted=False)
    tx.execute(statement, execution_options={"synchronize_session": False})
