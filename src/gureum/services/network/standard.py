"""The attributes that every network resource has: owner, name, description, tags, revision, times.

Source: network API reference, the standard-attr-* extensions.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from gureum.drivers.network.interface import Kind
from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.types import Id, Json, Name
from gureum.services.network.changes import Changes

NameText = Annotated[str, Meta(max_length=255)]
IdText = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}\Z")]
ProjectText = Annotated[str, Meta(max_length=255)]
AddressText = Annotated[str, Meta(max_length=64)]


class Standard:
    """Columns of every noun. `revision` rises with each change of what the engine should hold or a client set."""

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=ids.new_uuid)
    project_id: Mapped[str] = mapped_column(Id, index=True)
    name: Mapped[str] = mapped_column(Name, default="")
    description: Mapped[str] = mapped_column(String(255), default="")
    tags: Mapped[list[str]] = mapped_column(Json, default=list)
    revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)


def touch(tx: Tx, changes: Changes, kind: Kind, row: Standard) -> None:
    """`row` changes: a new revision, a new time, and the writer hears of it."""
    row.revision += 1
    row.updated_at = clock.utcnow()
    changes.mark(tx, kind, (row.id,))


def standard_view(row: Any) -> dict[str, Any]:
    """The shared part of every view."""
    return {
        "id": row.id,
        "name": row.name,
        "tenant_id": row.project_id,
        "project_id": row.project_id,
        "description": row.description,
        "tags": list(row.tags),
        "revision_number": row.revision,
        "created_at": clock.iso(row.created_at),
        "updated_at": clock.iso(row.updated_at),
    }
