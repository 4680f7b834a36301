"""The attributes that every network resource has: owner, name, description, tags, revision, times.

Columns of tables and the fields of the records that are read of them; how they are shown stands in `views.py`.
Source: network API reference, the standard-attr-* extensions.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy import BindParameter, String
from sqlalchemy.orm import Mapped, mapped_column

from gureum.drivers.network.interface import Kind
from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.types import Id, Json, Name, Row
from gureum.services.network.changes import Changes

NameText = Annotated[str, Meta(max_length=255)]
IdText = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}\Z")]
ProjectText = Annotated[str, Meta(max_length=255)]
AddressText = Annotated[str, Meta(max_length=64)]
ProjectId = str | BindParameter[str]
"""A project in a condition: its id, or the parameter of a prepared statement that stands for it."""


class Owned(Row):
    """Columns of everything that a project has. `revision` rises with each change that the engine or a client set."""

    __abstract__ = True

    id: Mapped[str] = mapped_column(Id, primary_key=True, default=ids.new_uuid)
    project_id: Mapped[str] = mapped_column(Id, index=True)
    description: Mapped[str] = mapped_column(String(255), default="")
    revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)


class Standard(Owned):
    """Columns of every noun but the rules of security groups."""

    __abstract__ = True

    name: Mapped[str] = mapped_column(Name, default="")
    tags: Mapped[list[str]] = mapped_column(Json, default=list)


def touch(tx: Tx, changes: Changes, kind: Kind, row: Owned) -> None:
    """`row` changes: a new revision, a new time, and the writer hears of it."""
    row.revision += 1
    row.updated_at = clock.utcnow()
    changes.mark(tx, kind, (row.id,))


class OwnedRow(Struct, frozen=True, gc=False):
    """What is read of everything that a project has. The records of nouns are such."""

    id: str
    project_id: str
    description: str
    revision: int
    created_at: datetime
    updated_at: datetime


class TaggedRow(OwnedRow, frozen=True, gc=False):
    """What is read of everything that has tags."""

    tags: list[str]


class StandardRow(TaggedRow, frozen=True, gc=False):
    """What is read of every noun with a name."""

    name: str
