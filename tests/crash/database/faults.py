"""A driver that fails where it is told to: the driver's own connections and cursors, struck at the n-th call.

Every call that can reach the database is a point: connect, BEGIN, each statement, each fetch, COMMIT, ROLLBACK. A fault
strikes before the driver acts, or (`lost_after`) after it acted and before its caller hears of it.
"""

from __future__ import annotations

import contextlib
import sqlite3

import psycopg
from psycopg import errors
from sqlalchemy import event

from gureum.foundation.db import lanes
from gureum.foundation.db.wire import PostgresqlWire

SQLITE_FAULTS = {"full": 13, "broken disk": 10, "read-only": 8, "out of memory": 7}
POSTGRESQL_FAULTS = ("full", "read-only", "timeout", "lost", "lost_after", "shutdown")


class Faults:
    """`strike` is called by the driver at each point. `arm(kind, at)` lets the `at`-th from now on fail, with `stays`
    every one after it too, until `heal`.
    """

    def __init__(self):
        self.kind, self.at, self.stays = "", -1, False
        self.points, self.struck = [], []

    def arm(self, kind, at, *, stays=False):
        self.kind, self.at, self.stays = kind, at, stays
        self.points, self.struck = [], []

    def heal(self):
        self.kind, self.at = "", -1

    def hits(self, point):
        """Count the point; whether it is to fail."""
        number = len(self.points)
        self.points.append(point)
        hit = bool(self.kind) and (number == self.at or (self.stays and number > self.at >= 0))
        if hit:
            self.struck.append(point)
        return hit


def point_of(sql):
    word = str(sql).lstrip().split(None, 1)[0].upper() if isinstance(sql, str) else "STATEMENT"
    return word.lower() if word in ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA") else "statement"


def inject(database):
    """The faults of this database's connections; those that exist already have none."""
    faults = Faults()
    lanes.PostgresqlWire = _wire
    connect = _connect_sqlite if database.is_sqlite else _connect_postgresql
    for engine in {database._reads, database._writes}:
        event.listen(engine, "do_connect", lambda _dialect, _record, words, options: connect(faults, words, options))
    for kept in database._lanes.values():
        kept.close()
    database._reads.dispose()
    database._writes.dispose()
    return faults


# -- SQLite --------------------------------------------------------------------------------------------------


def _sqlite_error(kind):
    error = sqlite3.OperationalError(f"struck: {kind}")
    error.sqlite_errorcode = SQLITE_FAULTS[kind]
    error.sqlite_errorname = "SQLITE_STRUCK"
    return error


def _connect_sqlite(faults, words, options):
    def strike(point):
        if faults.hits(point):
            raise _sqlite_error(faults.kind)

    class Cursor(sqlite3.Cursor):
        def execute(self, sql, *values):
            point = point_of(sql)
            if point == "rollback":  # SQLite's always ends the transaction, whatever it says
                super().execute(sql)
                strike(point)
                return self
            strike(point)
            return super().execute(sql, *values)

        def executemany(self, sql, *values):
            strike("statement")
            return super().executemany(sql, *values)

        def fetchall(self):
            strike("fetch")
            return super().fetchall()

        def fetchone(self):
            strike("fetch")
            return super().fetchone()

        def fetchmany(self, *size):
            strike("fetch")
            return super().fetchmany(*size)

    class Connection(sqlite3.Connection):
        def cursor(self, factory=Cursor):
            return super().cursor(factory)

        def execute(self, sql, *values):
            return self.cursor().execute(sql, *values)

        def executemany(self, sql, *values):
            return self.cursor().executemany(sql, *values)

        def commit(self):
            strike("commit")
            super().commit()

        def rollback(self):
            super().rollback()
            strike("rollback")

    strike("connect")
    return sqlite3.connect(*words, factory=Connection, **options)


def _wire(driver):
    """The one that is struck where the connection is."""
    return getattr(driver, "wire", PostgresqlWire)(driver)


# -- PostgreSQL ----------------------------------------------------------------------------------------------


_ANSWERS = {"full": errors.DiskFull, "read-only": errors.ReadOnlySqlTransaction, "timeout": errors.QueryCanceled}


def _connect_postgresql(faults, words, options):
    @contextlib.contextmanager
    def struck(connection, point):
        """What the database says, or the end of the connection."""
        hit = faults.hits(point)
        if hit and faults.kind in _ANSWERS and point not in ("connect", "rollback"):
            raise _ANSWERS[faults.kind](f"struck: {faults.kind}")
        if not hit or (faults.kind == "lost_after" and connection is not None):
            yield
        if hit:
            if connection is not None:
                connection.pgconn.finish()
            raise errors.AdminShutdown("struck") if faults.kind == "shutdown" else psycopg.OperationalError("struck")

    class Wire(PostgresqlWire):
        """What does not go through cursors."""

        def say(self, sql):
            with struck(self._driver, point_of(sql)):
                super().say(sql)

        def roll_back(self):
            with struck(self._driver, "rollback"):
                super().roll_back()

        def _execute(self, sql, values):
            with struck(self._driver, "statement"):
                return super()._execute(sql, values)

    class Cursor(psycopg.Cursor):
        def execute(self, query, *values, **more):
            with struck(self.connection, point_of(query)):
                return super().execute(query, *values, **more)

        def executemany(self, query, *values, **more):
            with struck(self.connection, "statement"):
                return super().executemany(query, *values, **more)

        def fetchall(self):
            with struck(self.connection, "fetch"):
                return super().fetchall()

    class Connection(psycopg.Connection):
        wire = Wire

        def commit(self):
            with struck(self, "commit"):
                super().commit()

        def rollback(self):
            with struck(self, "rollback"):
                super().rollback()

    with struck(None, "connect"):
        return Connection.connect(*words, **{**options, "cursor_factory": Cursor})
