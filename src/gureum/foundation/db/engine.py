"""One database, two kinds of transaction: `read` sees a snapshot, `write` is alone or is tried again.

SQLite runs in WAL mode; a write begins IMMEDIATE behind a process lock, so writers queue instead of failing.
PostgreSQL runs writes SERIALIZABLE, and `Database.write` repeats the function when the database reports a
serialization failure: the function must have no effect but on its transaction. Effects go to `on_commit`.
Read next: `tasks/engine.py` for what happens after the commit.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from gureum.foundation.db.lanes import Counters, Lane, Lanes
from gureum.foundation.errors import Unavailable

T = TypeVar("T")
log = logging.getLogger("gureum.db")

RETRIES = 16
DRAWS = 4
ALONE_AFTER = 3
"""After so many failures a write waits for the other writers, of all processes, that failed as often."""
_ALONE = 0x67757265756E  # an advisory lock's number, any that nobody else uses
_SERIALIZATION = {"40001", "40P01"}


class Tx(Session):
    """A transaction. Callbacks given to `on_commit` run after it is durable, in order, outside of it.

    `lane` is where prepared statements run (`prepared.py`); None sends them through SQLAlchemy.
    """

    def __init__(self, lane: Lane | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.lane = lane
        self._callbacks: list[Callable[[], None]] = []

    def on_commit(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def commit(self) -> None:
        super().commit()
        if self.lane is not None:
            self.lane.commit()

    def close(self) -> None:
        if self.in_transaction():  # otherwise the ORM was not asked, and its books need no closing
            super().close()

    def take_callbacks(self) -> list[Callable[[], None]]:
        taken, self._callbacks = self._callbacks, []
        return taken


class Database:
    """Owns the engines. Thread safe; one per process."""

    def __init__(self, url: str, *, pool_size: int = 16) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.counters = Counters()
        self._writer = threading.Lock()
        self._reads, self._writes = self._engines(url, pool_size)
        self._lanes: dict[Engine, Lanes] = {}
        if self.is_sqlite:
            self._lanes[self._reads] = Lanes(self._reads, "BEGIN", self.counters)
            self._lanes[self._writes] = Lanes(self._writes, "BEGIN IMMEDIATE", self.counters)
        for engine in {self._reads, self._writes}:
            event.listen(engine, "before_cursor_execute", self._count_statement)
            event.listen(engine, "commit", self._count_commit)

    def _engines(self, url: str, pool_size: int) -> tuple[Engine, Engine]:
        if not self.is_sqlite:
            engine = create_engine(url, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True)
            return (
                engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
                engine.execution_options(isolation_level="SERIALIZABLE"),
            )
        waits = {"timeout": 30, "check_same_thread": False}
        engines = [
            create_engine(url, pool_size=pool_size, max_overflow=pool_size, connect_args=waits) for _ in range(2)
        ]
        for engine in engines:
            event.listen(engine, "connect", _prepare_sqlite)
        return engines[0], engines[1]

    def _count_statement(self, *_execution: Any) -> None:
        self.counters.statements += 1

    def _count_commit(self, connection: Any) -> None:
        if connection.engine is self._writes:
            self.counters.commits += 1

    @property
    def engine(self) -> Engine:
        """The engine of write transactions, for migrations."""
        return self._writes

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A snapshot; whatever the block does to it is thrown away."""
        with self._transaction(self._reads, autoflush=False) as tx:
            yield tx

    @contextmanager
    def _transaction(self, engine: Engine, **options: Any) -> Iterator[Tx]:
        """One that is rolled back unless the block commits it."""
        lanes = self._lanes.get(engine)
        lane = lanes.take() if lanes else None
        tx = Tx(lane, bind=lane.connection if lane else engine, expire_on_commit=False, **options)
        try:
            yield tx
        finally:
            tx.close()
            if lanes and lane:
                lanes.give(lane)

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one transaction and commit; repeat it whole when the database asks for that.

        Raises what `work` raises, with nothing written. Callbacks run after the commit, before it returns.
        """
        for attempt in range(RETRIES):
            try:
                result, callbacks = self._write_once(work, alone=self.is_sqlite or attempt >= ALONE_AFTER)
            except DBAPIError as error:
                if not self._repeatable(error, attempt):
                    raise
                if attempt == RETRIES - 1:
                    text = "Too many requests change the same thing. Try again."
                    raise Unavailable(text, internal=str(error)) from error
                time.sleep(random.uniform(0, 0.005 * 2 ** min(attempt, 6)))  # noqa: S311 spreading, not secrecy
                continue
            for callback in callbacks:
                callback()
            return result
        raise AssertionError("unreachable")

    def _write_once(self, work: Callable[[Tx], T], *, alone: bool) -> tuple[T, list[Callable[[], None]]]:
        with self._alone() if alone else nullcontext(), self._transaction(self._writes) as tx:
            result = work(tx)
            tx.commit()
            return result, tx.take_callbacks()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One at a time. The lock of PostgreSQL is taken before the transaction begins, whose snapshot it would age."""
        with self._writer:
            if self.is_sqlite:
                yield
                return
            with self._writes.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": _ALONE})
                try:
                    yield
                finally:
                    connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": _ALONE})

    def _repeatable(self, error: DBAPIError, attempt: int) -> bool:
        if self.is_sqlite:
            if isinstance(error, IntegrityError):  # only what the work draws at random can be different next time
                return attempt < DRAWS and "UNIQUE" in str(error.orig)
            return "database is locked" in str(error.orig)
        state = getattr(error.orig, "sqlstate", "")
        return state in _SERIALIZATION or isinstance(error, IntegrityError) or error.connection_invalidated

    def answers(self) -> bool:
        """Whether a trivial read works, for /healthz."""
        try:
            with self.read() as tx:
                tx.execute(text("SELECT 1"))
        except DBAPIError:
            log.exception("the database does not answer")
            return False
        return True

    def close(self) -> None:
        for lanes in self._lanes.values():
            lanes.close()
        self._reads.dispose()
        self._writes.dispose()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "busy_timeout=30000",
        "cache_size=-4000",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
