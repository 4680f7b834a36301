"""The task engine's own promises, with a lifecycle that knows no service."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

import pytest

from gureum.foundation import log
from gureum.foundation.db.types import Row
from gureum.foundation.tasks.engine import EngineOptions, TaskEngine
from gureum.foundation.tasks.hooks import Hooks, WorkerDied
from gureum.foundation.tasks.lifecycle import Done, Goto, Lifecycle, PermanentFailureError, Sleep, Wait
from gureum.foundation.tasks.model import Task
from gureum.foundation.tasks.steps import step, steps_of, transactional
from gureum.foundation.tasks.store import Tasks


class World:
    """An outside with one flag per resource, and a record of what was done to it."""

    def __init__(self):
        self.things: set[str] = set()
        self.ready: set[str] = set()
        self.log: list[str] = []
        self.fail_with: dict[str, Exception] = {}

    def step(self, run):
        self.log.append(run.step)
        if run.step in self.fail_with:
            raise self.fail_with[run.step]


@dataclass
class Life:
    world: World

    def lifecycle(self) -> Lifecycle:
        return Lifecycle("thing", steps_of(self), failed=self.failed, attempts=3)

    @step
    def make(self, run):
        self.world.step(run)
        self.world.things.add(run.resource_id)
        return Goto(self.settle)

    @step
    def settle(self, run):
        self.world.step(run)
        if run.resource_id in self.world.ready:
            return Goto(self.rest)
        return Wait("the thing to be ready", 60, self.failed)

    @transactional
    def rest(self, run, _tx):
        self.world.step(run)
        return Wait("nothing")

    @step
    def failed(self, run):
        self.world.step(run)
        return Wait("deletion: " + run.problem.text)

    @step(ending=True)
    def remove(self, run):
        self.world.step(run)
        self.world.things.discard(run.resource_id)
        return Done()


@pytest.fixture
def world():
    return World()


@pytest.fixture
def start(database, virtual_clock, world):
    Row.metadata.create_all(database.engine)

    def new_engine():
        engine = TaskEngine(database, EngineOptions(lease_s=30))
        engine.register([Life(world).lifecycle()])
        return engine, Tasks(engine)

    return new_engine


def task_of(database):
    with database.read() as tx:
        return tx.query(Task).one_or_none()


def test_a_life_from_creation_to_deletion(start, database, world):
    engine, tasks = start()
    database.write(lambda tx: tasks.create(tx, "thing", "t1", Life.make))
    engine.run_due()
    assert task_of(database).reason == "the thing to be ready"
    world.ready.add("t1")
    database.write(lambda tx: tasks.signal(tx, "thing", ["t1"]))
    engine.run_due()
    assert task_of(database).step == "rest"
    database.write(lambda tx: tasks.signal(tx, "thing", ["t1"], divert=Life.remove))
    engine.run_due()
    assert task_of(database) is None
    assert world.things == set()


def test_a_wait_ends_at_its_deadline_with_the_reason(start, database, world, virtual_clock):
    engine, tasks = start()
    database.write(lambda tx: tasks.create(tx, "thing", "t1", Life.make))
    engine.run_due()
    virtual_clock.advance(59)
    engine.run_due()
    assert task_of(database).step == "settle"
    virtual_clock.advance(2)
    engine.run_due()
    task = task_of(database)
    assert task.step == "failed"
    assert "timed out: the thing to be ready" in task.reason


def test_spurious_signals_do_not_push_a_deadline_away(start, database, virtual_clock):
    engine, tasks = start()
    database.write(lambda tx: tasks.create(tx, "thing", "t1", Life.make))
    engine.run_due()
    for _ in range(4):
        virtual_clock.advance(16)
        database.write(lambda tx: tasks.signal(tx, "thing", ["t1"]))
        engine.run_due()
    assert task_of(database).step == "failed"


def test_failures_back_off_then_give_up_with_the_cause(start, database, world, virtual_clock):
    engine, tasks = start()
    world.fail_with["make"] = RuntimeError("the disk is full")
    database.write(lambda tx: tasks.create(tx, "thing", "t1", Life.make))
    for _ in range(5):
        engine.run_due()
        virtual_clock.advance(31)
    assert world.log.count("make") == 3
    assert "the disk is full" in task_of(database).reason


@pytest.mark.parametrize("where", ["step", "commit"])
def test_a_failure_leaves_nothing_of_what_the_step_noted(start, database, virtual_clock, where):
    engine, tasks = start()
    seen = []

    def break_down(_=None):
        raise RuntimeError("the database went away")

    @step
    def note(run):
        seen.append(dict(run.data))
        run.data["key"] = "used"
        if where == "step":
            break_down()
        return Done(commit=break_down)

    engine.register([Lifecycle("note", (note,), failed=note)])
    database.write(lambda tx: tasks.create(tx, "note", "t1", note, {"key": "sealed"}))
    for _ in range(2):
        engine.run_due()
        virtual_clock.advance(31)
    assert seen == [{"key": "sealed"}, {"key": "sealed"}]


def test_a_permanent_failure_gives_up_at_once(start, database, world):
    engine, tasks = start()
    world.fail_with["make"] = PermanentFailureError("not an image")
    database.write(lambda tx: tasks.create(tx, "thing", "t1", Life.make))
    engine.run_due()
    assert world.log == ["make", "failed"]


def test_steps_are_told_under_the_request_that_asked_for_them(start, database, world, caplog):
    caplog.set_level(logging.INFO, "gureum.tasks")
    told = Told()
    logging.getLogger("gureum.tasks").addHandler(told)
    engine, tasks = start()
    world.ready.add("t1")

    def ask(request, verb):
        log.work_for(log.Origin(request, "u", "p"))
        database.write(verb)
        log.work_for(log.NOBODY)
        engine.run_due()

    try:
        ask("req-1", lambda tx: tasks.create(tx, "thing", "t1", Life.make))
        ask("req-2", lambda tx: tasks.signal(tx, "thing", ["t1"]))
        database.write(lambda tx: tasks.signal(tx, "thing", ["t1"]))
        engine.run_due()
        ask("req-3", lambda tx: tasks.signal(tx, "thing", ["t1"], divert=Life.remove))
    finally:
        logging.getLogger("gureum.tasks").removeHandler(told)
    assert told.lines == [
        "req-1 u p thing t1: make -> settle try=1",
        "req-1 u p thing t1: settle -> rest try=1",
        "req-1 u p thing t1: rest -> rest, waits for nothing try=1",
        "req-3 u p thing t1: remove -> the end try=1",
    ]


class Told(logging.Handler):
    """The lines as they are written, without their times."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(f"{log.origin()} {record.getMessage().partition(' took=')[0]}")


