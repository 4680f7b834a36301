"""Where durable subscribers stand in the outbox: moving a cursor by hand, purging what all have passed, restores.

Read next: `model.py` for what a position is.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, delete, func, literal, or_, select, tuple_, update

from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.events.model import SETTLED, EventCursor, EventRow, next_xact

log = logging.getLogger("gureum.events")

PURGE_AT_ONCE = 1000


class Position(NamedTuple):
    """Everything up to here is handled."""

    xact: int
    number: int


START = Position(0, 0)


class SubscriberState(msgspec.Struct, frozen=True):
    """A subscriber as an operator sees it.

    `waiting` counts the events that it has not passed, of all kinds; `next` is the first of them. `failing` is the
    number of the event that it could not handle, `attempts` times, for the reason `problem`.
    """

    name: str
    waiting: int
    next: int | None
    since: datetime | None
    failing: int | None
    attempts: int
    problem: str


def states(tx: Tx) -> list[SubscriberState]:
    """Every durable subscriber that this cloud has had, by name."""
    found = []
    for cursor in tx.scalars(select(EventCursor).order_by(EventCursor.name)):
        after = _after(Position(cursor.xact, cursor.number))
        waiting = tx.scalar(select(func.count()).select_from(EventRow).where(after)) or 0
        order = (EventRow.xact, EventRow.number)
        first = tx.execute(select(EventRow.number, EventRow.at).where(after).order_by(*order).limit(1)).first()
        number, at = (first.number, first.at) if first else (None, None)
        found.append(SubscriberState(cursor.name, waiting, number, at, cursor.failing, cursor.attempts, cursor.problem))
    return found


def _after(position: Position) -> ColumnElement[bool]:
    return tuple_(EventRow.xact, EventRow.number) > tuple_(literal(position.xact), literal(position.number))


def replay(tx: Tx, name: str, number: int) -> bool:
    """The subscriber's next event is the one with this number, or the first one after it that is kept.

    0 is the oldest one. A number beyond the newest event passes everything. False when there is no such subscriber.
    """
    order = (EventRow.xact, EventRow.number)
    first = tx.execute(select(*order).where(EventRow.number >= number).order_by(EventRow.number).limit(1)).first()
    last = tx.execute(select(*order).where(SETTLED).order_by(*(one.desc() for one in order)).limit(1)).first()
    if number <= 0:
        to = START
    elif first is not None:
        to = Position(first.xact, first.number - 1)
    else:
        to = Position(*last) if last is not None else START
    return bool(_put(tx, name, to))


def skip(tx: Tx, name: str) -> int | None:
    """Pass the event that the subscriber cannot handle, and no other; returns its number, or None when none fails.

    The cursor goes to the event's exact position: on PostgreSQL, events of greater numbers may come before it.
    """
    failing = select(EventCursor.failing).where(EventCursor.name == name).scalar_subquery()
    event = tx.execute(select(EventRow.xact, EventRow.number).where(EventRow.number == failing)).first()
    if event is None:
        return None
    _put(tx, name, Position(event.xact, event.number))
    return int(event.number)


def forget(tx: Tx, name: str) -> bool:
    """Drop the cursor of a subscriber that is no more, so that events are no longer kept for it."""
    return bool(tx.execute(delete(EventCursor).where(EventCursor.name == name)).rowcount)  # type: ignore[attr-defined]


def _put(tx: Tx, name: str, to: Position) -> int:
    values = {"xact": to.xact, "number": to.number, "attempts": 0, "retry_at": 0.0, "failing": None, "problem": ""}
    statement = update(EventCursor).where(EventCursor.name == name).values(**values, moved_at=clock.now())
    return tx.execute(statement).rowcount  # type: ignore[attr-defined,no-any-return]


def purge(database: Database, subscribers: Collection[str], keep: timedelta) -> int:
    """Delete events older than `keep` that every cursor has passed; returns how many.

    Nothing goes while one of `subscribers` has no cursor yet.
    """
    gone = 0
    limit = clock.utcnow() - keep
    while True:
        deleted = database.write(lambda tx: _purge_some(tx, subscribers, limit))
        gone += deleted
        if deleted < PURGE_AT_ONCE:
            return gone


def _purge_some(tx: Tx, subscribers: Collection[str], limit: datetime) -> int:
    cursors = tx.execute(select(EventCursor.name, EventCursor.xact, EventCursor.number)).all()
    if not set(subscribers) <= {cursor.name for cursor in cursors}:
        return 0
    passed = min((Position(cursor.xact, cursor.number) for cursor in cursors), default=None)
    order = (EventRow.xact, EventRow.number)
    oldest = select(*order, EventRow.at).where(SETTLED).order_by(*order).limit(PURGE_AT_ONCE)
    old = [
        row.number
        for row in tx.execute(oldest)
        if row.at < limit and (passed is None or Position(row.xact, row.number) <= passed)
    ]
    if old:
        tx.execute(delete(EventRow).where(EventRow.number.in_(old)))
    return len(old)


def mend_restored(tx: Tx) -> None:
    """After a restore into another PostgreSQL, whose transactions have smaller numbers, begin to count anew.

    Each cursor goes before the first event that it had not passed: some are handled again, none is skipped.
    """
    newest = select(EventRow.xact).order_by(EventRow.xact.desc()).limit(1).scalar_subquery()
    furthest = select(func.max(EventCursor.xact)).scalar_subquery()
    stale = or_(newest >= next_xact(), furthest >= next_xact())
    if not tx.scalar(select(stale)):
        return
    for cursor in tx.scalars(select(EventCursor)).all():
        ahead = select(func.min(EventRow.number)).where(_after(Position(cursor.xact, cursor.number)))
        last = select(func.max(EventRow.number))
        first = tx.scalar(ahead)
        cursor.number = first - 1 if first is not None else tx.scalar(last) or 0
        cursor.xact = 0
    tx.flush()
    tx.execute(update(EventRow).values(xact=0))
    log.warning("the database was restored from elsewhere: the positions of events are counted anew")
