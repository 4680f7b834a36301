"""Reads the outbox for the durable subscribers: what comes after the cursor goes to the handler, and the cursor moves
in the same transaction.

One thread in each process with workers; the lease `events:NAME` lets one of them work for a subscriber. Only settled
rows are read (`model.py`), in the order of their positions, so that nothing can appear before the cursor later. The
cursor moves on condition that it stands where it was read: two readers never handle the same event twice. An event
whose handler raises stays next, is tried again with back-off, and the cursor's row says why (`./gureum event list`).
Wake-ups come after a commit in this process or over the bus; looking every second is the safety net.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, exists, select, tuple_, update

from gureum.foundation import clock
from gureum.foundation import log as lines
from gureum.foundation.bus.interface import Bus
from gureum.foundation.bus.typed import Nothing, Topic
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.failures import DatabaseFailure
from gureum.foundation.db.prepared import Prepared, table_of
from gureum.foundation.events.event import Durable
from gureum.foundation.events.model import SETTLED, EventCursor, EventRow
from gureum.foundation.events.outbox import Events
from gureum.foundation.events.positions import Position
from gureum.foundation.shapes import json_decoder
from gureum.foundation.tasks.leases import take_lease
from gureum.foundation.tasks.model import Lease
from gureum.foundation.tasks.owners import own_name

log = logging.getLogger("gureum.events")

WRITTEN = Topic("events.written", Nothing)
"""Some process committed events that a durable subscriber reads."""
POLL_S = 1.0
UNSETTLED_POLL_S = 0.05
GAP_S = 0.02
BATCH = 100
LEASE_S = 30.0
MAX_PAUSE_S = 60.0
PASS_OVER_EVERY_S = 60.0
"""How often, at most, a cursor moves only because there was nothing for its subscriber."""


class Hooks:
    """Where the crash suite looks in; nothing here in production. `write` is what the transaction is for."""

    def before_write(self, write: str) -> None: ...

    def before_commit(self, write: str) -> None: ...

    def after_write(self, write: str) -> None: ...


class CursorMovedError(Exception):
    """Another process, or an operator, moved the cursor: what this one was about to write is thrown away."""


@dataclass(frozen=True, slots=True)
class _Cursor:
    name: str
    xact: int
    number: int
    moved_at: float
    attempts: int
    retry_at: float

    @property
    def position(self) -> Position:
        return Position(self.xact, self.number)


@dataclass(frozen=True, slots=True)
class _Row:
    xact: int
    number: int
    kind: str
    content: str
    project_id: str | None
    request_id: str


class EventReader:
    """`start` runs the thread, `run_once` does one round for tests. `owner` names this process in the leases."""

    name = "events"

    def __init__(self, database: Database, events: Events, bus: Bus, owner: Callable[[], str]) -> None:
        self.hooks = Hooks()
        self._database = database
        self._events = events
        self._bus = bus
        self._owner_of = owner
        self._owner = ""
        self._nothing_between: dict[str, tuple[Position, Position]] = {}
        self._leased: set[str] = set()
        self._woken = threading.Event()
        self._woken_here = False
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._unsubscribe: Callable[[], None] = lambda: None

    # -- the thread --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Nothing without subscribers."""
        if not self._events.durable:
            return
        self._events.announce = self.wake
        self._unsubscribe = WRITTEN.subscribe(self._bus, lambda _: self._woken.set())
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """This process committed events."""
        self._woken_here = True
        self._woken.set()

    def stop(self) -> None:
        """Finish the transaction under way and give the leases back."""
        self._stopping.set()
        self._woken.set()
        self._unsubscribe()
        if self._thread is not None:
            self._thread.join(timeout=10)
        if self._leased:
            mine = (Lease.name.in_(self._leased), Lease.owner == self._owner)
            self._database.write(lambda tx: tx.execute(update(Lease).where(*mine).values(until=0.0)))
            self._leased = set()

    def _run(self) -> None:
        pause = POLL_S
        while not self._stopping.is_set():
            self._woken.wait(pause)
            self._woken.clear()
            pause = POLL_S
            try:
                pause = UNSETTLED_POLL_S if self._round() else POLL_S
            except DatabaseFailure as failure:
                log.warning("reading events failed; it is tried again: %s", failure)
            except Exception:
                log.exception("reading events failed; it is tried again")
            self._stopping.wait(GAP_S)

    # -- one round ---------------------------------------------------------------------------------------

    def run_once(self) -> None:
        """Hand every subscriber what waits for it."""
        self._round()

    def _round(self) -> bool:
        """The same; True when more is about to settle."""
        here, self._woken_here = self._woken_here, False
        elsewhere = False
        with self._database.read() as tx:
            cursors = {cursor.name: cursor for cursor in _CURSORS.all(tx)}
            end = _END.first(tx)
            unsettled = bool(_UNSETTLED.first(tx))
        if not self._events.durable.keys() <= cursors.keys():
            self._write("begin", self._events.bootstrap)
            return True
        for subscriber in self._events.durable.values():
            if end is not None and self._waits(cursors[subscriber.name], end):
                elsewhere |= not self._serve(subscriber)
        if here and elsewhere:
            WRITTEN.publish(self._bus, Nothing())
        return unsettled

    def _waits(self, cursor: _Cursor, end: Position) -> bool:
        now = clock.now()
        if cursor.position >= end or cursor.retry_at > now:
            return False
        start, seen = self._nothing_between.get(cursor.name, (None, end))
        return start != cursor.position or seen < end or cursor.moved_at < now - PASS_OVER_EVERY_S

    def _serve(self, subscriber: Durable) -> bool:
        """Until nothing is left or an event fails. False when another process holds the lease."""
        if not self._lease(f"events:{subscriber.name}"):
            return False
        while not self._stopping.is_set():
            try:
                if not self._batch(subscriber):
                    break
            except CursorMovedError:
                log.info("the cursor of %s was moved", subscriber.name)
                break
        return True

    def _lease(self, name: str) -> bool:
        self._owner = self._owner or self._owner_of() or own_name("events")
        self.hooks.before_write("lease")
        held = take_lease(self._database, name, self._owner, LEASE_S)
        self.hooks.after_write("lease")
        (self._leased.add if held else self._leased.discard)(name)
        return held

    def _batch(self, subscriber: Durable) -> bool:
        """Handle what comes next; True when there may be more."""
        kinds = [kind.KIND for kind in subscriber.events]
        with self._database.read() as tx:
            cursor = _CURSOR.first(tx, of=subscriber.name)
            if cursor is None:
                return False
            most = 1 if cursor.attempts else BATCH
            at = {"after_xact": cursor.xact, "after_number": cursor.number}
            rows = _NEXT.all(tx, **at, kinds=kinds, most=most)
            end = _END.first(tx)
        if not rows:
            self._pass_over(cursor, end)
            return False
        try:
            self._handle(subscriber, cursor, rows)
        except (DatabaseFailure, CursorMovedError):
            raise
        except Exception as error:
            if len(rows) == 1:
                self._note(subscriber, cursor, rows[0], error)
                return False
            return self._one_by_one(subscriber, cursor, rows)
        return True

    def _one_by_one(self, subscriber: Durable, cursor: _Cursor, rows: Sequence[_Row]) -> bool:
        """So that one event that fails does not take those before it with it."""
        for row in rows:
            try:
                self._handle(subscriber, cursor, [row])
            except (DatabaseFailure, CursorMovedError):
                raise
            except Exception as error:
                self._note(subscriber, cursor, row, error)
                return False
            cursor = _Cursor(cursor.name, row.xact, row.number, 0.0, 0, 0.0)
        return True

    def _handle(self, subscriber: Durable, cursor: _Cursor, rows: Sequence[_Row]) -> None:
        """The events and the cursor's move, in one transaction."""
        types = {kind.KIND: kind for kind in subscriber.events}
        before = lines.origin()

        def work(tx: Tx) -> None:
            for row in rows:
                lines.work_for(lines.Origin(row.request_id, "-", row.project_id or "-"))
                subscriber.handle(tx, json_decoder(types[row.kind]).decode(row.content))
            self._move(tx, cursor, Position(rows[-1].xact, rows[-1].number))

        try:
            self._write("handle", work)
        finally:
            lines.work_for(before)

    def _move(self, tx: Tx, cursor: _Cursor, to: Position) -> None:
        at = {"of": cursor.name, "from_xact": cursor.xact, "from_number": cursor.number}
        if not _MOVE.run(tx, **at, to_xact=to.xact, to_number=to.number, now=clock.now()):
            raise CursorMovedError(cursor.name)

    def _pass_over(self, cursor: _Cursor, end: Position | None) -> None:
        """From the cursor to `end` there is nothing for the subscriber. It follows now and then: events can go."""
        if end is None or end <= cursor.position:
            return
        self._nothing_between[cursor.name] = (cursor.position, end)
        if cursor.moved_at < clock.now() - PASS_OVER_EVERY_S:
            self._write("pass over", lambda tx: self._move(tx, cursor, end))

    def _note(self, subscriber: Durable, cursor: _Cursor, row: _Row, error: Exception) -> None:
        """The event stays next. The cursor's row says so to the operator."""
        attempts = cursor.attempts + 1
        pause = min(0.5 * 2 ** min(attempts, 10), MAX_PAUSE_S)
        problem = f"{row.kind}: {type(error).__name__}: {error}"[:2000]
        text = "%s cannot handle the event %d (%s), attempt %d; again in %.0f s"
        log.error(text, subscriber.name, row.number, row.kind, attempts, pause, exc_info=error)
        values = {"now_attempts": attempts, "again_at": clock.now() + pause, "which": row.number, "why": problem}
        at = {"of": cursor.name, "from_xact": cursor.xact, "from_number": cursor.number}
        self._write("note", lambda tx: _NOTE.run(tx, **at, **values))

    def _write(self, write: str, work: Callable[[Tx], Any]) -> None:
        def hooked(tx: Tx) -> None:
            work(tx)
            self.hooks.before_commit(write)

        self.hooks.before_write(write)
        self._database.write(hooked)
        self.hooks.after_write(write)


