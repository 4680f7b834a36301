"""Steps that move data have threads of their own: no other task waits for them, and no project takes them all."""

from __future__ import annotations

import threading
import time

import pytest

from gureum.foundation import log
from gureum.foundation.db.types import Row
from gureum.foundation.tasks.engine import EngineOptions, TaskEngine
from gureum.foundation.tasks.lifecycle import Done, Goto, Lifecycle
from gureum.foundation.tasks.model import Task
from gureum.foundation.tasks.steps import step, steps_of
from gureum.foundation.tasks.store import Tasks

PATIENCE_S = 10


class Moves:
    """Transfers that stand still until `go_on`; `running` are those under way, by resource."""

    def __init__(self):
        self.lock, self.go_on = threading.Lock(), threading.Event()
        self.running, self.most, self.ended = set(), 0, []

    @step
    def begin(self, _run):
        return Goto(self.move)

    @step(transfer=True)
    def move(self, run):
        with self.lock:
            self.running.add(run.resource_id)
            self.most = max(self.most, len(self.running))
        self.go_on.wait(PATIENCE_S)
        with self.lock:
            self.running.discard(run.resource_id)
        return Goto(self.finish)

    @step
    def finish(self, run):
        return self.end(run)

    @step(ending=True)
    def cancel(self, run):
        return self.end(run)

    @step
    def go(self, run):
        return self.end(run)

    def end(self, run):
        self.ended.append((run.step, run.resource_id))
        return Done()

    def lifecycles(self):
        yield Lifecycle("import", steps_of(self), failed=self.cancel)
        yield Lifecycle("boot", (self.go,), failed=self.go)


@pytest.fixture
def moves():
    return Moves()


@pytest.fixture
def start(database, moves):
    Row.metadata.create_all(database.engine)
    engines = []

    def started(**options):
        engine = TaskEngine(database, EngineOptions(workers=1, poll_s=0.05, **options))
        tasks = Tasks(engine)
        engine.register(moves.lifecycles())
        engine.start()
        engines.append(engine)
        return engine, tasks

    yield started
    moves.go_on.set()
    for engine in engines:
        engine.stop()


def until(true, what):
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.01)


def begin(database, tasks, count, project="p1", step=Moves.begin):
    names = [f"{project}-{number}" for number in range(count)]

    def create(tx):
        for name in names:
            tasks.create(tx, "import", name, step, project_id=project)

    database.write(create)
    return names


def test_no_other_task_waits_for_transfers_that_stand_still(database, moves, start):
    _, tasks = start(transfers=3, transfers_of_project=100)
    begin(database, tasks, 20)
    until(lambda: len(moves.running) == 3, "three transfers are under way")
    began = time.monotonic()
    database.write(lambda tx: tasks.create(tx, "boot", "server", Moves.go, project_id="p1"))
    until(lambda: ("go", "server") in moves.ended, "the server boots")
    assert time.monotonic() - began < 2
    assert moves.most == 3
    moves.go_on.set()
    until(lambda: len(moves.ended) == 21, "every transfer ends")


def test_one_project_leaves_transfers_to_the_others(database, moves, start):
    _, tasks = start(transfers=4, transfers_of_project=2)
    begin(database, tasks, 10, "p1")
    until(lambda: len(moves.running) == 2, "two transfers of the first project are under way")
    begin(database, tasks, 1, "p2")
    until(lambda: "p2-0" in moves.running, "the other project's transfer is under way")
    assert len([name for name in moves.running if name.startswith("p1")]) == 2
    moves.go_on.set()
    until(lambda: len(moves.ended) == 11, "every transfer ends")
    until(lambda: not tasks_left(database), "no task is left")


def test_diverted_task_does_not_wait_for_its_transfer(database, moves, start):
    engine, tasks = start(transfers=1)
    names = begin(database, tasks, 3)
    until(lambda: moves.running and len(engine._transfers._waiting.get("p1", {})) == 2, "one is under way, two wait")
    [waiting, *_] = [name for name in names if name not in moves.running]
    database.write(lambda tx: tasks.signal(tx, "import", [waiting], divert=Moves.cancel))
    until(lambda: moves.ended == [("cancel", waiting)], "the diverted task ends")
    assert len(moves.running) == 1


def test_task_that_another_process_diverts_does_not_wait_for_its_transfer(database, moves, start):
    engine, tasks = start(transfers=1)
    names = begin(database, tasks, 2)
    until(lambda: moves.running and engine._transfers._waiting, "one is under way, one waits")
    [waiting] = [name for name in names if name not in moves.running]
    elsewhere = Tasks()
    elsewhere.run_elsewhere(lambda task_id: engine.wake([task_id]))
    database.write(lambda tx: elsewhere.signal(tx, "import", [waiting], divert=Moves.cancel))
    until(lambda: moves.ended == [("cancel", waiting)], "the diverted task ends")


def test_transfers_of_requests_count_for_the_project_that_asked(database, moves, start):
    _, tasks = start(transfers=4, transfers_of_project=1)
    before = log.origin()
    for number, project in enumerate(("p1", "p1", "p2")):
        log.work_for(log.Origin(f"req-{number}", "user", project))
        database.write(lambda tx, number=number: tasks.create(tx, "import", f"r{number}", Moves.move))
    log.work_for(before)
    until(lambda: len(moves.running) == 2, "one transfer for each project is under way")
    assert "r2" in moves.running
    time.sleep(0.1)
    assert moves.most == 2


def test_run_due_makes_transfers_on_the_callers_thread(database, moves):
    Row.metadata.create_all(database.engine)
    engine = TaskEngine(database, EngineOptions(transfers_of_project=1))
    tasks = Tasks(engine)
    engine.register(moves.lifecycles())
    moves.go_on.set()
    begin(database, tasks, 3)
    assert engine.run_due() == 3
    assert [step for step, _ in moves.ended] == ["finish"] * 3
    assert not engine._held


def tasks_left(database):
    with database.read() as tx:
        return tx.query(Task).count()
