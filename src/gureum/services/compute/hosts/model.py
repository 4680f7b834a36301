"""The hosts table. A host is up when it was heard within the heartbeat timeout and nobody forced it down."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Float, String
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.types import Id, Json, Name, Row


class Watched:
    """What a host's columns say of it, for rows of any kind."""

    __slots__ = ()
    seen_at: Any
    forced_down: Any

    def is_up(self, now: float, timeout_s: float) -> bool:
        return not self.forced_down and bool(now - self.seen_at <= timeout_s)


class Host(Watched, Row):
    """`id` also names the host's resource provider and its hypervisor; `seen_at` is in seconds since the epoch."""

    __tablename__ = "hosts"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    service_id: Mapped[str] = mapped_column(Id, unique=True)
    name: Mapped[str] = mapped_column(Name, unique=True)
    zone: Mapped[str] = mapped_column(Name, default="nova")
    resources: Mapped[dict[str, Any]] = mapped_column(Json)
    version: Mapped[int] = mapped_column(default=1)
    seen_at: Mapped[float] = mapped_column(Float(53))
    disabled: Mapped[bool] = mapped_column(default=False)
    disabled_reason: Mapped[str | None] = mapped_column(Name)
    forced_down: Mapped[bool] = mapped_column(default=False)
    incarnation: Mapped[str] = mapped_column(String(64), default="")
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
