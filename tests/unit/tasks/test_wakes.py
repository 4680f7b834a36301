"""A process without workers wakes one of those with workers, over the bus."""

from __future__ import annotations

import queue
import threading

import pytest

from gureum.foundation.bus.in_process import InProcessBus
from gureum.foundation.bus.interface import Refused
from gureum.foundation.db.types import Row
from gureum.foundation.tasks.engine import EngineOptions, TaskEngine
from gureum.foundation.tasks.lifecycle import Done, Lifecycle
from gureum.foundation.tasks.steps import step
from gureum.foundation.tasks.store import Tasks
from gureum.foundation.tasks.wakes import NAME, Wakes, serve_wakes


class Heard:
    """Stands where an engine does."""

    def __init__(self, woken: queue.SimpleQueue | None = None) -> None:
        self.ids: list[str] = []
        self.woken = woken or queue.SimpleQueue()

    def wake(self, ids) -> None:
        self.ids.extend(ids)
        self.woken.put(ids)


@pytest.fixture
def bus():
    bus = InProcessBus()
    yield bus
    bus.close()


def test_a_task_made_where_no_worker_is_runs_at_once(bus, database):
    Row.metadata.create_all(database.engine)
    done = threading.Event()

    @step
    def make(_run):
        done.set()
        return Done()

    worker = TaskEngine(database, EngineOptions(workers=1, poll_s=60.0))
    worker.register([Lifecycle("thing", (make,), failed=make)])
    worker.start()
    stop = serve_wakes(bus, worker)
    tasks = Tasks(TaskEngine(database))  # as in every process, but here nothing starts it
    wakes = Wakes(bus)
    tasks.run_elsewhere(wakes.tell)
    database.write(lambda tx: tasks.create(tx, "thing", "t1", make))
    assert done.wait(5), "the worker looks by itself once in 60 s only: it must be woken"
    for end in (wakes.stop, stop, worker.stop):
        end()


def test_each_task_wakes_one_worker_and_all_are_asked_in_turn(bus):
    woken = queue.SimpleQueue()
    workers = [Heard(woken), Heard(woken)]
    for worker in workers:
        serve_wakes(bus, worker)
    wakes = Wakes(bus)
    for number in range(4):
        wakes.tell(f"t{number}")
        assert woken.get(timeout=5) == (f"t{number}",)
    wakes.stop()
    assert sorted(workers[0].ids + workers[1].ids) == ["t0", "t1", "t2", "t3"]
    assert len(workers[0].ids) == 2


def test_what_waits_during_a_call_goes_into_the_next(bus):
    calls, hold = [], threading.Event()

    def slow(_method, payload):
        calls.append(payload)
        hold.wait(5)
        return b"\xc0"

    bus.serve(NAME, slow)
    wakes = Wakes(bus)
    for number in range(50):
        wakes.tell(f"t{number}")
    hold.set()
    wakes.stop()
    assert len(calls) < 10
    assert all(b"t%d" % number in b"".join(calls) for number in range(50))


def test_a_worker_that_fails_is_made_good_by_the_next_and_none_at_all_is_no_error(bus, caplog):
    wakes = Wakes(bus)
    wakes.tell("nobody")

    def broken(_method, _payload):
        raise Refused("broken")

    worker = Heard()
    bus.serve(NAME, broken)
    serve_wakes(bus, worker)
    wakes.tell("t1")
    assert worker.woken.get(timeout=5)
    wakes.stop()
    assert worker.ids[-1] == "t1"
