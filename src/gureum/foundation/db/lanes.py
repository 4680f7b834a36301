"""Kept connections: SQLAlchemy's for the ORM, the driver's own below it for the rest.

Taking a connection from a pool, beginning and ending a transaction on it costs SQLAlchemy ten times what it costs
SQLite; so a connection is kept with all that, and a transaction begins with its first statement, whoever makes it.
Behind a network a connection may break while it is kept: there a transaction begins as the lane is taken, and one that
cannot begin is replaced. The invariant: a lane has one user at a time and is given back with no transaction open.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gureum.foundation.db.failures import in_words
from gureum.foundation.db.wire import PostgresqlWire, SqliteWire, Wire

log = logging.getLogger("gureum.db")

KEPT = 6
"""Idle connections of an engine, at most; each holds caches of some MiB, and a burst may have opened many."""
_OURS = "gureum lane"
"""The lane that begins a pooled connection's transactions, in what SQLAlchemy keeps beside it."""


class Counters:
    """Statements and commits of this process, for /metrics and for the budgets in bench/."""

    def __init__(self) -> None:
        self.statements = 0
        self.commits = 0


class Lane:
    """One connection. `connection` is for the ORM; the rest sees and makes part of the same transaction, and raises
    SQLAlchemy's errors as everything else that talks to a database.
    """

    __slots__ = ("_counters", "_dialect", "_driver", "_wire", "connection", "plain_dialect", "start")

    def __init__(self, connection: Connection, start: str, counters: Counters, plain_dialect: Dialect) -> None:
        self.connection = connection
        self.plain_dialect = plain_dialect
        self.start = start
        self._driver: Any = connection.connection.driver_connection
        self._wire = wire_to(connection.dialect.name, self._driver)
        self._dialect = connection.dialect
        self._counters = counters

    @property
    def driver_error(self) -> type[Exception]:
        """What the driver raises."""
        error: type[Exception] = self._dialect.loaded_dbapi.Error
        return error

    def begin(self) -> None:
        """Begin a transaction unless one is open."""
        if not self._wire.is_open():
            self._run(self._wire.say, self.start)

    def rows(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """All rows of a statement."""
        self.begin()
        self._counters.statements += 1
        rows: list[tuple[Any, ...]] = self._run(self._wire.rows, sql, values)
        return rows

    def change(self, sql: str, values: Sequence[Any]) -> int:
        """How many rows a statement changed."""
        self.begin()
        self._counters.statements += 1
        return int(self._run(self._wire.change, sql, values))

    def change_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """The same statement for each of `rows`, counted once."""
        self.begin()
        self._counters.statements += 1
        self._run(self._wire.change_many, sql, rows)

    def require_sound(self) -> None:
        """Raise when a statement failed: PostgreSQL answers a COMMIT after that by rolling back, and with no error."""
        if self._wire.has_failed():
            self._run(_refuse, "COMMIT")

    def commit(self) -> None:
        """Commit what is still open: SQLAlchemy commits only when it ran statements itself."""
        if self._wire.is_open():
            self._run(self._wire.say, "COMMIT")
            self._counters.commits += 1

    def roll_back(self) -> bool:
        """Roll back what is open. False when that fails, or when SQLAlchemy still has a transaction open, as after a
        COMMIT that failed: then the connection must be closed.
        """
        if self.connection.invalidated:
            return False
        try:
            if self._wire.is_open():
                self._run(self._wire.roll_back)
        except DBAPIError as error:
            log.warning("a transaction cannot be rolled back, its connection is closed: %s", in_words(error))
            return False
        if self.connection.in_transaction():
            return False
        if (failed := self.connection.get_transaction()) is not None:  # its COMMIT was refused: nothing is open
            self.settle()
            failed.rollback()
        return True

    def roll_back_first(self) -> None:
        """Roll back before the driver does. A failure is ignored: the driver's own rollback raises it."""
        with contextlib.suppress(self.driver_error):
            if self._wire.is_open():
                self._wire.roll_back()
                self._wire.settle()

    def forget(self) -> None:
        """Deallocate the prepared statements: the next user of the connection does not know them."""
        self._run(self._wire.forget)

    def settle(self) -> None:
        """Wait until everything that was sent is answered."""
        self._run(self._wire.settle)

    def _run(self, call: Any, sql: str = "", *values: Any) -> Any:
        """Call the driver. Raises its errors as SQLAlchemy's, which say whether the connection was lost."""
        dialect = self._dialect
        try:
            return call(sql, *values) if sql else call()
        except dialect.loaded_dbapi.Error as error:
            raise DBAPIError.instance(
                sql,
                values,
                error,
                dialect.loaded_dbapi.Error,
                hide_parameters=True,
                connection_invalidated=dialect.is_disconnect(error, self._driver, None),
                dialect=dialect,
            ) from error

    def close(self) -> None:
        """Close the connection for good, in whatever state it is. The database rolls back what was open."""
        with contextlib.suppress(SQLAlchemyError):
            self.connection.invalidate()
            self.connection.close()


def wire_to(database: str, driver: Any) -> Wire:
    """The wire of a connection to this kind of database."""
    return SqliteWire(driver) if database == "sqlite" else PostgresqlWire(driver)


def _refuse(_sql: str) -> None:
    from psycopg.errors import InFailedSqlTransaction  # SQLite needs no psycopg

    raise InFailedSqlTransaction("a statement of this transaction failed, and its failure was passed over")


def plain_dialect_of(dialect: Dialect) -> Dialect:
    """The same with parameters by position, as the driver takes them."""
    return dialect if dialect.positional else type(dialect)(paramstyle="numeric_dollar")  # type: ignore[call-arg]


class Lanes:
    """The lanes of one engine, as many as there are transactions at once."""

    def __init__(self, engine: Engine, start: str, counters: Counters, kept: int = KEPT) -> None:
        self._engine = engine
        self._kept = kept
        self._start = start
        self._counters = counters
        self._may_break = engine.dialect.name != "sqlite"
        self._plain_dialect = plain_dialect_of(engine.dialect)
        self._idle: deque[Lane] = deque()
        event.listen(engine, "begin", self._begin)
        if self._may_break:
            event.listen(engine, "rollback", self._roll_back)

    def _begin(self, connection: Connection) -> None:
        """On SQLAlchemy's begin. A lane's transaction may be open already; without a lane psycopg begins by itself."""
        lane = connection.info.get(_OURS)
        if lane is not None:
            lane.begin()
        elif not self._may_break:
            self._lane_of(connection).begin()

    @staticmethod
    def _roll_back(connection: Connection) -> None:
        """On SQLAlchemy's rollback: roll back first, since psycopg's would deallocate what the lane prepared."""
        if connection.invalidated:  # asking for its lane would connect anew
            return
        lane = connection.info.get(_OURS)
        if lane is not None:
            lane.roll_back_first()

    def _lane_of(self, connection: Connection) -> Lane:
        return Lane(connection, self._start, self._counters, self._plain_dialect)

    def take(self) -> Lane:
        """A lane to work on. Raises SQLAlchemy's errors where none can be made."""
        while True:
            try:
                lane = self._idle.popleft() if self._may_break else self._idle.pop()
            except IndexError:
                return self._new()
            if not self._may_break or self._begins(lane):
                return lane

    def _begins(self, lane: Lane) -> bool:
        """Begin a kept lane's transaction. False when its connection is lost; the lane is closed then."""
        try:
            lane.settle()
            lane.begin()
        except DBAPIError as error:
            log.info("a kept connection is lost, another takes its place: %s", in_words(error))
            lane.close()
            return False
        return True

    def _new(self) -> Lane:
        connection = self._engine.connect()
        if self._may_break:
            driver: Any = connection.connection.driver_connection
            driver.autocommit = True  # transactions begin where we say so
        lane = self._lane_of(connection)
        connection.info[_OURS] = lane
        return lane

    def give(self, lane: Lane, *, keep: bool) -> None:
        """Keep the lane for the next transaction; close it when `keep` is false or its rollback fails. Never raises: an
        error here would hide how the transaction ended.
        """
        if not lane.roll_back() or not keep:
            lane.close()
        elif len(self._idle) < self._kept:
            self._idle.append(lane)
        elif self._may_break:
            self._return(lane)
        else:
            lane.close()

    @staticmethod
    def _return(lane: Lane) -> None:
        """Give the connection back to the pool, in the state in which it came."""
        try:
            lane.settle()
            driver: Any = lane.connection.connection.driver_connection
            lane.forget()
            driver.autocommit = False
            del lane.connection.info[_OURS]
            lane.connection.close()
        except (SQLAlchemyError, lane.driver_error):
            lane.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
