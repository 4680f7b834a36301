"""Roles and inference rules. A role without a domain is global."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Id, Json, Row
from gureum.services.identity.names import AnyCaseName

GLOBAL = "<<global>>"


def domain_of(scope: str) -> str | None:
    """Whose a role is: that domain's own, or None for a role of the cloud."""
    return None if scope == GLOBAL else scope


class Role(AnyCaseName, Row):
    __tablename__ = "roles"
    __table_args__ = (UniqueConstraint("scope", "name_key"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    scope: Mapped[str] = mapped_column(Id, default=GLOBAL)
    description: Mapped[str | None] = mapped_column(Text)
    options: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)

    @property
    def domain_id(self) -> str | None:
        return domain_of(self.scope)


class ImpliedRole(Row):
    __tablename__ = "implied_roles"

    prior_id: Mapped[str] = mapped_column(ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True)
    implied_id: Mapped[str] = mapped_column(ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True)
