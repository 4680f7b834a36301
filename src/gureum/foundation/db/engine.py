"""One database, two kinds of transaction: `read` sees a snapshot, `write` is alone or is tried again.

SQLite runs in WAL mode; a write begins IMMEDIATE behind a process lock, so writers queue instead of failing.
PostgreSQL runs writes SERIALIZABLE, and `Database.write` repeats the function when the database reports a
serialization failure (`turns.py`): the function must have no effect but on its transaction. Effects go to `on_commit`.
Invariants: after a failure of the database no broken connection is used again; what may have been committed is never
repeated. `docs/decisions/0022-failures-of-the-database.md`.
Read next: `failures.py`, then `tasks/engine.py` for what happens after the commit.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import Engine, ExceptionContext, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session, SessionTransaction

from gureum.foundation.db.failures import (
    DatabaseFailure,
    DatabaseFull,
    OutcomeUnknown,
    failure_of,
    in_words,
    is_busy,
    is_connection_lost,
    is_full,
    server_decided,
    was_refused,
)
from gureum.foundation.db.lanes import KEPT, Counters, Lane, Lanes
from gureum.foundation.db.turns import BESIDE_OTHERS, SERIALIZABLE, Turns
from gureum.foundation.errors import ApiError, Unavailable
from gureum.foundation.private import make_private

T = TypeVar("T")
Durability = Literal["full", "fast"]
log = logging.getLogger("gureum.db")

RETRIES = 16
DRAWS = 4
_TCP_LIMITS = {"keepalives_idle": 60, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 30_000}
"""libpq's words, in seconds and milliseconds: a connection that was cut off silently is noticed in half a minute."""
_SERVER_LIMITS = {
    "tcp_keepalives_idle": 60,
    "tcp_keepalives_interval": 10,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "idle_in_transaction_session_timeout": 120_000,
}
"""The same for the server: a machine of ours that was lost with a transaction open holds no lock for longer."""
SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
TRY_EVERY_S = 1.0
"""How often, at most, somebody who asks how the database is makes it write."""


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

    def begin_nested(self) -> SessionTransaction:
        """A savepoint, for prepared statements too: the ORM sets none on a connection that it does not use."""
        savepoint = super().begin_nested()
        self.connection()
        return savepoint

    def commit(self) -> None:
        if self.lane is not None:
            self.lane.require_sound()
        super().commit()
        if self.lane is not None:
            self.lane.commit()

    def close(self) -> None:
        if self.in_transaction():  # otherwise the ORM was not asked, and its books need no closing
            super().close()

    def end(self) -> None:
        """Roll back what is not committed. Never raises: how the transaction ended is decided, and a connection that
        cannot roll back is closed (`_distrust`, `Lanes.give`).
        """
        try:
            self.close()
        except DBAPIError as error:
            log.warning("a transaction cannot be rolled back, its connection is closed: %s", in_words(error))

    def take_callbacks(self) -> list[Callable[[], None]]:
        taken, self._callbacks = self._callbacks, []
        return taken


