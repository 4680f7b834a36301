"""One step of a task: chosen, run, and its outcome committed with the move.

What the step's outcome writes and the move to the next step are one transaction, on condition that the lease is still
ours. Not here: threads, and which task comes next (`engine.py`); what an outcome means (`moves.py`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from gureum.foundation import clock, log
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.failures import DatabaseFailure
from gureum.foundation.metrics import Metrics
from gureum.foundation.tasks import story
from gureum.foundation.tasks.hooks import Hooks
from gureum.foundation.tasks.lifecycle import (
    Done,
    Goto,
    Lifecycle,
    Outcome,
    PermanentFailureError,
    Problem,
    Run,
    Sleep,
    Wait,
    note_problem,
)
from gureum.foundation.tasks.model import Claimed
from gureum.foundation.tasks.moves import Moved, advance, after_failure, begin
from gureum.foundation.tasks.statements import END, MOVE
from gureum.foundation.tasks.steps import Step

logger = logging.getLogger("gureum.tasks")


class LeaseLostError(Exception):
    """Another worker owns the task now: what this one was about to write is thrown away."""


class Runner:
    """Runs steps under the leases of `owner`. `at` is told when a task that comes to rest is to be looked at again."""

    def __init__(
        self,
        database: Database,
        owner: str,
        lease_s: float,
        at: Callable[[float, str], None],
        metrics: Metrics | None = None,
    ) -> None:
        self.hooks = Hooks()
        self._database = database
        self._owner = owner
        self._lease_s = lease_s
        self._at = at
        self._metrics = metrics

    def run_step(self, lifecycle: Lifecycle, task: Claimed) -> bool:
        """Run one step and commit its outcome; True when another is to follow at once.

        Raises LeaseLostError when the task is not ours any more, UnknownStepError when it was never for this version,
        DatabaseFailure when nothing of it may be written.
        """
        log.work_for(log.Origin.of(task.origin))
        step = self._begin(lifecycle, task)
        run = Run(task.resource_id, step.name, dict(task.data), task.attempts, clock.now())
        begun, started, failed = story.Begun.of(task), time.perf_counter(), False
        kind = f"{task.kind} {step.name}"
        self.hooks.before_step(task)
        try:
            if step.transactional:
                outcome, again = self._database.write(lambda tx: self._in_one(tx, lifecycle, task, run, step), kind)
            else:
                outcome = step(run)
                self.hooks.before_commit(task, outcome)
                again = self._database.write(lambda tx: self._move(tx, lifecycle, task, run, outcome), kind)
        except (LeaseLostError, DatabaseFailure):
            raise  # nothing is written of it, or it is not known: the task's row says where it goes on
        except Exception as error:
            failed = True
            outcome, again = self._fail(lifecycle, task, run, step, error)
        if self._metrics:
            self._metrics.steps.labels(task.kind, type(outcome).__name__).inc()
        gives_up = not failed and isinstance(outcome, Goto) and outcome.step.name == lifecycle.failed.name
        problem = run.problem.text if gives_up else ""
        story.ended(begun, outcome, time.perf_counter() - started, failed=failed, problem=problem)
        self.hooks.after_commit(task, outcome)
        return again

    def _begin(self, lifecycle: Lifecycle, task: Claimed) -> Step:
        """The step that runs now; the copy in memory is at it."""
        begins = begin(lifecycle, task, clock.now())
        if begins.problem:
            logger.warning("%s %s: %s took too long: %s", task.kind, task.resource_id, task.step, task.reason)
            task.data = dict(task.data)
            note_problem(task.data, begins.problem)
        if begins.afresh:
            task.attempts, task.deadline_at, task.on_deadline = 0, None, None
        task.step = begins.step.name
        return begins.step

    def _in_one(self, tx: Tx, lifecycle: Lifecycle, task: Claimed, run: Run, step: Step) -> tuple[Outcome, bool]:
        run.data = dict(task.data)
        outcome = step(run, tx)
        self.hooks.before_commit(task, outcome)
        return outcome, self._move(tx, lifecycle, task, run, outcome)

    def _fail(
        self, lifecycle: Lifecycle, task: Claimed, run: Run, step: Step, error: Exception
    ) -> tuple[Outcome, bool]:
        """Commit what follows the error. What the step wanted to commit with its outcome is dropped."""
        failure = after_failure(lifecycle, step, run.attempts, error)
        run.data, run.attempts = dict(task.data), failure.attempts
        if failure.problem:
            note_problem(run.data, failure.problem)
            self._tell_the_end(task, failure.problem, error)
        return failure.outcome, self._database.write(lambda tx: self._move(tx, lifecycle, task, run, failure.outcome))

    def _move(self, tx: Tx, lifecycle: Lifecycle, task: Claimed, run: Run, outcome: Outcome) -> bool:
        """Write the outcome and where the task stands after it, if it is still ours. True when a step follows."""
        if not isinstance(outcome, Done | Goto | Wait | Sleep):
            raise TypeError(f"step {task.step} of {task.kind} returned {outcome!r}")
        if outcome.commit is not None:
            outcome.commit(tx)
        if isinstance(outcome, Done):
            if not END.run(tx, task_id=task.id, owner=self._owner):
                raise LeaseLostError
            return False
        now = clock.now()
        moved = advance(task, outcome, now, run.attempts)
        if moved.step not in lifecycle.by_name:
            raise LookupError(f"step {task.step} of {task.kind} names {moved.step}, a step of another lifecycle")
        row = MOVE.first(tx, **self._parameters(task, run, moved, now))
        if row is None:
            raise LeaseLostError
        again = moved.goes_on or row.signals != task.signals
        if not again and (wake_at := moved.wake_at) is not None:
            tx.on_commit(lambda: self._at(wake_at, task.id))
        tx.on_commit(lambda: _follow(task, run, moved, row))
        return again

    def _parameters(self, task: Claimed, run: Run, moved: Moved, now: float) -> dict[str, Any]:
        """Those of `MOVE`."""
        return {
            "task_id": task.id,
            "owner": self._owner,
            "seen": task.signals,
            "now": now,
            "lease": now + self._lease_s,
            "new_data": run.data,
            "new_step": moved.step,
            "new_attempts": moved.attempts,
            "new_reason": moved.reason,
            "new_deadline": moved.deadline_at,
            "new_on_deadline": moved.on_deadline,
            "rests": moved.rests,
            "rest_wake": moved.wake_at,
            "rest_lease": now + self._lease_s if moved.goes_on else 0.0,
        }

    def _tell_the_end(self, task: Claimed, problem: Problem, error: Exception) -> None:
        expected = isinstance(error, PermanentFailureError)
        words = ("%s %s: %s gave up: %s", task.kind, task.resource_id, task.step, problem.text)
        logger.error(*words, exc_info=not expected)


def _follow(task: Claimed, run: Run, moved: Moved, row: Any) -> None:
    """After the commit, the copy in memory is as the row, for the next step on this thread."""
    moved.write_to(task)
    task.data, task.signals, task.divert, task.origin = run.data, row.signals, row.divert, row.origin
