"""Keyset paging: a page starts after its marker row, by the sort keys, so that its cost does not grow with depth.

Pure over a select statement; link and parameter names belong to each API (`http/collections`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, literal, or_
from sqlalchemy.orm import InstrumentedAttribute


@dataclass(frozen=True, slots=True)
class SortKey:
    """A column and its direction. Null sorts first ascending and last descending, in every database."""

    column: InstrumentedAttribute[Any]
    descending: bool = False


def ordered(statement: Select[Any], keys: Sequence[SortKey]) -> Select[Any]:
    """Add the ORDER BY. The last key must be unique (the id), or pages may repeat rows."""
    terms = []
    for key in keys:
        nullable = key.column.expression.nullable
        if nullable:
            terms.append(key.column.isnot(None).desc() if key.descending else key.column.isnot(None))
        terms.append(key.column.desc() if key.descending else key.column.asc())
    return statement.order_by(*terms)


def after(statement: Select[Any], keys: Sequence[SortKey], marker: Any) -> Select[Any]:
    """Keep only what sorts after the row `marker`, an object with the keys' attributes."""
    branches: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for key in keys:
        value = getattr(marker, key.column.key)
        branches.append(and_(*equal, _beyond(key, value)))
        equal.append(key.column.is_(None) if value is None else key.column == value)
    return statement.where(or_(*branches))


def _beyond(key: SortKey, value: Any) -> ColumnElement[bool]:
    column: ColumnElement[Any] = key.column.expression
    if value is None:
        return false() if key.descending else column.isnot(None)
    bound = literal(value, column.type)  # SQLAlchemy compares nothing with a bare True or False
    beyond: ColumnElement[bool] = column < bound if key.descending else column > bound
    return or_(beyond, column.is_(None)) if key.descending and key.column.expression.nullable else beyond