class Database:
    """Owns the engines. Thread safe; one per process."""

    def __init__(self, url: str, *, pool_size: int = 16, durability: Durability = "full") -> None:
        self.url = url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        self._durability = durability
        self.is_sqlite = url.startswith("sqlite")
        self.counters = Counters()
        self._folder = Path(make_url(url).database or ".").parent if self.is_sqlite else None
        self._writer = threading.Lock()
        self._trouble = ""
        self._tried = 0.0
        self._reads, self._writes, self._apart = self._engines(url, pool_size)
        self._lanes: dict[Engine, Lanes] = {}
        if self.is_sqlite:
            self._lanes[self._reads] = Lanes(self._reads, "BEGIN", self.counters)
            self._lanes[self._writes] = Lanes(self._writes, "BEGIN IMMEDIATE", self.counters)
        else:
            kept = min(KEPT, pool_size // 2)  # both take from one pool of twice its size: half of it stays free
            self._lanes[self._reads] = Lanes(self._reads, SNAPSHOT, self.counters, kept)
            self._lanes[self._writes] = Lanes(self._writes, BESIDE_OTHERS, self.counters, kept)
            self._lanes[self._apart] = Lanes(self._apart, SERIALIZABLE, self.counters, kept=1)
        self.turns = Turns(self._apart)
        for engine in {self._reads, self._writes, self._apart}:
            event.listen(engine, "before_cursor_execute", self._count_statement)
            event.listen(engine, "commit", self._count_commit)
            if not self.is_sqlite:
                event.listen(engine, "handle_error", _distrust)

    def _engines(self, url: str, pool_size: int) -> tuple[Engine, Engine, Engine]:
        """For reads, for writes, and for turns, which need connections of their own: waiting writers may hold the whole
        pool.
        """
        usual: dict[str, Any] = {"pool_size": pool_size, "max_overflow": pool_size, "hide_parameters": True}
        if not self.is_sqlite:
            limits = {name: value for name, value in _TCP_LIMITS.items() if name not in make_url(url).query}
            engine = create_engine(url, pool_pre_ping=True, connect_args=limits, **usual)
            few = {**usual, "pool_size": 2, "max_overflow": -1}  # as many as threads have turns, seldom more than two
            apart = create_engine(url, pool_pre_ping=True, connect_args=limits, **few)
            for each in (engine, apart):
                event.listen(each, "connect", partial(_prepare_postgresql, self._durability))
            return (
                engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
                engine.execution_options(isolation_level="SERIALIZABLE"),
                apart.execution_options(isolation_level="SERIALIZABLE"),
            )
        waits = {"timeout": 30, "check_same_thread": False}
        engines = [create_engine(url, connect_args=waits, **usual) for _ in range(2)]
        for engine in engines:
            event.listen(engine, "do_connect", _keep_private)
            event.listen(engine, "connect", partial(_prepare_sqlite, self._durability))
        return engines[0], engines[1], engines[1]

    def _count_statement(self, *_execution: Any) -> None:
        self.counters.statements += 1

    def _count_commit(self, connection: Any) -> None:
        if connection.engine in (self._writes, self._apart):
            self.counters.commits += 1

    @property
    def engine(self) -> Engine:
        """The engine of write transactions, for migrations."""
        return self._writes

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A snapshot, which is always rolled back. Raises DatabaseFailure."""
        try:
            with self._transaction(self._reads, autoflush=False) as tx:
                yield tx
        except SQLAlchemyError as error:
            if self._is_mistake(error):
                raise
            raise self._answer(error) from error

    @contextmanager
    def in_words(self) -> Iterator[None]:
        """For callers that use `engine` itself: raise a failure of the database as DatabaseFailure."""
        try:
            yield
        except SQLAlchemyError as error:
            if self._is_mistake(error):
                raise
            raise self._answer(error) from error

    @contextmanager
    def _transaction(self, engine: Engine, **options: Any) -> Iterator[Tx]:
        """One that is rolled back unless the block commits it."""
        lanes = self._lanes.get(engine)
        lane = lanes.take() if lanes else None
        tx = Tx(lane, bind=lane.connection if lane else engine, expire_on_commit=False, **options)
        keep = True
        try:
            yield tx
        except SQLAlchemyError as error:
            keep = isinstance(error, DBAPIError) and server_decided(error)
            raise
        finally:
            tx.end()
            if lanes and lane:
                lanes.give(lane, keep=keep)

    def _is_mistake(self, error: SQLAlchemyError) -> bool:
        """Whether the statement is wrong, not the database: such an error is raised unchanged."""
        busy = isinstance(error, DBAPIError) and is_busy(error)
        return not busy and failure_of(error, self._folder) is None

    def _answer(self, error: SQLAlchemyError) -> ApiError:
        """What to raise instead of the driver's error. Notes a failure of the database, for `trouble`: the text alone,
        because an error keeps its frames alive and they the cursors of a connection that is to be closed.
        """
        if isinstance(error, DBAPIError) and is_busy(error):
            text = "Too many requests change the same thing. Try again."
            return Unavailable(text, internal=in_words(error), headers={"Retry-After": "1"})
        failure = failure_of(error, self._folder) or DatabaseFailure()
        self._trouble = failure.public
        return failure

    def write(self, work: Callable[[Tx], T], kind: str = "") -> T:
        """Run `work` in one transaction and commit; repeat it whole when the database asks for that.

        Writes of one `kind` mostly meet on the same rows: when they clash, they take turns. Raises what `work` raises,
        and DatabaseFailure, with nothing written; OutcomeUnknown when only the database knows whether it is. Callbacks
        run after the commit, before it returns.
        """
        clashes = 0
        for attempt in range(RETRIES):
            try:
                result, callbacks = self._write_once(work, self._turn(kind, clashes))
            except SQLAlchemyError as error:
                if attempt < RETRIES - 1 and isinstance(error, DBAPIError) and self._repeatable(error, attempt):
                    clashes += is_busy(error) or isinstance(error, IntegrityError)
                    self._before_repetition(kind, attempt, clashes)
                    continue
                if self._is_mistake(error):
                    raise
                raise self._answer(error) from error
            self._trouble = ""
            for callback in callbacks:
                callback()
            return result
        raise AssertionError("unreachable")

    def _write_once(
        self, work: Callable[[Tx], T], turn: AbstractContextManager[bool]
    ) -> tuple[T, list[Callable[[], None]]]:
        with turn as is_alone, self._transaction(self._apart if is_alone else self._writes) as tx:
            result = work(tx)
            tx.flush()
            self._commit(tx)
            return result, tx.take_callbacks()

    def _turn(self, kind: str, failures: int) -> AbstractContextManager[bool]:
        return self._in_line() if self.is_sqlite else self.turns.turn(kind, failures)

    @contextmanager
    def _in_line(self) -> Iterator[bool]:
        """One writer of SQLite at a time."""
        with self._writer:
            yield False

    def _before_repetition(self, kind: str, attempt: int, clashes: int) -> None:
        """Sleep for a short random time, unless the write waits for its turn next."""
        if self.is_sqlite or not self.turns.clashed(kind, clashes):
            time.sleep(random.uniform(0, 0.005 * 2 ** min(attempt, 6)))  # noqa: S311 spreading, not secrecy

    def _commit(self, tx: Tx) -> None:
        """Commit what is flushed. When the server is lost meanwhile, it may have committed: raise OutcomeUnknown, so
        that nobody repeats the write. An embedded database reports whether it committed.
        """
        try:
            tx.commit()
        except DBAPIError as error:
            if self.is_sqlite or was_refused(error):
                raise
            self._trouble = DatabaseFailure.default
            raise OutcomeUnknown(internal=in_words(error)) from error

    def _repeatable(self, error: DBAPIError, attempt: int) -> bool:
        if self.is_sqlite:
            if isinstance(error, IntegrityError):  # only what the work draws at random can be different next time
                return attempt < DRAWS and "UNIQUE" in str(error.orig)
            return is_busy(error)
        if isinstance(error, IntegrityError):  # of others' rows, or drawn at random; else it is the same each time
            return attempt < DRAWS
        return is_busy(error) or is_connection_lost(error)

    def trouble(self) -> str:
        """Why the database cannot be read or written, for people; empty when it can.

        Writes, as little as can be, only to learn whether an earlier failure is over.
        """
        try:
            with self.read() as tx:
                tx.execute(text("SELECT 1"))
            if self._trouble and time.monotonic() - self._tried >= TRY_EVERY_S:
                self._tried = time.monotonic()
                self.write(self._try)
        except (ApiError, SQLAlchemyError) as error:
            log.warning("the database does not work: %s", error)
            return error.public if isinstance(error, ApiError) else DatabaseFailure.default
        return self._trouble

    def _try(self, tx: Tx) -> None:
        """Write as little as makes the database commit something."""
        if self._folder is None:
            tx.execute(text("SELECT pg_current_xact_id()"))
            return
        if is_full(self._folder):
            raise DatabaseFull
        number = tx.execute(text("PRAGMA user_version")).scalar_one()
        tx.execute(text(f"PRAGMA user_version = {int(number)}"))

    def answers(self) -> bool:
        """Whether the database works, for health checks."""
        return not self.trouble()

    def close(self) -> None:
        for lanes in self._lanes.values():
            lanes.close()
        self._reads.dispose()
        self._writes.dispose()
        self._apart.dispose()


def _distrust(context: ExceptionContext) -> None:
    """Have SQLAlchemy close a connection that could not begin, commit or roll back: what its driver holds is unknown.

    Without this it goes back to the pool after a failed COMMIT as if it were at rest, with the transaction still open.
    """
    error = context.sqlalchemy_exception
    if context.connection is None or context.statement is not None or not isinstance(error, DBAPIError):
        return
    if not server_decided(error) and not context.is_disconnect:
        context.invalidate_pool_on_disconnect = False
        context.is_disconnect = True


def _keep_private(_dialect: Any, _record: Any, words: list[Any], _options: Any) -> None:
    """Make the file private. SQLite gives its -wal and -shm files the same mode."""
    if words and words[0] != ":memory:" and not str(words[0]).startswith("file:"):
        with suppress(OSError):  # SQLite says itself, and as its own error, that it cannot open the file
            make_private(Path(words[0]))


def _prepare_postgresql(durability: Durability, connection: Any, _record: Any) -> None:
    """Turn synchronous_commit off for "fast", and on for "full" where it is off: one that waits for replicas stays.

    psycopg prepares nothing by itself: when a savepoint is rolled back, it deallocates all that is prepared on the
    connection, what the lanes prepared included (`wire.py`).
    """
    connection.prepare_threshold = None
    limits = "; ".join(f"SET {name} = {value}" for name, value in _SERVER_LIMITS.items())
    ask = "SELECT set_config('synchronous_commit', %s, false) WHERE current_setting('synchronous_commit') = ANY(%s)"
    off, others = ["off"], ["on", "local", "remote_write", "remote_apply"]
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(limits)
        cursor.execute(ask, ("on", off) if durability == "full" else ("off", others))
    connection.autocommit = False


def _prepare_sqlite(durability: Durability, connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so
    try:
        _run_pragmas(connection, durability)
    except BaseException:
        connection.close()  # SQLAlchemy forgets a connection whose listener failed
        raise


def _run_pragmas(connection: Any, durability: Durability) -> None:
    """In WAL mode FULL waits for the disk at each commit, NORMAL at checkpoints alone."""
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        f"synchronous={'FULL' if durability == 'full' else 'NORMAL'}",
        "foreign_keys=ON",
        "busy_timeout=30000",
        "cache_size=-4000",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
