"""The images table. A deleted image leaves its id behind: ids are never used again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Float, ForeignKey, Index, Select, String, and_, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.caller import Caller
from gureum.foundation.db.types import Id, Json, Name, Row


class Image(Row):
    """`status` is queued, saving, active, deactivated or deleted. `saving_at` is the upload's heartbeat (epoch)."""

    __tablename__ = "images"
    __table_args__ = (Index("ix_images_list", "deleted_at", "created_at", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str | None] = mapped_column(Name)
    owner: Mapped[str | None] = mapped_column(Id, index=True)
    status: Mapped[str] = mapped_column(String(16), default="queued")
    visibility: Mapped[str] = mapped_column(String(16), default="shared")
    hidden: Mapped[bool] = mapped_column(default=False)
    protected: Mapped[bool] = mapped_column(default=False)
    disk_format: Mapped[str | None] = mapped_column(String(20))
    container_format: Mapped[str | None] = mapped_column(String(20))
    min_disk_gib: Mapped[int] = mapped_column(default=0)
    min_ram_mib: Mapped[int] = mapped_column(default=0)
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    virtual_size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    md5: Mapped[str | None] = mapped_column(String(32))
    sha512: Mapped[str | None] = mapped_column(String(128))
    location: Mapped[str | None] = mapped_column(String(255))
    properties: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    tags: Mapped[list[str]] = mapped_column(Json, default=list)
    saving_at: Mapped[float] = mapped_column(Float(53), default=0.0)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    deleted_at: Mapped[datetime | None]


class ImageMember(Row):
    """A project that a shared image is shared with; `status` is pending, accepted or rejected."""

    __tablename__ = "image_members"

    image_id: Mapped[str] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    member_id: Mapped[str] = mapped_column(Name, primary_key=True, index=True)
    status: Mapped[str] = mapped_column(String(16), default="pending")
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)


def visible(caller: Caller, *, listed: bool = False) -> Select[tuple[Image]]:
    """The images that a caller may see. In lists, community images and what is shared but not accepted stay out."""
    statement = select(Image).where(Image.deleted_at.is_(None))
    if caller.is_admin:
        return statement
    shared = select(ImageMember.image_id).where(ImageMember.member_id == caller.project_id)
    if listed:
        shared = shared.where(ImageMember.status == "accepted")
    open_to_all = ("public",) if listed else ("public", "community")
    return statement.where(
        or_(
            Image.owner == caller.project_id,
            Image.visibility.in_(open_to_all),
            and_(Image.visibility == "shared", Image.id.in_(shared)),
        )
    )
