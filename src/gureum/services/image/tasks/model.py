"""The table of tasks that clients see. The work itself is a durable task of the foundation (`imports/lifecycle.py`).

A task that ended is kept for two days and then forgotten.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Index, String, Text, delete
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.types import Id, Json, Name, Row

KEPT = timedelta(hours=48)
TYPES = ("import", "api_image_import", "location_import")
STATUSES = ("pending", "processing", "success", "failure")


class ImageTask(Row):
    """`input` is what was asked, `result` what came of it, `message` the progress or the reason of a failure."""

    __tablename__ = "image_tasks"
    __table_args__ = (
        Index("ix_image_tasks_image", "image_id"),
        Index("ix_image_tasks_list", "created_at", "id"),
        Index("ix_image_tasks_expiry", "expires_at"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    image_id: Mapped[str | None] = mapped_column(Id)
    type: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16), default="pending")
    owner: Mapped[str | None] = mapped_column(Name)
    user_id: Mapped[str] = mapped_column(Name)
    request_id: Mapped[str] = mapped_column(String(64))
    input: Mapped[dict[str, Any]] = mapped_column(Json)
    result: Mapped[dict[str, Any] | None] = mapped_column(Json)
    message: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    expires_at: Mapped[datetime | None]


def begin(tx: Tx, task_id: str) -> None:
    """The work is under way."""
    row = tx.get(ImageTask, task_id)
    if row is not None and row.status == "pending":
        row.status, row.updated_at = "processing", clock.utcnow()


def end(tx: Tx, task_id: str, status: str, *, message: str = "", result: dict[str, Any] | None = None) -> None:
    """The work is over. A task that has ended already stays as it is."""
    row = tx.get(ImageTask, task_id)
    if row is not None and row.status not in ("success", "failure"):
        now = clock.utcnow()
        row.status, row.message, row.updated_at, row.expires_at = status, message, now, now + KEPT
        if result is not None:
            row.result = result


def forget_old_tasks(database: Database) -> None:
    """For a reconciler."""
    expired = delete(ImageTask).where(ImageTask.expires_at < clock.utcnow())
    database.write(lambda tx: tx.execute(expired, execution_options={"synchronize_session": False}))
