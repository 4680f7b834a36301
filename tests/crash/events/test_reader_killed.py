"""A reader of events that is killed around each of its writes: the next one loses nothing, and repeats only what the
cursor had not recorded.

The points are not listed here: an undisturbed run records them, so that a write added later is covered.
"""

from __future__ import annotations

import pytest
from sqlalchemy import select
from tests.unit.events.outbox_under_test import Gauge, Snowed

from gureum.foundation.db.types import Row
from gureum.foundation.events.event import Durable
from gureum.foundation.events.model import EventCursor, EventRow
from gureum.foundation.events.reader import BATCH, Hooks
from gureum.foundation.tasks.engine import WorkerDied
from gureum.foundation.tasks.model import Lease

MODES = ("before_write", "before_commit", "after_write")
DROPS = BATCH + 5
BROKEN = BATCH + 2


class Killing(Hooks):
    """Counts the points of its mode and kills at one of them; without a number it only records."""

    def __init__(self, mode, at=-1):
        self.mode, self.at, self.seen = mode, at, []

    def _pass(self, mode, write):
        if mode == self.mode:
            self.seen.append(write)
            if len(self.seen) - 1 == self.at:
                raise WorkerDied

    def before_write(self, write):
        self._pass("before_write", write)

    def before_commit(self, write):
        self._pass("before_commit", write)

    def after_write(self, write):
        self._pass("after_write", write)


class Weather(Gauge):
    """Notes also outside of the database which events reached the handler."""

    def __init__(self, store, reached):
        self.reached = reached
        super().__init__(store)
        self.broken = {BROKEN}

    def handle(self, tx, event):
        self.reached.append(event.drops)
        super().handle(tx, event)


def live(store, hooks, virtual_clock):
    """Write events, read them with a reader that may be killed, and with others until all is read."""
    reached = []
    store.write(lambda tx: tx.query(EventCursor).delete())  # the reader gives its subscriber a cursor
    weather = Weather(store, reached)
    store.write(lambda tx: tx.query(EventCursor).delete())
    weather.rain(*range(DROPS))
    store.write(lambda tx: emit_other(weather, tx))
    weather.reader.hooks = hooks
    repeated = 0
    for round_number in range(8):
        try:
            weather.reader.run_once()
        except WorkerDied:
            handled, before = set(weather.handled()), len(reached)
            store.write(lambda tx: tx.query(Lease).filter(Lease.name.startswith("events:")).delete())
            broken, weather = weather.broken, Weather(store, reached)
            weather.broken = broken
            weather.reader.run_once()
            repeated = len(set(reached[before:]) & handled)
        if round_number == 3:
            weather.broken = set()
        virtual_clock.advance(70)
    return weather, repeated


def emit_other(weather, tx):
    """Of a kind that the subscriber does not read."""
    weather.events.subscribe([Durable("nobody", (Snowed,), lambda _tx, _event: None)])
    weather.events.emit(tx, Snowed(1))
    weather.events.durable.pop("nobody")


@pytest.fixture
def store(database):
    Row.metadata.create_all(database.engine)
    return database


@pytest.mark.parametrize("mode", MODES)
def test_a_reader_killed_around_any_write(subtests, store, virtual_clock, mode):
    recorded = Killing(mode)
    live(store, recorded, virtual_clock)
    assert {"handle", "note", "pass over", "begin"} <= set(recorded.seen)
    for at, write in enumerate(recorded.seen):
        with subtests.test(f"{mode} of {write}, number {at}"):
            empty(store)
            hooks = Killing(mode, at)
            weather, repeated = live(store, hooks, virtual_clock)
            assert len(hooks.seen) == at + 1, "the reader was never killed: it took another course"
            assert weather.handled() == list(range(DROPS)), "each once: a second one breaks the table's key"
            assert repeated == 0, "what the cursor recorded is not handled again"
            with store.read() as tx:
                cursor = tx.get_one(EventCursor, "gauge")
                newest = tx.scalar(select(EventRow.number).order_by(EventRow.number.desc()).limit(1))
                assert (cursor.number, cursor.problem) == (newest, "")


def empty(store):
    def work(tx):
        for table in (EventRow, EventCursor, Lease):
            tx.query(table).delete()

    store.write(work)
