"""The tables of events: the outbox, and how far each durable subscriber has read.

An event's position is the pair `(xact, number)`. PostgreSQL numbers rows before their transactions commit, so a smaller
number may appear after a greater one. `xact` is the number of the writing transaction: all rows of transactions below
the oldest one that still runs (`SETTLED`) are there, and no other row below that can ever appear. On SQLite writers are
serial and `xact` is 0.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Float, Index, Integer, String, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.functions import FunctionElement

from gureum.foundation.db.types import Id, Row

Number = BigInteger().with_variant(Integer, "sqlite")


class EventRow(Row):
    """An event. `content` is its JSON, `project_id` its project where it names one. Numbers are never used twice."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_position", "xact", "number"), {"sqlite_autoincrement": True})

    number: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=True)
    xact: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(64))
    content: Mapped[str] = mapped_column(Text)
    project_id: Mapped[str | None] = mapped_column(Id)
    request_id: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime]


class EventCursor(Row):
    """How far a durable subscriber has come: it has handled everything up to the position.

    `problem` is why the next event failed `attempts` times; it is tried again at `retry_at`. Times are seconds
    since the epoch.
    """

    __tablename__ = "event_cursors"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    xact: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[int] = mapped_column(BigInteger)
    moved_at: Mapped[float] = mapped_column(Float(53))
    attempts: Mapped[int] = mapped_column(default=0)
    retry_at: Mapped[float] = mapped_column(Float(53), default=0.0)
    failing: Mapped[int | None] = mapped_column(BigInteger)
    problem: Mapped[str] = mapped_column(Text, default="")


class _Xact(FunctionElement[int]):
    """The number of a transaction of PostgreSQL. On SQLite, where all rows have 0, it is 0 or 1."""

    type = BigInteger()


class current_xact(_Xact):  # noqa: N801 reads as the function that it is
    """The number of the transaction that runs the statement."""

    inherit_cache = True


class first_unsettled_xact(_Xact):  # noqa: N801
    """Every transaction with a smaller number has ended."""

    inherit_cache = True


class next_xact(_Xact):  # noqa: N801
    """No transaction has had this number yet, nor a greater one."""

    inherit_cache = True


_ON_POSTGRESQL = {
    current_xact: "CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)",
    first_unsettled_xact: "CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT)",
    next_xact: "CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT)",
}


@compiles(_Xact, "postgresql")
def _on_postgresql(element: _Xact, _compiler: Any, **_: Any) -> str:
    return _ON_POSTGRESQL[type(element)]


@compiles(_Xact, "sqlite")
def _on_sqlite(element: _Xact, _compiler: Any, **_: Any) -> str:
    return "0" if isinstance(element, current_xact) else "1"


SETTLED: ColumnElement[bool] = EventRow.xact < first_unsettled_xact()
"""Of rows: nothing can appear before them any more."""
