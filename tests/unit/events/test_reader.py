"""Durable subscribers: every event once and in order, failures in sight, wake-ups, replay, purge."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import delete, text, update
from tests.unit.events.outbox_under_test import Gauge, Rained, Snowed, rows

from gureum.foundation.bus.in_process import InProcessBus
from gureum.foundation.events import positions
from gureum.foundation.events.model import EventCursor, EventRow
from gureum.foundation.events.outbox import Events
from gureum.foundation.tasks.model import Lease

DAY = timedelta(days=1)


def state(store, name="gauge"):
    with store.read() as tx:
        return next(one for one in positions.states(tx) if one.name == name)


def test_every_event_is_handled_once(store):
    gauge = Gauge(store)
    gauge.rain(*range(250))
    gauge.reader.run_once()
    gauge.rain(250)
    for _ in range(3):
        gauge.reader.run_once()
    assert gauge.handled() == list(range(251)), "a second handling would break the table's key"
    assert state(store).waiting == 0


@pytest.mark.postgresql
def test_an_event_whose_transaction_commits_after_that_of_a_later_number_is_handled(postgresql_server, tmp_path):
    """The smaller number appears when the greater one has been there for long: the reader waits for it."""
    from gureum.foundation.db.engine import Database
    from gureum.foundation.db.types import Row

    store = Database(postgresql_server.new_database())
    Row.metadata.create_all(store.engine)
    gauge = Gauge(store)
    gauge.rain(0)
    early_wrote, late_is_there = threading.Event(), threading.Event()

    def early(tx):
        gauge.events.emit(tx, Rained(1))
        tx.flush()
        early_wrote.set()
        assert late_is_there.wait(20)

    thread = threading.Thread(target=lambda: store.write(early))
    thread.start()
    assert early_wrote.wait(20)
    gauge.rain(2)
    gauge.reader.run_once()
    assert [row.number for row in rows(store)] == [1, 3], "of the two, only the greater number is there"
    assert gauge.handled() == [0], "nothing is read beside a transaction that may still write before it"
    late_is_there.set()
    thread.join()
    gauge.reader.run_once()
    assert gauge.handled() == [0, 1, 2]
    assert [row.number for row in rows(store)] == [1, 2, 3]
    store.close()


def test_an_event_that_fails_stays_next_and_says_why(store, virtual_clock):
    gauge = Gauge(store)
    gauge.broken = {3}
    gauge.rain(1, 2, 3, 4)
    gauge.reader.run_once()
    assert gauge.handled() == [1, 2], "those before it are done"
    stands = state(store)
    assert (stands.waiting, stands.next, stands.failing, stands.attempts) == (2, 3, 3, 1)
    assert stands.problem == "weather.rained: ValueError: the gauge is full"
    gauge.reader.run_once()
    assert state(store).attempts == 1, "it is not tried again at once"
    for attempts in (2, 3):
        virtual_clock.advance(70)
        gauge.reader.run_once()
        assert state(store).attempts == attempts
    gauge.broken = set()
    virtual_clock.advance(70)
    gauge.reader.run_once()
    stands = state(store)
    assert (gauge.handled(), stands.problem, stands.failing, stands.attempts) == ([1, 2, 3, 4], "", None, 0)


def test_an_event_that_cannot_be_read_stays_next(store):
    gauge = Gauge(store)
    gauge.rain(1)
    store.write(lambda tx: tx.execute(update(EventRow).values(content='{"drops":"many"}')))
    gauge.reader.run_once()
    assert "ValidationError" in state(store).problem


def test_one_subscriber_that_fails_holds_up_no_other(store):
    full, empty = Gauge(store), Gauge(store, "other", (Snowed,))
    full.broken, empty.handle = {1}, None
    full.rain(1)
    store.write(lambda tx: full.events.emit(tx, Snowed(1)))
    full.reader.run_once()
    empty.reader.run_once()
    assert state(store).failing == 1
    assert state(store, "other").failing is None


def test_two_readers_handle_nothing_twice(store):
    first = Gauge(store)
    second = Gauge(store)
    first.rain(*range(50))
    first.reader.run_once()
    second.rain(*range(50, 100))
    second.reader.run_once()
    assert first.handled() == list(range(50)), "the other one holds the lease"
    store.write(lambda tx: tx.execute(delete(Lease).where(Lease.name == "events:gauge")))
    second.reader.run_once()
    assert first.handled() == list(range(100))


def test_a_cursor_that_was_moved_meanwhile_is_not_moved_back(store):
    gauge = Gauge(store)
    gauge.rain(1, 2)
    handle = gauge.handle

    def moved(tx, event):
        handle(tx, event)
        tx.execute(update(EventCursor).values(number=2))

    gauge.events.durable.clear()
    from gureum.foundation.events.event import Durable

    gauge.events.subscribe([Durable("gauge", (Rained,), moved)])
    gauge.reader.run_once()
    assert gauge.handled() == [], "the whole transaction is thrown away"


def test_a_commit_wakes_the_reader_of_the_process_and_of_others(store):
    bus = InProcessBus()
    gauge = Gauge(store, bus=bus)
    elsewhere = Gauge(store, bus=bus)
    from gureum.foundation.bus.typed import Nothing
    from gureum.foundation.events import reader

    elsewhere.events.announce = lambda: reader.WRITTEN.publish(bus, Nothing())
    polls, reader.POLL_S = reader.POLL_S, 60.0
    try:
        gauge.reader.start()
        gauge.rain(1)
        eventually(lambda: gauge.handled() == [1])
        elsewhere.rain(2)
        eventually(lambda: gauge.handled() == [1, 2])
    finally:
        reader.POLL_S = polls
        gauge.reader.stop()
    with store.read() as tx:
        assert tx.get(Lease, "events:gauge").until == 0.0, "the next process need not wait"


def eventually(true):
    until = time.monotonic() + 10
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_replay_begins_again_at_a_position(store):
    gauge = Gauge(store)
    gauge.rain(1, 2, 3)
    gauge.reader.run_once()
    for number, again in ((2, [2, 3]), (0, [1, 2, 3]), (4, [])):
        store.write(lambda tx: tx.execute(delete(Lease).where(Lease.name.startswith("drops-"))))
        assert store.write(lambda tx, number=number: positions.replay(tx, "gauge", number))
        gauge.reader.run_once()
        assert gauge.handled() == again
    assert not store.write(lambda tx: positions.replay(tx, "nobody", 0))


def test_a_replay_behind_events_of_other_kinds_is_read_at_once(store, virtual_clock):
    gauge = Gauge(store)
    gauge.rain(1)
    gauge.reader.run_once()
    store.write(lambda tx: Events(["*"]).emit(tx, Snowed(1)))
    gauge.reader.run_once()
    gauge.reader.run_once()
    store.write(lambda tx: tx.execute(delete(Lease).where(Lease.name.startswith("drops-"))))
    assert store.write(lambda tx: positions.replay(tx, "gauge", 0))
    gauge.reader.run_once()
    assert gauge.handled() == [1]


def test_skipping_passes_the_event_that_fails_and_no_other(store):
    """In the order of transactions, the event that fails comes after one of a greater number and before one of a
    smaller: going on by number would lose or repeat one.
    """
    gauge = Gauge(store)
    gauge.broken = {2}
    gauge.rain(1, 2, 3)
    order = {3: -3, 2: -2, 1: -1}  # number -> transaction; all of them have ended
    for number, xact in order.items():
        store.write(
            lambda tx, n=number, x=xact: tx.execute(update(EventRow).where(EventRow.number == n).values(xact=x))
        )
    store.write(lambda tx: tx.execute(update(EventCursor).values(xact=-9)))
    gauge.reader.run_once()
    assert gauge.handled() == [3]
    assert store.write(lambda tx: positions.skip(tx, "gauge")) == 2
    gauge.reader.run_once()
    assert gauge.handled() == [1, 3]
    assert state(store).waiting == 0
    assert store.write(lambda tx: positions.skip(tx, "gauge")) is None


def test_old_events_go_once_every_cursor_has_passed_them(store, virtual_clock):
    gauge, other = Gauge(store), Gauge(store, "other", (Snowed,))
    names = ("gauge", "other")
    gauge.rain(1, 2)
    gauge.reader.run_once()
    virtual_clock.advance(2 * 86400)
    gauge.rain(3)
    assert positions.purge(store, names, DAY) == 0, "the other one has not passed them"
    other.reader.run_once()
    assert positions.purge(store, (*names, "new"), DAY) == 0, "a new one is about to begin with them"
    assert positions.purge(store, names, DAY) == 2
    assert [row.content[:10] for row in rows(store)] == ['{"drops":3'], "what is younger stays"


def test_numbers_are_not_used_again_after_a_purge(store, virtual_clock):
    gauge = Gauge(store)
    gauge.rain(1)
    gauge.reader.run_once()
    virtual_clock.advance(2 * 86400)
    positions.purge(store, ["gauge"], DAY)
    gauge.rain(2)
    gauge.reader.run_once()
    assert gauge.handled() == [1, 2]


def test_a_subscriber_that_is_no_more_is_forgotten(store, virtual_clock):
    gauge = Gauge(store)
    Gauge(store, "gone", (Snowed,))
    gauge.rain(1)
    gauge.reader.run_once()
    virtual_clock.advance(2 * 86400)
    assert positions.purge(store, ["gauge"], DAY) == 0, "its service may be enabled again"
    assert store.write(lambda tx: positions.forget(tx, "gone"))
    assert positions.purge(store, ["gauge"], DAY) == 1


@pytest.mark.postgresql
def test_a_restore_into_a_cluster_with_smaller_transaction_numbers_skips_nothing(postgresql_server):
    from gureum.foundation.db.engine import Database
    from gureum.foundation.db.types import Row

    store = Database(postgresql_server.new_database())
    Row.metadata.create_all(store.engine)
    gauge = Gauge(store)
    gauge.rain(1, 2)
    gauge.reader.run_once()
    gauge.rain(3)
    far = 10**12
    store.write(lambda tx: tx.execute(text(f"UPDATE events SET xact = xact + {far}")))
    store.write(lambda tx: tx.execute(text(f"UPDATE event_cursors SET xact = xact + {far}")))
    for _ in range(2):
        store.write(positions.mend_restored)
    gauge.rain(4)
    gauge.reader.run_once()
    assert gauge.handled() == [1, 2, 3, 4]
    store.close()
