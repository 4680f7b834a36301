"""A worker takes only tasks whose kind and steps it knows: beside one of another version, nothing waits for a lease."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select, text, update

from gureum.foundation.db.types import Row
from gureum.foundation.tasks.engine import EngineOptions, TaskEngine
from gureum.foundation.tasks.hooks import Hooks
from gureum.foundation.tasks.lifecycle import Done, Goto, Lifecycle, Wait
from gureum.foundation.tasks.model import Task
from gureum.foundation.tasks.statements import known
from gureum.foundation.tasks.steps import step, steps_of
from gureum.foundation.tasks.store import Tasks

LEASE_S = 30.0


class Ends:
    """A kind of life that ends at once."""

    def __init__(self, kind):
        self.kind, self.ended = kind, []

    def lifecycle(self):
        return Lifecycle(self.kind, steps_of(self), failed=self.end)

    @step
    def end(self, run):
        self.ended.append(run.resource_id)
        return Done()


class Old:
    """A life as the version before knew it."""

    def lifecycle(self):
        return Lifecycle("thing", steps_of(self), failed=self.remove)

    @step
    def build(self, _run):
        return Goto(self.wiring)

    @step
    def wiring(self, _run):
        return Wait("its ports")

    @step(ending=True)
    def remove(self, _run):
        return Done()


class New:
    """The same life now: `wiring` is called `wire`, and `boot` is new."""

    def __init__(self):
        self.seen = []

    def lifecycle(self):
        return Lifecycle("thing", steps_of(self), failed=self.remove, renamed={"wiring": self.wire})

    @step
    def build(self, _run):
        return Goto(self.boot)

    @step
    def boot(self, run):
        self.seen.append(run.step)
        return Wait("its host", 60, self.remove)

    @step
    def wire(self, run):
        self.seen.append(run.step)
        return Wait("its ports")

    @step(ending=True)
    def remove(self, _run):
        return Done()


@pytest.fixture
def worker(database, virtual_clock):
    Row.metadata.create_all(database.engine)

    def made(*lives):
        engine = TaskEngine(database, EngineOptions(lease_s=LEASE_S))
        engine.register(life.lifecycle() for life in lives)
        return engine, Tasks(engine)

    return made


def only_task(database):
    with database.read() as tx:
        return tx.scalars(select(Task)).one_or_none()


def leased(database):
    with database.read() as tx:
        return set(tx.scalars(select(Task.lease_owner).where(Task.lease_until > 0)))


def test_tasks_of_an_unknown_kind_are_left_to_a_worker_that_knows_it(database, worker):
    a, b = Ends("a"), Ends("b")
    first, tasks = worker(a)
    second, _ = worker(a, b)

    def create(tx):
        for number in range(20):
            tasks.create(tx, "b", f"b{number}", Ends.end)
        tasks.create(tx, "a", "a0", Ends.end)

    database.write(create)
    assert first.run_due() == 1
    assert leased(database) == set(), "the first worker holds what it cannot run"
    assert second.run_due() == 20
    assert only_task(database) is None
    assert a.ended == ["a0"]
    assert sorted(b.ended) == sorted(f"b{number}" for number in range(20))


def test_a_signal_in_a_process_that_does_not_know_the_kind_leases_nothing(database, worker):
    b = Ends("b")
    _, tasks = worker(Ends("a"))
    second, _ = worker(b)
    database.write(lambda tx: tasks.create(tx, "b", "b0", Ends.end))
    database.write(lambda tx: tasks.signal(tx, "b", ["b0"]))
    assert leased(database) == set()
    second.run_due()
    assert b.ended == ["b0"]


def test_a_worker_without_lifecycles_claims_nothing(database, worker):
    idle, tasks = worker()
    database.write(lambda tx: tasks.create(tx, "b", "b0", Ends.end))
    assert idle.run_due() == 0
    assert leased(database) == set()


def test_a_wake_up_that_reaches_the_wrong_worker_costs_no_lease(database):
    """On threads and in real time: the lease is far longer than the test."""
    Row.metadata.create_all(database.engine)
    a, b, done = Ends("a"), Ends("b"), threading.Event()

    class Told(Hooks):
        def after_commit(self, task, outcome):
            if task.kind == "b":
                done.set()

    engines = []
    for lives in ((a,), (a, b)):
        engine = TaskEngine(database, EngineOptions(workers=1, lease_s=600, poll_s=0.1))
        engine.register(life.lifecycle() for life in lives)
        engine.hooks = Told()
        engine.start()
        engines.append(engine)
    woken = []
    requests = Tasks()
    requests.run_elsewhere(lambda task_id: (woken.append(task_id), engines[0].wake([task_id])))
    try:
        database.write(lambda tx: requests.create(tx, "b", "b0", Ends.end))
        assert woken
        assert done.wait(20), "the task waits for the lease of a worker that does not know its kind"
    finally:
        for engine in engines:
            engine.stop()


def test_a_task_at_a_renamed_step_goes_on_at_the_new_one(database, worker):
    old, tasks = worker(Old())
    database.write(lambda tx: tasks.create(tx, "thing", "t", Old.build))
    old.run_due()
    assert only_task(database).step == "wiring"
    life = New()
    new, tasks = worker(life)
    database.write(lambda tx: tasks.signal(tx, "thing", ["t"]))
    new.run_due()
    assert life.seen == ["wire"]
    assert only_task(database).step == "wire"


def test_workers_of_two_versions_leave_each_other_the_steps_that_one_does_not_know(database, worker, virtual_clock):
    old, old_tasks = worker(Old())
    life = New()
    new, new_tasks = worker(life)
    database.write(lambda tx: new_tasks.create(tx, "thing", "t", New.build))
    new.run_due()
    assert only_task(database).step == "boot"
    virtual_clock.advance(61)
    database.write(lambda tx: old_tasks.signal(tx, "thing", ["t"]))
    assert old.run_due() == 0, "the old worker took a task at a step that it does not know"
    assert only_task(database).attempts == 0
    assert new.run_due() == 1
    assert only_task(database) is None


def test_a_deletion_asked_of_the_old_version_is_done_by_the_new_one(database, worker):
    old, old_tasks = worker(Old())
    new, new_tasks = worker(New())
    database.write(lambda tx: new_tasks.create(tx, "thing", "t", New.build))
    new.run_due()
    database.write(lambda tx: old_tasks.signal(tx, "thing", ["t"], divert=Old.remove))
    assert old.run_due() == 0
    assert new.run_due() == 1
    assert only_task(database) is None


def test_a_task_that_is_diverted_to_an_unknown_step_while_it_is_held_is_given_back(database, worker):
    """Another version's request names a step of its own while this worker runs the task."""
    old, tasks = worker(Old())

    class Diverted(Hooks):
        def before_commit(self, task, outcome):
            if task.step == "build":
                values = {"divert": "unplug", "signals": Task.signals + 1}
                database.write(lambda tx: tx.execute(update(Task).values(values)))

    old.hooks = Diverted()
    database.write(lambda tx: tasks.create(tx, "thing", "t", Old.build))
    old.run_due()
    old.run_due()
    task = only_task(database)
    assert (task.step, task.divert, task.attempts) == ("wiring", "unplug", 0)
    assert leased(database) == set()


def test_sqlite_finds_due_tasks_by_their_time_and_reads_no_others(database, worker):
    worker()
    lives = [life.lifecycle() for life in (Ends("a"), Ends("b"), Old())]
    due = select(Task.id).where(Task.wake_at <= 1.0, Task.lease_until < 1.0, known(lives)).order_by(Task.wake_at)
    with database.read() as tx:
        sql = due.compile(tx.connection(), compile_kwargs={"literal_binds": True})
        plan = [row.detail for row in tx.execute(text(f"EXPLAIN QUERY PLAN {sql}"))]
    assert plan == ["SEARCH tasks USING INDEX ix_tasks_wake_at (wake_at<?)"], "an idle cloud reads all its tasks"
