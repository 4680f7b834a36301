"""What outcomes mean: rules over `advance`, `begin` and `after_failure`, and that the row and the copy agree."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from gureum.foundation import clock
from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row
from gureum.foundation.tasks.engine import TaskEngine
from gureum.foundation.tasks.hooks import Hooks
from gureum.foundation.tasks.lifecycle import Done, Goto, Lifecycle, PermanentFailureError, Sleep, Wait
from gureum.foundation.tasks.model import Claimed, Task
from gureum.foundation.tasks.moves import MAX_BACKOFF_S, advance, after_failure, begin
from gureum.foundation.tasks.steps import step, steps_of
from gureum.foundation.tasks.store import Tasks


class Life:
    """Each step answers what `next` says."""

    def __init__(self):
        self.next = None

    def lifecycle(self):
        return Lifecycle("thing", steps_of(self), failed=self.failed)

    @step
    def first(self, _run):
        return self.next

    @step
    def second(self, _run):
        return self.next

    @step
    def failed(self, _run):
        return self.next

    @step(ending=True)
    def end(self, _run):
        return self.next


LIFE = Life()
LIFECYCLE = LIFE.lifecycle()
STEPS = st.sampled_from(LIFECYCLE.steps)
SECONDS = st.floats(0, 1e6)
MOMENTS = st.floats(1e9, 2e9)
DEADLINES = st.one_of(st.just((None, None)), st.tuples(SECONDS, STEPS))


@st.composite
def waits(draw):
    deadline_s, on_deadline = draw(DEADLINES)
    return Wait(draw(st.text(max_size=9)), deadline_s, on_deadline, step=draw(st.none() | STEPS))


@st.composite
def sleeps(draw):
    deadline_s, on_deadline = draw(DEADLINES)
    return Sleep(draw(SECONDS), draw(st.text(max_size=9)), deadline_s, on_deadline)


@st.composite
def tasks(draw):
    deadline_at, on_deadline = draw(st.one_of(st.just((None, None)), st.tuples(MOMENTS, STEPS)))
    return Claimed(
        *("id", "thing", "r", draw(STEPS).name),
        divert=draw(st.none() | STEPS.map(lambda one: one.name)),
        data={},
        deadline_at=deadline_at,
        on_deadline=on_deadline and on_deadline.name,
        reason=draw(st.text(max_size=9)),
        signals=0,
        attempts=draw(st.integers(0, 9)),
        origin="",
        lease_owner="",
    )


GOTOS = STEPS.map(Goto)
OUTCOMES = st.one_of(GOTOS, waits(), sleeps())


@given(tasks(), GOTOS, MOMENTS)
def test_the_next_step_follows_at_once_and_begins_afresh(task, outcome, now):
    moved = advance(task, outcome, now, 3)
    assert (moved.step, moved.attempts, moved.wake_at, moved.goes_on) == (outcome.step.name, 0, now, True)
    assert (moved.deadline_at, moved.on_deadline, moved.reason, moved.rests) == (None, None, "", False)


@given(tasks(), OUTCOMES, MOMENTS, st.integers(0, 9))
def test_rules_of_every_outcome(task, outcome, now, attempts):
    moved = advance(task, outcome, now, attempts)
    assert moved.step in LIFECYCLE.by_name
    assert (moved.deadline_at is None) == (moved.on_deadline is None)
    assert moved.goes_on == isinstance(outcome, Goto)
    assert moved.rests == (moved.wake_at is None), "only a task at rest is due by signals alone"
    if moved.deadline_at is not None:
        assert moved.wake_at <= moved.deadline_at, "a task is looked at by its deadline"
    if isinstance(outcome, Sleep):
        assert (moved.step, moved.attempts) == (task.step, attempts), "a nap keeps the step and its failures"
        assert moved.wake_at <= now + outcome.seconds
    else:
        assert moved.attempts == 0


@given(tasks(), st.one_of(waits(), sleeps()), MOMENTS, SECONDS)
def test_repeating_a_wait_does_not_push_its_deadline_away(task, outcome, now, later):
    first = advance(task, outcome, now)
    again = replace(task)
    first.write_to(again)
    second = advance(again, replace(outcome, step=None) if isinstance(outcome, Wait) else outcome, now + later)
    assert second.deadline_at == first.deadline_at
    assert second.step == first.step


@given(tasks(), waits(), MOMENTS)
def test_a_wait_in_another_step_has_a_deadline_of_its_own(task, outcome, now):
    if outcome.step is not None and outcome.step.name != task.step and outcome.deadline_s is not None:
        assert advance(task, outcome, now).deadline_at == now + outcome.deadline_s


@given(tasks(), MOMENTS)
def test_which_step_begins(task, now):
    begins = begin(LIFECYCLE, task, now)
    own = LIFECYCLE.step(task.step)
    if task.divert and not own.ending:
        assert begins.step.name == task.divert, "a deletion comes before all else"
    elif task.deadline_at is not None and task.deadline_at <= now:
        assert begins.step.name == task.on_deadline
        assert begins.problem.text == f"timed out: {task.reason}"
    else:
        assert (begins.step, begins.afresh) == (own, False)


@given(STEPS, st.integers(0, 2000), st.booleans())
def test_failures_are_repeated_with_pauses_until_the_step_gives_up(step, attempts, permanent):
    error = PermanentFailureError("no", public="No.") if permanent else RuntimeError("no")
    failure = after_failure(LIFECYCLE, step, attempts, error)
    assert failure.attempts == attempts + 1
    if step in (LIFE.end, LIFE.failed):
        assert isinstance(failure.outcome, Sleep), "what clears up never gives up"
    elif permanent or attempts + 1 >= LIFECYCLE.attempts:
        assert failure.outcome == Goto(LIFE.failed)
        assert failure.problem.step == step.name
        assert failure.problem.public == ("No." if permanent else "")
    if isinstance(failure.outcome, Sleep):
        assert 0 < failure.outcome.seconds <= MAX_BACKOFF_S
        assert failure.problem is None


class Copies(Hooks):
    """What the worker's memory holds after each commit."""

    def __init__(self):
        self.last = None

    def after_commit(self, task, outcome):
        self.last = (task.step, task.attempts, task.reason, task.deadline_at, task.on_deadline, dict(task.data))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('moves')}/test.sqlite")
    Row.metadata.create_all(database.engine)
    life = Life()
    engine = TaskEngine(database)
    engine.register([life.lifecycle()])
    yield database, engine, life
    database.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(GOTOS, waits(), sleeps(), st.just(RuntimeError("no"))), min_size=1, max_size=6))
def test_the_row_and_the_copy_in_memory_are_the_same(world, outcomes):
    database, engine, life = world
    lifecycle = engine.lifecycles["thing"]

    def answer():
        found = todo.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    type(life).next = property(lambda _self: answer(), lambda _self, _value: None)
    todo = list(outcomes)
    try:
        with clock.use(clock.VirtualClock(1.5e9)):
            engine.hooks = copies = Copies()
            database.write(lambda tx: Tasks(engine).create(tx, "thing", "r", Life.first))
            [task] = engine._queue.take_all()
            while todo:
                engine._runner.run_step(lifecycle, task)
                with database.read() as tx:
                    row = tx.scalars(select(Task)).one()
                    held = (row.step, row.attempts, row.reason, row.deadline_at, row.on_deadline, row.data)
                assert copies.last == held
            todo.append(Done())
            engine._runner.run_step(lifecycle, task)
    finally:
        del type(life).next
