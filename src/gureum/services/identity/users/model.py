"""Users. `password_hash` is null for a user who cannot log in by password."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.types import Id, Json, Name, Row
from gureum.services.identity.names import AnyCaseName


class User(AnyCaseName, Row):
    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("domain_id", "name_key"),
        Index("ix_users_domain_id_id", "domain_id", "id"),
        Index("ix_users_name_key", "name_key"),
        # A page follows the ids: kept in their order, its rows lie together.
        {"sqlite_with_rowid": False},
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    domain_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    default_project_id: Mapped[str | None] = mapped_column(String(64))
    description: Mapped[str | None] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(Name)
    enabled: Mapped[bool] = mapped_column(default=True)
    password_hash: Mapped[str | None] = mapped_column(Text)
    password_set_at: Mapped[datetime | None]
    password_expires_at: Mapped[datetime | None]
    password_self_set: Mapped[bool] = mapped_column(default=False)
    failed_count: Mapped[int] = mapped_column(default=0)
    failed_at: Mapped[datetime | None]
    last_active_at: Mapped[datetime | None]
    options: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)


class PastPassword(Row):
    """A password that a user had before, kept while the rules compare new ones with it."""

    __tablename__ = "past_passwords"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    password_hash: Mapped[str] = mapped_column(Text)
