"""The tables of durable tasks and of named leases."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Float, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock, log
from gureum.foundation.db.types import Id, Json, Row


class Task(Row):
    """One resource's life. Due when `wake_at` has passed and no living worker holds its lease.

    `signals` counts wake-ups; a step that ends in a wait while the count moved runs again. `divert` names the step
    to go to instead of the next one (destroy). `origin` is the request whose work the steps do (`log.Origin`);
    `next_origin` signalled while they did and takes over once the task is at rest. Times are seconds since the epoch.
    """

    __tablename__ = "tasks"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(64))
    resource_id: Mapped[str] = mapped_column(Id)
    step: Mapped[str] = mapped_column(String(64))
    divert: Mapped[str | None] = mapped_column(String(64))
    data: Mapped[dict[str, Any]] = mapped_column(Json)
    wake_at: Mapped[float | None] = mapped_column(Float(53))
    lease_owner: Mapped[str] = mapped_column(String(128), default="")
    lease_until: Mapped[float] = mapped_column(Float(53), default=0.0)
    deadline_at: Mapped[float | None] = mapped_column(Float(53))
    on_deadline: Mapped[str | None] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text, default="")
    since: Mapped[float] = mapped_column(Float(53))
    signals: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    origin: Mapped[str] = mapped_column(String(192), default=str(log.NOBODY))
    next_origin: Mapped[str | None] = mapped_column(String(192))
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)

    __table_args__ = (UniqueConstraint("kind", "resource_id"), Index("ix_tasks_wake_at", "wake_at"))


@dataclass(slots=True)
class Claimed:
    """A worker's copy of a task that it holds the lease of."""

    id: str
    kind: str
    resource_id: str
    step: str
    divert: str | None
    data: dict[str, Any]
    deadline_at: float | None
    on_deadline: str | None
    reason: str
    signals: int
    attempts: int
    origin: str
    lease_owner: str


CLAIMED = tuple(getattr(Task, item.name) for item in fields(Claimed))
"""The columns of a `Claimed`, in its order."""


class Lease(Row):
    """Who may do a thing that only one worker does at a time (a reconciler, the network writer)."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str] = mapped_column(String(128))
    until: Mapped[float] = mapped_column(Float(53))
