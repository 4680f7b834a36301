"""Emitting: what is written, what is not, and who hears it in the transaction."""

from __future__ import annotations

import pytest
from tests.unit.events.outbox_under_test import Gauge, Glanced, Rained, Snowed, rows

from gureum.foundation import log
from gureum.foundation.events.event import Durable, Event, InTransaction
from gureum.foundation.events.outbox import Events, SubscriptionError


def test_an_event_that_a_durable_subscriber_reads_is_written_with_its_transaction(store):
    gauge = Gauge(store)
    with log.own_story():
        gauge.rain(3)
        request_id = log.request_id.get()
    (row,) = rows(store)
    told = (row.kind, row.content, row.project_id, row.request_id)
    assert told == ("weather.rained", '{"drops":3,"project_id":"p1"}', "p1", request_id)


def test_an_event_of_a_transaction_that_fails_is_not_written(store):
    gauge = Gauge(store)

    def fail(tx):
        gauge.events.emit(tx, Rained(1))
        raise LookupError

    with pytest.raises(LookupError):
        store.write(fail)
    assert rows(store) == []


@pytest.mark.parametrize(("record", "written"), [([], 0), (["weather.snowed"], 1), (["*"], 1), (["other"], 0)])
def test_an_event_without_subscriber_is_written_only_when_its_kind_is_recorded(store, record, written):
    events = Events(record)
    store.write(lambda tx: events.emit(tx, Snowed(1)))
    assert len(rows(store)) == written


def test_an_event_that_is_not_durable_is_never_written(store):
    events = Events(["*"])
    store.write(lambda tx: events.emit(tx, Glanced()))
    assert rows(store) == []


def test_subscribers_in_the_transaction_are_called_at_once_and_may_refuse(store):
    events, heard = Events(), []
    events.subscribe([InTransaction(Rained, lambda _tx, event: heard.append(event.drops))])
    store.write(lambda tx: events.emit(tx, Rained(5)))
    assert heard == [5]

    def refuse(_tx, _event):
        raise PermissionError

    events.subscribe([InTransaction(Rained, refuse)])
    with pytest.raises(PermissionError):
        store.write(lambda tx: events.emit(tx, Rained(6)))


def test_readers_are_woken_once_for_each_transaction_and_after_it(store):
    gauge, woken = Gauge(store), []
    gauge.events.announce = lambda: woken.append(len(rows(store)))
    gauge.rain(1, 2, 3)
    assert woken == [3]


class Drizzled(Event, frozen=True):
    KIND = "weather.rained"


class Nameless(Event, frozen=True):
    pass


@pytest.mark.parametrize(
    "wrong",
    [
        Durable("gauge", (Rained,), print),
        Durable("x" * 51, (Rained,), print),
        Durable("", (Rained,), print),
        Durable("other", (Glanced,), print),
        Durable("other", (Drizzled,), print),
        InTransaction(Drizzled, print),
        InTransaction(Nameless, print),
    ],
)
def test_a_subscription_that_cannot_work_is_refused(wrong):
    events = Events()
    events.subscribe([Durable("gauge", (Rained,), print)])
    with pytest.raises(SubscriptionError):
        events.subscribe([wrong])
