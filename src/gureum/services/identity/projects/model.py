"""Projects and domains in one table: a domain is a project that acts as one (`is_domain`).

A project's `parent_id` is its domain when it is at the top.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.types import Id, Json, Row
from gureum.services.identity.names import AnyCaseName

DEFAULT_DOMAIN = "default"
ROOT = "<<no domain>>"
"""The domain_id of domains themselves, so that names stay unique within one."""


class Project(AnyCaseName, Row):
    __tablename__ = "projects"
    __table_args__ = (
        UniqueConstraint("domain_id", "name_key"),
        Index("ix_projects_domain_id_id", "domain_id", "id"),
        {"sqlite_with_rowid": False},
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    domain_id: Mapped[str] = mapped_column(Id)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"), index=True)
    is_domain: Mapped[bool] = mapped_column(default=False, index=True)
    description: Mapped[str] = mapped_column(Text, default="")
    enabled: Mapped[bool] = mapped_column(default=True)
    tags: Mapped[list[str]] = mapped_column(Json, default=list)
    options: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
