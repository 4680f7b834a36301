"""Registered limits (the default of a resource) and limits (a project's or domain's own)."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Id, Name, Row


class RegisteredLimit(Row):
    """`region` is empty for a resource that is counted over all regions, so that it stays unique.

    Service and region may be deleted: the limit stays until it is deleted too, and is of no effect.
    """

    __tablename__ = "registered_limits"
    __table_args__ = (UniqueConstraint("service_id", "region", "resource_name"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    service_id: Mapped[str] = mapped_column(Id)
    region: Mapped[str] = mapped_column(Name, default="")
    resource_name: Mapped[str] = mapped_column(Name)
    default_limit: Mapped[int] = mapped_column(BigInteger)
    description: Mapped[str | None] = mapped_column(Text)


class Limit(Row):
    """`owner_id` is a project or, with `of_domain`, a domain."""

    __tablename__ = "limits"
    __table_args__ = (UniqueConstraint("owner_id", "registered_limit_id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    of_domain: Mapped[bool] = mapped_column(default=False)
    registered_limit_id: Mapped[str] = mapped_column(ForeignKey("registered_limits.id"), index=True)
    resource_limit: Mapped[int] = mapped_column(BigInteger)
    description: Mapped[str | None] = mapped_column(Text)
