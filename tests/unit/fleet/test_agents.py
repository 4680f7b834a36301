"""Agents of any kind: who is alive, one answer to silence, and reports that reach those who subscribed."""

from __future__ import annotations

import threading
import time
from typing import Protocol

import msgspec
import pytest

from gureum.foundation.bus.in_process import InProcessBus
from gureum.foundation.db.types import Row
from gureum.foundation.fleet.agents import Agents
from gureum.foundation.fleet.calls import remote
from gureum.foundation.fleet.directory import AgentRow
from gureum.foundation.fleet.failure import AgentFailure
from gureum.foundation.fleet.fleet import Fleet, Reports
from gureum.foundation.fleet.kind import AgentKind, AgentsOverBus, Report
from gureum.foundation.fleet.silence import Cause, Silence
from gureum.foundation.metrics import Metrics
from gureum.foundation.tasks.lifecycle import Goto, Run, Sleep
from gureum.foundation.tasks.steps import Step


class ShelfAgent(Protocol):
    def count(self, book_id: str) -> int: ...

    @remote(since=2)
    def lend(self, book_id: str) -> None: ...


class ShelfReport(Report, frozen=True, omit_defaults=True):
    books: int
    address_text: str = ""

    @property
    def address(self):
        return self.address_text


SHELF = AgentKind("shelf", ShelfAgent, ShelfReport)
FAILED = Step("failed", lambda _run: None)


class Shelf:
    def count(self, book_id):
        if book_id == "wet":
            raise AgentFailure("the cellar is flooded", public="The book is wet.", retry=False)
        return 3


class NewShelf(Shelf):
    def lend(self, book_id):
        pass


@pytest.fixture
def bus():
    return InProcessBus()


@pytest.fixture
def database(database):
    Row.metadata.create_all(database.engine, tables=[AgentRow.__table__])
    return database


@pytest.fixture
def agents(bus, virtual_clock):
    return Agents(SHELF, AgentsOverBus(SHELF, bus), 8.0, metrics=Metrics())


def run(now=0.0):
    return Run("r", "fetch", {}, 0, now)


def until(true, within_s=5.0):
    """The bus hands reports out on a thread of its own."""
    end = time.monotonic() + within_s
    while not true() and time.monotonic() < end:
        time.sleep(0.005)


def test_an_answer_comes_back_and_so_does_a_failure(agents, bus):
    stop = SHELF.serve(bus, "h1", NewShelf(), threads=1)
    assert agents.ask("h1", lambda shelf: shelf.count("dry")) == 3
    with pytest.raises(AgentFailure, match="the cellar is flooded") as failure:
        agents.ask("h1", lambda shelf: shelf.count("wet"))
    assert (failure.value.public, failure.value.retry) == ("The book is wet.", False)
    stop()


def test_a_host_is_silent_after_its_heartbeats_stopped(agents, virtual_clock):
    assert agents.answers("h1"), "a process that is too young to know asks"
    virtual_clock.advance(9)
    assert agents.ask("h1", lambda shelf: shelf.count("dry")) == Silence("h1", Cause.DOWN)
    agents.arrived(ShelfReport("h1", 1, 5), keep=False)
    assert agents.answers("h1")
    virtual_clock.advance(9)
    assert agents.silence("h1").awaited == "host h1, which is down, to return"


def test_nobody_on_the_bus_is_silence(agents):
    silence = agents.ask("h1", lambda shelf: shelf.count("dry"))
    assert silence.cause is Cause.UNANSWERED
    assert silence.awaited.startswith("host h1 to answer (")


class OldShelfAgent(Protocol):
    def count(self, book_id: str) -> int: ...


def test_an_agent_that_is_too_old_for_a_call_is_silence(agents, bus):
    stop = AgentKind("shelf", OldShelfAgent, ShelfReport).serve(bus, "h1", Shelf(), threads=1)
    silence = agents.ask("h1", lambda shelf: shelf.lend("dry"))
    assert silence.cause is Cause.TOO_OLD
    assert "does not know the call lend, which came with version 2 of the protocol: upgrade it" in silence.awaited
    assert agents.ask("h1", lambda shelf: shelf.count("dry")) == 3
    stop()


def test_a_step_waits_for_a_silent_host_until_the_deadline():
    silence, begun = Silence("h1", Cause.DOWN), run(100.0)
    assert silence.wait(begun, 60.0, FAILED) == Sleep(1.0, silence.awaited)
    begun.now = 159.0
    assert isinstance(silence.wait(begun, 60.0, FAILED), Sleep)
    begun.now = 160.0
    assert silence.wait(begun, 60.0, FAILED, public="Nobody is there.") == Goto(FAILED)
    assert begun.problem.text == f"timed out: {silence.awaited}"
    assert begun.problem.public == "Nobody is there."


def test_an_answer_ends_a_silence_and_so_does_another_host(agents, bus):
    begun = run(100.0)
    Silence("h1", Cause.DOWN).wait(begun, 60.0, FAILED)
    stop = SHELF.serve(bus, "h1", NewShelf(), threads=1)
    agents.ask("h1", lambda shelf: shelf.count("dry"), begun)
    begun.now = 1000.0
    assert isinstance(Silence("h1", Cause.DOWN).wait(begun, 60.0, FAILED), Sleep), "a new silence"
    begun.now = 2000.0
    assert isinstance(Silence("h2", Cause.DOWN).wait(begun, 60.0, FAILED), Sleep), "of another host"
    stop()


