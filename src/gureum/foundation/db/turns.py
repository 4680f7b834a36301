"""Turns of writers that clash on PostgreSQL: how a write that the database refused is made.

A write is tried beside all others first, and once more. One that clashed twice takes its turn among the writes of its
kind, of all processes; for a while after that, new writes of the kind do so at once: they would clash next. One that
clashes again is made alone: every transaction that writes holds a shared lock (`BESIDE_OTHERS`), and the one that is
alone holds it exclusively. No other transaction of ours writes then, so nothing can clash with it.
Invariant: a turn is taken before the transaction begins, whose snapshot would otherwise be older than the turn; so no
writer waits for a turn with a transaction open, and no two wait for each other. A write that waited for one that was
alone has an older snapshot, and is repeated if it meets the same rows. Locks, and transactions that are alone, have
connections of their own: those of the pool may all be held by writers that wait for them.
Source: PostgreSQL's documentation, "Serializable Isolation Level" and "Advisory Locks".
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from gureum.foundation.db.failures import in_words

log = logging.getLogger("gureum.db")

TURN_AFTER = 2
"""After so many clashes a write takes its turn. Most are over with one repetition, which costs less than a turn."""
ALONE_AFTER = 3
"""After so many clashes a write is made alone."""
CROWDED_S = 2.0
"""How long all writes of a kind take turns after one had to."""
_ALONE = 0x67757265756E
"""An advisory lock's number, any that nobody else uses. Those of kinds begin with its last half."""
_KINDS = _ALONE & 0x7FFFFFFF
SERIALIZABLE = "BEGIN ISOLATION LEVEL SERIALIZABLE"
BESIDE_OTHERS = f"{SERIALIZABLE}; SELECT pg_advisory_xact_lock_shared({_ALONE})"


class Turns:
    """One per database and process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._alone = threading.Lock()
        self._of_kind: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._crowded_until: dict[str, float] = {}

    def clashed(self, kind: str, failures: int) -> bool:
        """Note that a write of this kind has clashed so often. Returns whether it takes a turn next."""
        takes_turn = failures >= TURN_AFTER
        if takes_turn and kind:
            self._crowded_until[kind] = time.monotonic() + CROWDED_S
        return takes_turn

    @contextmanager
    def turn(self, kind: str, failures: int) -> Iterator[bool]:
        """Wait until a write that failed so often may be tried; yields whether it is alone then."""
        with ExitStack() as held:
            if kind and (failures >= TURN_AFTER or self._crowded_until.get(kind, 0.0) > time.monotonic()):
                held.enter_context(self._among(kind))
            if failures >= ALONE_AFTER:
                held.enter_context(self.alone())
            yield failures >= ALONE_AFTER

    @contextmanager
    def _among(self, kind: str) -> Iterator[None]:
        """Hold the turn of one kind. Threads of this process wait at a local lock first: only one of them holds a
        connection.
        """
        number = (_KINDS << 32) | zlib.crc32(kind.encode())
        with self._of_kind[kind], _advisory_lock(self._engine, number):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no transaction writes, and let none begin."""
        with self._alone, _advisory_lock(self._engine, _ALONE):
            yield


@contextmanager
def _advisory_lock(engine: Engine, number: int) -> Iterator[None]:
    """On a connection of its own, outside of any transaction."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": number})
        try:
            yield
        finally:
            unlock(connection, number)


def unlock(connection: Connection, number: int) -> None:
    """Release an advisory lock of PostgreSQL. Never raises: the work under the lock is done, and PostgreSQL releases
    the locks of a lost connection.
    """
    try:
        connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": number})
    except DBAPIError as error:
        log.warning("a lock cannot be given back, its connection is closed: %s", in_words(error))
        connection.invalidate()