_POSITION = tuple_(EventRow.xact, EventRow.number)
_END = Prepared(
    select(EventRow.xact, EventRow.number)
    .where(SETTLED)
    .order_by(EventRow.xact.desc(), EventRow.number.desc())
    .limit(1),
    make=Position,
)
_UNSETTLED = Prepared(select(exists().where(~SETTLED)), make=bool)
_NEXT = Prepared(
    select(EventRow.xact, EventRow.number, EventRow.kind, EventRow.content, EventRow.project_id, EventRow.request_id)
    .where(
        tuple_(bindparam("after_xact"), bindparam("after_number")) < _POSITION,
        EventRow.kind.in_(bindparam("kinds", expanding=True)),
        SETTLED,
    )
    .order_by(EventRow.xact, EventRow.number)
    .limit(bindparam("most")),
    make=_Row,
)
_COLUMNS = (EventCursor.name, EventCursor.xact, EventCursor.number, EventCursor.moved_at, EventCursor.attempts)
_CURSORS = Prepared(select(*_COLUMNS, EventCursor.retry_at), make=_Cursor)
_CURSOR = Prepared(select(*_COLUMNS, EventCursor.retry_at).where(EventCursor.name == bindparam("of")), make=_Cursor)
_STANDS = (
    EventCursor.name == bindparam("of"),
    EventCursor.xact == bindparam("from_xact"),
    EventCursor.number == bindparam("from_number"),
)
_MOVE = Prepared(
    update(table_of(EventCursor))
    .where(*_STANDS)
    .values(
        xact=bindparam("to_xact"),
        number=bindparam("to_number"),
        moved_at=bindparam("now"),
        attempts=0,
        retry_at=0.0,
        failing=None,
        problem="",
    )
)
_NOTE = Prepared(
    update(table_of(EventCursor))
    .where(*_STANDS)
    .values(
        attempts=bindparam("now_attempts"),
        retry_at=bindparam("again_at"),
        failing=bindparam("which"),
        problem=bindparam("why"),
    )
)
