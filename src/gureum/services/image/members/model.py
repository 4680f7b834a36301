"""Members: the projects that a shared image is shared with."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.types import Id, Name, Row

STATUSES = ("pending", "accepted", "rejected")


class ImageMember(Row):
    """`member_id` is a project that may use the image; only that project changes `status`."""

    __tablename__ = "image_members"

    image_id: Mapped[str] = mapped_column(Id, ForeignKey("images.id"), primary_key=True)
    member_id: Mapped[str] = mapped_column(Name, primary_key=True, index=True)
    status: Mapped[str] = mapped_column(String(16), default="pending")
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
