"""How a lane sends statements to its database: by the driver's own calls, without cursors.

psycopg's cursors cost 45 us of processor time for a statement, and give up the interpreter four times while it runs;
libpq's own call, which psycopg offers as `pq`, costs 10 us and gives it up once. Parameters and columns are still
written and read by psycopg. Not here: transactions and what an error means, which are the lane's (`lanes.py`).
Invariant: every answer is read before the next statement is sent.
Source: psycopg's documentation, "pq: libpq wrapper module"; PostgreSQL's, "libpq: Command Execution Functions".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

MOST_PREPARED = 400
"""Statements that one connection keeps prepared; a process has fewer, unless its lists have many lengths."""
MOST_SEEN = 4 * MOST_PREPARED
"""Statements that one connection remembers, most of which came once."""
Values = Sequence[Any]


class Wire(Protocol):
    """One connection. Every method raises the driver's own errors."""

    def is_open(self) -> bool:
        """Whether a transaction is open, as the driver knows without asking."""

    def has_failed(self) -> bool:
        """Whether a statement of the open transaction failed: its COMMIT would then roll back without an error."""

    def say(self, sql: str) -> None:
        """BEGIN, COMMIT or ROLLBACK; may be several statements."""

    def roll_back(self) -> None:
        """Roll back; `settle` may be the first to raise its failure."""

    def settle(self) -> None:
        """Wait until everything that was sent is answered."""

    def forget(self) -> None:
        """Deallocate the prepared statements, between transactions, before others use the connection."""

    def rows(self, sql: str, values: Values) -> list[tuple[Any, ...]]: ...

    def change(self, sql: str, values: Values) -> int:
        """How many rows were changed."""

    def change_many(self, sql: str, rows: Sequence[Values]) -> None: ...


class SqliteWire:
    """Python's own driver."""

    __slots__ = ("_driver",)

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def is_open(self) -> bool:
        return bool(self._driver.in_transaction)

    def has_failed(self) -> bool:
        return False

    def say(self, sql: str) -> None:
        self._driver.execute(sql)

    def roll_back(self) -> None:
        self._driver.execute("ROLLBACK")

    def settle(self) -> None:
        return

    def forget(self) -> None:
        return

    def rows(self, sql: str, values: Values) -> list[tuple[Any, ...]]:
        loaded: list[tuple[Any, ...]] = self._driver.execute(sql, values).fetchall()
        return loaded

    def change(self, sql: str, values: Values) -> int:
        return int(self._driver.execute(sql, values).rowcount)

    def change_many(self, sql: str, rows: Sequence[Values]) -> None:
        self._driver.cursor().executemany(sql, rows)


class PostgresqlWire:
    """libpq. Parameters are named $1, $2, ... A statement is prepared when it comes for the second time."""

    def __init__(self, driver: Any) -> None:
        import psycopg  # SQLite needs none of it
        from psycopg.adapt import PyFormat, Transformer

        self._psycopg = psycopg
        self._driver = driver
        self._libpq = driver.pgconn
        self._adapt = Transformer(driver)
        self._format = [PyFormat.AUTO]
        self._prepared: dict[tuple[str, tuple[int, ...]], bytes] = {}
        self._number = 0
        self._waits = False

    def is_open(self) -> bool:
        return bool(self._libpq.transaction_status != _IDLE)

    def has_failed(self) -> bool:
        return bool(self._libpq.transaction_status == _FAILED)

    def say(self, sql: str) -> None:
        self._check(self._libpq.exec_(sql.encode()))

    def roll_back(self) -> None:
        """Send it without waiting: what a transaction read stays valid when its ROLLBACK fails."""
        self._libpq.send_query(b"ROLLBACK")
        self._libpq.flush()
        self._waits = True

    def settle(self) -> None:
        if self._waits:
            self._waits = False
            while (result := self._libpq.get_result()) is not None:
                self._check(result)

    def rows(self, sql: str, values: Values) -> list[tuple[Any, ...]]:
        result = self._execute(sql, values)
        self._adapt.set_pgresult(result)
        loaded: list[tuple[Any, ...]] = self._adapt.load_rows(0, result.ntuples, tuple)
        return loaded

    def change(self, sql: str, values: Values) -> int:
        return self._execute(sql, values).command_tuples or 0

    def change_many(self, sql: str, rows: Sequence[Values]) -> None:
        for values in rows:
            self._execute(sql, values)

    def _execute(self, sql: str, values: Values) -> Any:
        adapt = self._adapt
        written = adapt.dump_sequence(values, self._format * len(values))
        key = (sql, adapt.types or ())
        name = self._prepared.get(key)
        if name:
            return self._check(self._libpq.exec_prepared(name, written, adapt.formats, 0))
        if name is None:  # the first time
            if len(self._prepared) >= MOST_SEEN:
                self.forget()
            self._prepared[key] = b""
            return self._check(self._libpq.exec_params(sql.encode(), written, adapt.types, adapt.formats, 0))
        if self._number >= MOST_PREPARED:
            self.forget()  # statements in use are prepared anew; this is rare
        self._number += 1
        name = b"gureum_%d" % self._number
        self._check(self._libpq.prepare(name, sql.encode(), adapt.types))
        self._prepared[key] = name
        return self._check(self._libpq.exec_prepared(name, written, adapt.formats, 0))

    def forget(self) -> None:
        names = [name.decode() for name in self._prepared.values() if name]
        self._prepared.clear()
        self._number = 0
        if names:
            self.say("; ".join(f"DEALLOCATE {name}" for name in names))

    def _check(self, result: Any) -> Any:
        """The result, unless it is an error; raises it as psycopg's."""
        if result.status in _GOOD:
            return result
        if result.error_field(_SQLSTATE) is None:  # libpq's own word: it has no connection, or lost it
            raise self._psycopg.OperationalError(result.error_message.decode(errors="replace").strip())
        raise self._psycopg.errors.error_from_result(result)


_IDLE, _FAILED = 0, 3
"""libpq's PQTransactionStatusType. What is lost is UNKNOWN: rolling it back fails, and the connection is closed."""
_GOOD = (1, 2)
"""libpq's PGRES_COMMAND_OK and PGRES_TUPLES_OK."""
_SQLSTATE = ord("C")
