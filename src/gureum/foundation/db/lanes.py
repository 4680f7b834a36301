"""Kept connections of an embedded database: SQLAlchemy's for the ORM, the driver's own below it for the rest.

Taking a connection from a pool, beginning and ending a transaction on it costs SQLAlchemy ten times what it costs
SQLite; so a connection is kept with all that, and a transaction begins with its first statement, whoever makes it.
Not for databases behind a network, whose connections may break while they are kept. The invariant: a lane has one
user at a time and is given back with no transaction open.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

KEPT = 6
"""Idle connections of an engine; each holds caches of some MiB, and a burst may have opened many."""


class Counters:
    """Statements and commits of this process, for /metrics and for the budgets in bench/."""

    def __init__(self) -> None:
        self.statements = 0
        self.commits = 0


class Lane:
    """One connection. `connection` is for the ORM; `execute` sees and makes part of the same transaction."""

    __slots__ = ("_counters", "_dialect", "_driver", "_start", "connection")

    def __init__(self, connection: Connection, start: str, counters: Counters) -> None:
        self.connection = connection
        self._driver: Any = connection.connection.driver_connection
        self._dialect = connection.dialect
        self._start = start
        self._counters = counters

    def begin(self) -> None:
        """Begin a transaction unless one is open."""
        if not self._driver.in_transaction:
            _run(self._dialect, self._driver.execute, self._start)

    def execute(self, sql: str, values: Sequence[Any]) -> Any:
        """The driver's cursor. Raises SQLAlchemy's errors, as everything else that talks to a database."""
        self.begin()
        self._counters.statements += 1
        return _run(self._dialect, self._driver.execute, sql, values)

    def execute_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        self.begin()
        self._counters.statements += 1
        _run(self._dialect, self._driver.executemany, sql, rows)

    def commit(self) -> None:
        """Make durable what SQLAlchemy, which knows of its own statements only, has not."""
        if self._driver.in_transaction:
            _run(self._dialect, self._driver.execute, "COMMIT")
            self._counters.commits += 1

    def roll_back(self) -> None:
        if self._driver.in_transaction:
            _run(self._dialect, self._driver.execute, "ROLLBACK")


def _run(dialect: Any, call: Any, sql: str, *values: Any) -> Any:
    """Call the driver. Raises its errors as SQLAlchemy's."""
    try:
        return call(sql, *values)
    except dialect.loaded_dbapi.Error as error:
        raise DBAPIError.instance(sql, values, error, dialect.loaded_dbapi.Error, dialect=dialect) from error


class Lanes:
    """The lanes of one engine, as many as there are transactions at once."""

    def __init__(self, engine: Engine, start: str, counters: Counters) -> None:
        self._engine = engine
        self._start = start
        self._counters = counters
        self._idle: deque[Lane] = deque()
        event.listen(engine, "begin", self._begin)

    def _begin(self, connection: Connection) -> None:
        """SQLAlchemy begins: on a lane, the transaction may be open already."""
        driver: Any = connection.connection.driver_connection
        if not driver.in_transaction:
            _run(connection.dialect, driver.execute, self._start)

    def take(self) -> Lane:
        try:
            return self._idle.pop()
        except IndexError:
            return Lane(self._engine.connect(), self._start, self._counters)

    def give(self, lane: Lane) -> None:
        """Back for the next transaction; what is still open is thrown away, and with it a lane that cannot do that."""
        try:
            lane.roll_back()
        except DBAPIError:
            lane.connection.invalidate()
            lane.connection.close()
            raise
        if len(self._idle) < KEPT:
            self._idle.append(lane)
        else:
            lane.connection.invalidate()
            lane.connection.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().connection.close()
