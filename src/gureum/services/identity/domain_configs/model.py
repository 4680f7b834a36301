"""A domain's own settings: one row, those that are secret sealed apart from the others."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Json, Row


class DomainConfig(Row):
    """`settings` is {group: {option: value}}; `sealed` holds the same of secret options, never shown."""

    __tablename__ = "domain_configs"

    domain_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    settings: Mapped[dict[str, Any]] = mapped_column(Json)
    sealed: Mapped[str | None] = mapped_column(Text)
