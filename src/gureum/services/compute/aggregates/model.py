"""The aggregates tables. A host is in one zone at most: its aggregates that have a zone have the same one."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.types import Id, Json, Name, Row


class Aggregate(Row):
    __tablename__ = "aggregates"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    uuid: Mapped[str] = mapped_column(Id, unique=True)
    name: Mapped[str] = mapped_column(Name, unique=True)
    zone: Mapped[str | None] = mapped_column(Name)
    meta: Mapped[dict[str, str]] = mapped_column(Json, default=dict)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime | None]


class AggregateHost(Row):
    """A host by name, as everywhere in this API."""

    __tablename__ = "aggregate_hosts"

    aggregate_id: Mapped[int] = mapped_column(ForeignKey("aggregates.id", ondelete="CASCADE"), primary_key=True)
    host: Mapped[str] = mapped_column(Name, primary_key=True, index=True)
