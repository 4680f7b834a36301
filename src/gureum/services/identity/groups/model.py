"""Groups and who is in them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Id, Json, Row
from gureum.services.identity.names import AnyCaseName


class Group(AnyCaseName, Row):
    __tablename__ = "groups"
    __table_args__ = (UniqueConstraint("domain_id", "name_key"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    domain_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    description: Mapped[str] = mapped_column(Text, default="")
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class GroupMember(Row):
    __tablename__ = "group_members"

    group_id: Mapped[str] = mapped_column(ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
