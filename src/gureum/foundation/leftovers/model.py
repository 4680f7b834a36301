"""The table of projects that were deleted while services may still hold resources of theirs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Id, Name, Row


class DeletedProject(Row):
    """A row stays for a day at least, and until nothing of the project is left."""

    __tablename__ = "deleted_projects"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Name)
    domain_id: Mapped[str] = mapped_column(Id)
    deleted_at: Mapped[datetime]