def test_a_request_that_comes_while_another_is_at_work_takes_over_at_rest(start, database, world, caplog):
    engine, tasks = start()
    caplog.set_level(logging.INFO, "gureum.tasks")
    told = Told()
    logging.getLogger("gureum.tasks").addHandler(told)

    class SignalInside(Hooks):
        def before_commit(self, task, outcome):
            if task.step == "make":
                world.ready.add("t1")
                log.work_for(log.Origin("req-2", "u2", "p"))
                database.write(lambda tx: tasks.signal(tx, "thing", ["t1"]))
                log.work_for(log.Origin("req-1", "u1", "p"))

    engine.hooks = SignalInside()
    log.work_for(log.Origin("req-1", "u1", "p"))
    try:
        database.write(lambda tx: tasks.create(tx, "thing", "t1", Life.make))
        log.work_for(log.NOBODY)
        engine.run_due()
    finally:
        logging.getLogger("gureum.tasks").removeHandler(told)
    assert told.lines == [
        "req-2 u2 p thing t1: make is at work for req-1; this request's steps follow",
        "req-1 u1 p thing t1: make -> settle try=1",
        "req-1 u1 p thing t1: settle -> rest try=1",
        "req-1 u1 p thing t1: rest -> rest, waits for nothing try=1",
    ]
    assert task_of(database).origin == "req-2 u2 p"


def test_the_destroy_chain_never_gives_up(start, database, world, virtual_clock):
    engine, tasks = start()
    world.fail_with["remove"] = RuntimeError("host away")
    database.write(lambda tx: tasks.create(tx, "thing", "t1", Life.make))
    database.write(lambda tx: tasks.signal(tx, "thing", ["t1"], divert=Life.remove))
    for _ in range(20):
        engine.run_due()
        virtual_clock.advance(31)
    assert task_of(database).step == "remove"
    del world.fail_with["remove"]
    engine.run_due()
    assert task_of(database) is None


