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
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from gureum.foundation.errors import Unavailable

T = TypeVar("T")
log = logging.getLogger("gureum.db")

RETRIES = 16
ALONE_AFTER = 3
"""After so many failures a write waits for the other writers of this process that failed as often."""
_SERIALIZATION = {"40001", "40P01"}


class Tx(Session):
    """A transaction. Callbacks given to `on_commit` run after it is durable, in order, outside of it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._callbacks: list[Callable[[], None]] = []

    def on_commit(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def take_callbacks(self) -> list[Callable[[], None]]:
        taken, self._callbacks = self._callbacks, []
        return taken


class Counters:
    """Statements and commits of this process, for /metrics and for the budgets in bench/."""

    def __init__(self) -> None:
        self.statements = 0
        self.commits = 0


class Database:
    """Owns the engines. Thread safe; one per process."""

    def __init__(self, url: str, *, pool_size: int = 16) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self.counters = Counters()
        self._writer = threading.Lock()
        self._reads, self._writes = self._engines(url, pool_size)
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
        engines = []
        for begin in ("BEGIN", "BEGIN IMMEDIATE"):
            engine = create_engine(
                url,
                pool_size=pool_size,
                max_overflow=pool_size,
                connect_args={"timeout": 30, "check_same_thread": False},
            )
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", lambda connection, begin=begin: connection.exec_driver_sql(begin))
            engines.append(engine)
        return engines[0], engines[1]

    def _count_statement(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
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
        tx = Tx(bind=self._reads, expire_on_commit=False, autoflush=False)
        try:
            yield tx
        finally:
            tx.close()

    def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one transaction and commit; repeat it whole when the database asks for that.

        Raises what `work` raises, with nothing written. Callbacks run after the commit, before it returns.
        """
        for attempt in range(RETRIES):
            try:
                result, callbacks = self._write_once(work, alone=self.is_sqlite or attempt >= ALONE_AFTER)
            except DBAPIError as error:
                if not self._repeatable(error):
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
        lock = self._writer if alone else None
        if lock:
            lock.acquire()
        tx = Tx(bind=self._writes, expire_on_commit=False)
        try:
            result = work(tx)
            tx.commit()
            return result, tx.take_callbacks()
        finally:
            tx.close()
            if lock:
                lock.release()

    def _repeatable(self, error: DBAPIError) -> bool:
        if self.is_sqlite:
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
        "cache_size=-16000",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
