"""What a step's outcome means for its task: pure functions, and the only place that knows.

`advance` says where the task stands after an outcome; the row (`statements.MOVE`) and the copy in a worker's memory are
both written from what it returns. Invariant: the two are the same. Read next: `running.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from gureum.foundation.tasks.lifecycle import (
    Goto,
    Lifecycle,
    PermanentFailureError,
    Problem,
    Sleep,
    UnknownStepError,
    Wait,
)
from gureum.foundation.tasks.model import Claimed
from gureum.foundation.tasks.steps import Step

MAX_BACKOFF_S = 30.0
MAX_DOUBLINGS = 16
LONGEST_REASON = 2000


@dataclass(frozen=True, slots=True)
class Moved:
    """Where a task stands after an outcome. It is due at `wake_at`, or when signalled only when that is None.

    `goes_on`: its next step follows at once, under the same lease. `rests`: what was done for one request is over.
    """

    step: str
    attempts: int
    reason: str
    deadline_at: float | None
    on_deadline: str | None
    wake_at: float | None
    goes_on: bool = False
    rests: bool = False

    def write_to(self, task: Claimed) -> None:
        """Bring a copy in memory to where the row is."""
        task.step, task.attempts, task.reason = self.step, self.attempts, self.reason
        task.deadline_at, task.on_deadline = self.deadline_at, self.on_deadline


def advance(task: Claimed, outcome: Goto | Wait | Sleep, now: float, attempts: int = 0) -> Moved:
    """Where `task` stands after the outcome of its present step, which failed `attempts` times, at `now`.

    A step that sleeps keeps its count of failures. A deadline counts from the first wait of a step: it is kept while
    the task waits or sleeps in the same step.
    """
    if isinstance(outcome, Goto):
        return Moved(outcome.step.name, 0, "", None, None, now, goes_on=True)
    step = _name_of(outcome.step) if isinstance(outcome, Wait) else None
    deadline_at, on_deadline = (task.deadline_at, task.on_deadline) if step in {None, task.step} else (None, None)
    if outcome.deadline_s is not None:
        deadline_at = deadline_at if deadline_at is not None else now + outcome.deadline_s
        on_deadline = _name_of(outcome.on_deadline)
    if isinstance(outcome, Sleep):
        wake_at = now + outcome.seconds
        wake_at = wake_at if deadline_at is None else min(wake_at, deadline_at)
        return Moved(task.step, attempts, outcome.reason, deadline_at, on_deadline, wake_at)
    if outcome.deadline_s is None:
        return Moved(step or task.step, 0, outcome.reason, None, None, None, rests=True)
    return Moved(step or task.step, 0, outcome.reason, deadline_at, on_deadline, deadline_at)


def _name_of(step: Step | None) -> str | None:
    return step.name if step else None


@dataclass(frozen=True, slots=True)
class Begin:
    """The step that runs now, and why when the one before took too long."""

    step: Step
    afresh: bool = False
    problem: Problem | None = None


def begin(lifecycle: Lifecycle, task: Claimed, now: float) -> Begin:
    """Which step runs now of a due task: where it was diverted to, what follows a deadline that passed, or its own.

    Raises UnknownStepError.
    """
    step = lifecycle.step(task.step)
    if task.divert and not step.ending:
        return Begin(lifecycle.step(task.divert), afresh=True)
    if task.deadline_at is not None and task.on_deadline and task.deadline_at <= now:
        problem = Problem(step.name, f"timed out: {task.reason}")
        return Begin(lifecycle.step(task.on_deadline), afresh=True, problem=problem)
    return Begin(step)


def is_transfer(lifecycle: Lifecycle, task: Claimed) -> bool:
    """Whether the step that comes next moves data; one that is unknown here does not."""
    try:
        step = lifecycle.step(task.step)
        return (lifecycle.step(task.divert) if task.divert and not step.ending else step).transfer
    except UnknownStepError:
        return False


@dataclass(frozen=True, slots=True)
class Failed:
    """What follows a step that raised. With a `problem` the step gave up."""

    outcome: Goto | Sleep
    attempts: int
    problem: Problem | None = None


def after_failure(lifecycle: Lifecycle, step: Step, attempts: int, error: Exception) -> Failed:
    """The step is tried again after a pause, `attempts` times in all, unless the error is permanent.

    An ending step and the failure step itself never give up.
    """
    text, attempts = f"{type(error).__name__}: {error}", attempts + 1
    gives_up = isinstance(error, PermanentFailureError) or attempts >= lifecycle.attempts
    if gives_up and not step.ending and step.name != lifecycle.failed.name:
        public = getattr(error, "public", "")
        return Failed(Goto(lifecycle.failed), attempts, Problem(step.name, text, public))
    pause = min(lifecycle.retry_s * 2 ** min(attempts - 1, MAX_DOUBLINGS), MAX_BACKOFF_S)
    return Failed(Sleep(pause, f"trying {step.name} again after: {text}"[:LONGEST_REASON]), attempts)