def test_a_signal_during_a_step_runs_it_again(start, database, world):
    engine, tasks = start()

    class SignalInside(Hooks):
        def before_commit(self, task, outcome):
            if isinstance(outcome, Wait) and task.step == "settle" and not world.ready:
                world.ready.add("t1")
                database.write(lambda tx: tasks.signal(tx, "thing", ["t1"]))

    engine.hooks = SignalInside()
    database.write(lambda tx: tasks.create(tx, "thing", "t1", Life.make))
    engine.run_due()
    assert task_of(database).step == "rest"


@pytest.mark.parametrize("point", ["before_step", "before_commit", "after_commit"])
@pytest.mark.parametrize("step", ["make", "settle", "rest", "remove"])
def test_a_worker_killed_at_any_point_leaves_nothing_stuck(start, database, world, virtual_clock, point, step):
    engine, tasks = start()
    world.ready.add("t1")

    def die(task, _outcome=None):
        if task.step == step:
            raise WorkerDied

    hooks = Hooks()
    setattr(hooks, point, die)
    engine.hooks = hooks

    def live(engine, tasks, verb):
        try:
            database.write(verb)
            engine.run_due()
        except WorkerDied:
            engine, tasks = start()
            virtual_clock.advance(31)
            engine.run_due()
        return engine, tasks

    engine, tasks = live(engine, tasks, lambda tx: tasks.create(tx, "thing", "t1", Life.make))
    assert task_of(database).step == "rest"
    live(engine, tasks, lambda tx: tasks.signal(tx, "thing", ["t1"], divert=Life.remove))
    assert task_of(database) is None
    assert world.things == set()


def test_a_worker_that_lost_its_lease_writes_nothing(start, database, world, virtual_clock):
    engine, tasks = start()
    other, _ = start()

    class Overtaken(Hooks):
        def before_commit(self, task, outcome):
            if task.step == "make" and not world.ready:
                world.ready.add("t1")
                virtual_clock.advance(31)
                other.run_due()

    engine.hooks = Overtaken()
    database.write(lambda tx: tasks.create(tx, "thing", "t1", Life.make))
    engine.run_due()
    assert task_of(database).step == "rest"
    assert world.log.count("rest") == 1


def test_a_signal_that_a_move_saw_is_not_looked_for_again(start, database, world):
    """One that comes while a step runs is met by the step's move; one after the last move needs a look."""
    engine, tasks = start()

    class Signalled(Hooks):
        def before_step(self, task):
            if task.step == "make":
                world.ready.add("t1")
                database.write(lambda tx: tasks.signal(tx, "thing", ["t1"]))

        def after_commit(self, task, outcome):
            if late and isinstance(outcome, Wait):
                late.pop()
                database.write(lambda tx: tasks.signal(tx, "thing", ["t1"]))

    late = []
    engine.hooks = Signalled()
    database.write(lambda tx: tasks.create(tx, "thing", "t1", Life.make))
    before = database.counters.statements
    engine.run_due()
    assert world.log == ["make", "settle", "rest"]
    assert database.counters.statements - before == 5, "a signal, three moves, and `run_due` looks for more"
    late.append("one more")
    database.write(lambda tx: tasks.signal(tx, "thing", ["t1"]))
    engine.run_due()
    assert world.log[3:] == ["rest", "rest"]
    assert not engine._held


def test_sleep_wakes_by_time(start, database, world, virtual_clock):
    engine, tasks = start()
    naps = []

    @step
    def nap(run):
        naps.append(run.now)
        return Sleep(5, "a nap") if len(naps) < 3 else Done()

    engine.register([Lifecycle("nap", (nap,), failed=nap)])
    database.write(lambda tx: tasks.create(tx, "nap", "n1", nap))
    for _ in range(3):
        engine.run_due()
        virtual_clock.advance(5)
    assert len(naps) == 3
    assert task_of(database) is None


def test_a_step_that_hangs_holds_up_no_other_task(database):
    hanging, done = threading.Event(), threading.Event()

    @step
    def go(run):
        if run.resource_id == "hangs":
            hanging.wait(20)
        else:
            done.set()
        return Done()

    engine = TaskEngine(database, EngineOptions(workers=1, poll_s=0.05))
    engine.register([Lifecycle("thing", (go,), failed=go)])
    tasks = Tasks(engine)
    Row.metadata.create_all(database.engine)
    engine.start()
    try:
        database.write(lambda tx: tasks.create(tx, "thing", "hangs", go))
        database.write(lambda tx: tasks.create(tx, "thing", "goes", go))
        assert done.wait(10)
    finally:
        hanging.set()
        engine.stop()
