"""The directory of hosts follows heartbeats, of any kind and from any number of processes."""

from __future__ import annotations

from typing import Protocol

import pytest

from gureum.cli.hosts import span
from gureum.foundation import clock
from gureum.foundation.bus.in_process import InProcessBus
from gureum.foundation.db.types import Row
from gureum.foundation.fleet.directory import KEEP, AgentRow, Entry, directory, forgetting
from gureum.foundation.fleet.fleet import Fleet, Reports
from gureum.foundation.fleet.kind import AgentKind, Report
from gureum.foundation.metrics import Metrics


class NoCalls(Protocol):
    pass


class Said(Report, frozen=True):
    place: str = ""

    @property
    def address(self):
        return self.place


SHELF, DRAWER = AgentKind("shelf", NoCalls, Said), AgentKind("drawer", NoCalls, Said)


@pytest.fixture
def database(database):
    Row.metadata.create_all(database.engine, tables=[AgentRow.__table__])
    return database


@pytest.fixture
def fleet(database):
    return process(database)


def process(database):
    return Fleet(database, InProcessBus(), Metrics())


def beat(fleet, *reports, kind=SHELF):
    for report in reports:
        fleet.hear(kind, report)
    fleet.take_in()


def entries(database):
    with database.read() as tx:
        return directory(tx)


def test_a_host_has_an_entry_for_each_kind_of_agent_on_it(fleet, database, virtual_clock):
    now = clock.now()
    beat(fleet, Said("h2", 1), Said("h1", 2, "10.0.0.1", started_at=5.0))
    beat(fleet, Said("h1", 7), kind=DRAWER)
    assert entries(database) == [
        Entry("h1", "drawer", 7, "", 0.0, now),
        Entry("h1", "shelf", 2, "10.0.0.1", 5.0, now),
        Entry("h2", "shelf", 1, "", 0.0, now),
    ]


def test_an_agent_that_was_upgraded_shows_its_new_version(fleet, database, virtual_clock):
    beat(fleet, Said("h1", 1, started_at=5.0))
    virtual_clock.advance(30)
    beat(fleet, Said("h1", 2, started_at=20.0))
    assert entries(database) == [Entry("h1", "shelf", 2, "", 20.0, clock.now())]


def test_hosts_that_were_heard_in_the_same_second_share_a_moment(fleet, database, virtual_clock):
    begun = clock.now()
    for host, pause in (("h1", 2.0), ("h2", 0.25), ("h3", 0.0)):
        fleet.hear(SHELF, Said(host, 1))
        virtual_clock.advance(pause)
    fleet.take_in()
    assert [entry.seen_at - begun for entry in entries(database)] == [0.0, 2.25, 2.25]


def test_one_of_many_processes_writes_a_heartbeat(fleet, database, virtual_clock):
    other = process(database)
    for each in (fleet, other):
        beat(each, Said("h1", 1))
    seen = clock.now()
    virtual_clock.advance(0.25)
    beat(other, Said("h1", 1))
    assert entries(database) == [Entry("h1", "shelf", 1, "", 0.0, seen)]


def test_a_subscriber_that_fails_leaves_nothing_of_its_heartbeats(fleet, database, virtual_clock):
    fails = [True]

    def record(_tx, _beats):
        if fails.pop():
            raise ValueError("not now")

    fleet.subscribe([Reports(SHELF, record=record)])
    beat(fleet, Said("h1", 1))
    assert entries(database) == []
    fails.append(False)
    beat(fleet, Said("h1", 1))
    assert len(entries(database)) == 1, "the next heartbeat tells it again"


def test_a_silent_agent_is_forgotten_and_comes_back(fleet, database, virtual_clock):
    beat(fleet, Said("h1", 1), Said("h2", 1))
    virtual_clock.advance(KEEP.total_seconds() + 1)
    beat(fleet, Said("h2", 1))
    forgetting(database).work()
    assert [entry.host for entry in entries(database)] == ["h2"]
    beat(fleet, Said("h1", 1))
    assert [entry.host for entry in entries(database)] == ["h1", "h2"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (59.9, "59 s"), (60, "1 min"), (7200, "2 h"), (200000, "2 d")]
)
def test_times_are_told_in_their_largest_unit(seconds, text):
    assert span(seconds) == text
