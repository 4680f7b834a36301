"""The table of notices."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.types import Id, Name, Row


class Notice(Row):
    """For one project, or for all when `project_id` is None."""

    __tablename__ = "notices"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    project_id: Mapped[str | None] = mapped_column(Id, index=True)
    title: Mapped[str] = mapped_column(Name)
    text: Mapped[str] = mapped_column(Text)
    level: Mapped[str] = mapped_column(String(16), default="information")
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
