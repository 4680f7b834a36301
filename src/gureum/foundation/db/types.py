"""Column types and the declarative base that every table stands on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import DateTime, MetaData, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

from gureum.foundation import clock

Id = String(36)
Name = String(255)


_decode = msgspec.json.Decoder().decode


def _decoded(value: str | None) -> Any:
    return None if value is None else _decode(value)


class Json(TypeDecorator[Any]):
    """A JSON value: jsonb-free text everywhere, encoded by msgspec, so that both databases behave alike."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Dialect) -> str | None:
        return None if value is None else msgspec.json.encode(value).decode()

    def result_processor(self, _dialect: Dialect, _coltype: object) -> Callable[[Any], Any]:
        """Text from either driver needs no processing of its own, so a value costs one call, in lists of thousands."""
        return _decoded

    def coerce_compared_value(self, _op: Any, _value: Any) -> TypeEngine[Any]:
        return self


class IsoSeconds(TypeDecorator[str]):
    """A moment that a list reads as `clock.iso` writes it: where the database keeps text, with no datetime between.

    For `type_coerce` of a column; nothing is written through it.
    """

    impl = DateTime
    cache_ok = True

    def result_processor(self, dialect: Dialect, _coltype: object) -> Callable[[Any], str | None]:
        return _iso_of_text if dialect.name == "sqlite" else clock.iso


def _iso_of_text(stored: str | None) -> str | None:
    """Of `2026-01-31 12:00:00.123456`, as SQLAlchemy keeps a datetime in SQLite."""
    return None if stored is None else f"{stored[:10]}T{stored[11:19]}Z"


class Row(DeclarativeBase):
    """The base of all tables. Constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {dict[str, Any]: Json, list[Any]: Json, list[str]: Json, dict[str, str]: Json}  # noqa: RUF012


__all__ = ["Id", "IsoSeconds", "Json", "Name", "Row"]
