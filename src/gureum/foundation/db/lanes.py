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
from functools import partial
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from gureum.foundation.db.failures import in_words

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
    """One connection. `connection` is for the ORM; `execute` sees and makes part of the same transaction."""

    __slots__ = ("_counters", "_dialect", "_driver", "connection", "plain_dialect", "start")

    def __init__(self, connection: Connection, start: str, counters: Counters, plain_dialect: Dialect) -> None:
        self.connection = connection
        self.plain_dialect = plain_dialect
        self._driver: Any = connection.connection.driver_connection
        self._dialect = connection.dialect
        self.start = start
        self._counters = counters

    def begin(self) -> None:
        """Begin a transaction unless one is open."""
        if not _is_open(self._driver):
            _begin(self._dialect, self._driver, self.start)

    def execute(self, sql: str, values: Sequence[Any]) -> Any:
        """The driver's cursor. Raises SQLAlchemy's errors, as everything else that talks to a database."""
        self.begin()
        self._counters.statements += 1
        return _run(self._dialect, self._driver, self._driver.execute, sql, values)

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        self.begin()
        self._counters.statements += 1
        _run(self._dialect, self._driver, self._driver.cursor().executemany, sql, rows)

    def rows(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """All rows of a statement. Reading one may fail as executing does."""
        cursor = self.execute(sql, values)
        found: list[tuple[Any, ...]] = _run(self._dialect, self._driver, lambda _sql: cursor.fetchall(), sql)
        return found

    def require_sound(self) -> None:
        """Raise when a statement failed: PostgreSQL answers a COMMIT after that by rolling back, and with no error."""
        if not hasattr(self._driver, "in_transaction") and self._driver.info.transaction_status.value == _FAILED:
            _run(self._dialect, self._driver, _refuse, "COMMIT")

    def commit(self) -> None:
        """Make durable what SQLAlchemy, which knows of its own statements only, has not."""
        if _is_open(self._driver):
            _run(self._dialect, self._driver, self._driver.execute, "COMMIT")
            self._counters.commits += 1

    def settle(self) -> bool:
        """Throw away what is still open. False when that fails, or when SQLAlchemy still takes a transaction for open,
        as it does after a COMMIT that failed: then the connection is of no more use.
        """
        if self.connection.invalidated:
            return False
        try:
            if _is_open(self._driver):
                _run(self._dialect, self._driver, self._driver.execute, "ROLLBACK")
        except DBAPIError as error:
            log.warning("a transaction cannot be rolled back, its connection is closed: %s", in_words(error))
            return False
        if self.connection.in_transaction():
            return False
        if (failed := self.connection.get_transaction()) is not None:  # its COMMIT was refused: nothing is open
            failed.rollback()
        return True

    def close(self) -> None:
        """Close the connection for good, in whatever state it is. The database rolls back what was open."""
        with contextlib.suppress(SQLAlchemyError):
            self.connection.invalidate()
            self.connection.close()


def _is_open(driver: Any) -> bool:
    """Whether a transaction is open, as the driver knows without asking."""
    if hasattr(driver, "in_transaction"):
        return bool(driver.in_transaction)
    return driver.info.transaction_status.value != _IDLE  # type: ignore[no-any-return]


_IDLE, _FAILED = 0, 3
"""psycopg's TransactionStatus. What is lost is UNKNOWN: rolling it back fails, and the connection is closed."""


def _refuse(_sql: str) -> None:
    from psycopg.errors import InFailedSqlTransaction  # SQLite needs no psycopg

    raise InFailedSqlTransaction("a statement of this transaction failed, and its failure was passed over")


def _begin(dialect: Any, driver: Any, start: str) -> None:
    """`start` may be several statements: psycopg sends them as they are when it is told not to prepare them."""
    if hasattr(driver, "in_transaction"):
        _run(dialect, driver, driver.execute, start)
    else:
        _run(dialect, driver, partial(driver.execute, prepare=False), start)


def _run(dialect: Any, driver: Any, call: Any, sql: str, *values: Any) -> Any:
    """Call the driver. Raises its errors as SQLAlchemy's, which say whether the connection was lost."""
    try:
        return call(sql, *values)
    except dialect.loaded_dbapi.Error as error:
        raise DBAPIError.instance(
            sql,
            values,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            connection_invalidated=dialect.is_disconnect(error, driver, None),
            dialect=dialect,
        ) from error


def plain_dialect_of(dialect: Dialect) -> Dialect:
    """The same with parameters by position, as the driver takes them."""
    return dialect if dialect.positional else type(dialect)(paramstyle="format")  # type: ignore[call-arg]


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

    def _begin(self, connection: Connection) -> None:
        """SQLAlchemy begins: on a lane, the transaction may be open already. Others than lanes begin by themselves."""
        lane = connection.info.get(_OURS)
        if self._may_break and lane is None:
            return
        driver: Any = connection.connection.driver_connection
        if not _is_open(driver):
            _begin(connection.dialect, driver, self._start if lane is None else lane.start)

    def take(self, start: str = "") -> Lane:
        """A lane to work on, whose transaction `start` begins. Raises SQLAlchemy's errors where none can be made."""
        while True:
            try:
                lane = self._idle.popleft() if self._may_break else self._idle.pop()
            except IndexError:
                return self._new(start or self._start)
            lane.start = start or self._start
            if not self._may_break or self._begins(lane):
                return lane

    def _begins(self, lane: Lane) -> bool:
        """Whether a kept lane still lives: it begins its transaction. One that does not is closed."""
        try:
            lane.begin()
        except DBAPIError as error:
            log.info("a kept connection is lost, another takes its place: %s", in_words(error))
            lane.close()
            return False
        return True

    def _new(self, start: str) -> Lane:
        connection = self._engine.connect()
        lane = Lane(connection, start, self._counters, self._plain_dialect)
        if self._may_break:
            driver: Any = connection.connection.driver_connection
            driver.autocommit = True  # transactions begin where we say so
            connection.info[_OURS] = lane
        return lane

    def give(self, lane: Lane, *, keep: bool) -> None:
        """Back for the next transaction, unless it is not to be kept or cannot be brought to rest. Never raises: what
        the transaction did is decided, and an error here would hide it.
        """
        if not lane.settle() or not keep:
            lane.close()
        elif len(self._idle) < self._kept:
            self._idle.append(lane)
        elif self._may_break:
            self._return(lane)
        else:
            lane.close()

    @staticmethod
    def _return(lane: Lane) -> None:
        """Back to the pool, as it came from it."""
        try:
            driver: Any = lane.connection.connection.driver_connection
            driver.autocommit = False
            del lane.connection.info[_OURS]
            lane.connection.close()
        except SQLAlchemyError:
            lane.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