def test_a_silence_that_was_noted_long_ago_is_over():
    """An answer that was a failure ended it, or another process got it, and neither could note that."""
    silence, begun = Silence("h1", Cause.UNANSWERED), run(100.0)
    silence.wait(begun, 300.0, FAILED)
    begun.now = 1000.0
    assert isinstance(silence.wait(begun, 300.0, FAILED), Sleep)


def test_a_wait_without_a_deadline_uses_up_no_later_deadline():
    silence, begun = Silence("h1", Cause.DOWN), run(100.0)
    for begun.now in range(100, 700):
        silence.wait(begun)
    assert isinstance(silence.wait(begun, 300.0, FAILED), Sleep)


def test_a_wait_without_a_deadline_never_ends():
    begun = run(100.0)
    for begun.now in (100.0, 1e9):
        assert isinstance(Silence("h1", Cause.DOWN).wait(begun), Sleep)
    with pytest.raises(ValueError, match="belong together"):
        Silence("h1", Cause.DOWN).wait(begun, 60.0)


def test_reports_reach_those_who_subscribed(database, bus, virtual_clock):
    fleet, arrived, recorded, compared = Fleet(database, bus, Metrics()), [], [], []
    fleet.subscribe([Reports(SHELF, arrived.append, lambda _tx, beats: recorded.append(beats), compared.append)])
    stop = fleet.listen(keep=True)
    for books in (5, 6):
        SHELF.heartbeat.publish(bus, ShelfReport("h1", 2, books, started_at=7.0))
    SHELF.heartbeat.publish(bus, ShelfReport("h2", 1, 1))
    until(lambda: len(arrived) == 3)
    fleet.take_in()
    assert [beat.report.books for beat in arrived] == [5, 6, 1]
    assert recorded == compared
    (beats,) = recorded
    assert [(beat.host, beat.kind, beat.version, beat.started_at, beat.report.books) for beat in beats] == [
        ("h1", "shelf", 2, 7.0, 6),
        ("h2", "shelf", 1, 0.0, 1),
    ]
    fleet.take_in()
    assert len(recorded) == 1, "what was taken in is not taken in again"
    stop()


def test_a_process_without_workers_only_notes_who_lives(database, bus, virtual_clock):
    fleet, arrived, recorded = Fleet(database, bus, Metrics()), [], []
    fleet.subscribe([Reports(SHELF, arrived.append, lambda _tx, beats: recorded.append(beats))])
    stop = fleet.listen(keep=False)
    virtual_clock.advance(60)
    SHELF.heartbeat.publish(bus, ShelfReport("h1", 1, 5))
    until(lambda: arrived)
    fleet.take_in()
    assert (len(arrived), recorded) == (1, [])
    assert fleet.agents(SHELF).answers("h1")
    assert not fleet.agents(SHELF).answers("h2")
    stop()


def test_a_subscriber_may_come_before_the_service_that_says_where_the_agents_are(database, bus):
    fleet, elsewhere = Fleet(database, bus, Metrics()), AgentsOverBus(SHELF, InProcessBus())
    fleet.subscribe([Reports(SHELF)])
    agents = fleet.agents(SHELF)
    assert fleet.agents(SHELF, elsewhere, 30.0) is agents is fleet.agents(SHELF)
    assert (agents.source, agents.timeout_s) == (elsewhere, 30.0)


def test_a_subscriber_that_fails_holds_up_no_other_kind(database, bus, virtual_clock, caplog):
    other, recorded = AgentKind("drawer", ShelfAgent, ShelfReport), []
    fleet = Fleet(database, bus, Metrics())

    def fail(_tx, _beats):
        raise ValueError("no room")

    fleet.subscribe([Reports(SHELF, record=fail), Reports(other, record=lambda _tx, beats: recorded.extend(beats))])
    for kind in (SHELF, other):
        fleet.hear(kind, ShelfReport("h1", 1, 5))
    fleet.take_in()
    assert [beat.kind for beat in recorded] == ["drawer"]
    assert "the heartbeats of shelf agents could not be taken in" in caplog.text


def test_a_report_of_an_older_agent_is_understood():
    """It says neither when it began nor what was added since; a newer one says more than is known."""
    packed = msgspec.msgpack.encode({"host": "h1", "version": 1, "books": 5})
    assert msgspec.msgpack.decode(packed, type=ShelfReport) == ShelfReport("h1", 1, 5)
    newer = msgspec.msgpack.encode({"host": "h1", "version": 9, "books": 5, "started_at": 3.0, "pages": 7})
    assert msgspec.msgpack.decode(newer, type=ShelfReport) == ShelfReport("h1", 9, 5, started_at=3.0)


def test_a_host_that_hangs_in_a_comparison_keeps_no_heartbeat_from_being_written(database, bus):
    fleet, hangs, recorded = Fleet(database, bus, Metrics()), threading.Event(), []
    fleet.subscribe(
        [Reports(SHELF, record=lambda _tx, beats: recorded.extend(beats), compare=lambda _: hangs.wait(10))]
    )
    fleet.hear(SHELF, ShelfReport("h1", 1, 5))
    fleet.record()
    comparing = threading.Thread(target=fleet.compare)
    comparing.start()
    fleet.hear(SHELF, ShelfReport("h2", 1, 5))
    fleet.record()
    assert [beat.host for beat in recorded] == ["h1", "h2"]
    hangs.set()
    comparing.join()
