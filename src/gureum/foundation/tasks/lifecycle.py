"""What a service declares: the named steps of a resource's life, and what a step may answer.

A step is short and idempotent. It gets a `Run`, may call the outside world, and returns an outcome; what it
wants written goes into the outcome's `commit`, which runs in the same transaction as the move to the next
step. A step declared with `@transactional` gets a transaction itself and makes no outside call.

Steps are methods, and an outcome gives the next one as the method: `Goto(self.boot)`. A task's row holds its name.
Read next: `steps.py` for the decorators, `moves.py` for what an outcome does to a task, `engine.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gureum.foundation.db.engine import Tx
from gureum.foundation.tasks.steps import Step

Commit = Callable[[Tx], None] | None


@dataclass(frozen=True, slots=True)
class Goto:
    """Run `step` next, at once."""

    step: Step
    commit: Commit = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Run this same step again when signalled, or `step` where one is given. `reason` is for a person: what is
    awaited, from whom.

    After `deadline_s` seconds (counted from the first such wait of this step) `on_deadline` runs instead.
    None waits for ever: only for a resource at rest.
    """

    reason: str
    deadline_s: float | None = None
    on_deadline: Step | None = None
    commit: Commit = None
    step: Step | None = None

    def __post_init__(self) -> None:
        _check_deadline(self.deadline_s, self.on_deadline)


@dataclass(frozen=True, slots=True)
class Sleep:
    """Run this same step again after `seconds`, or when signalled; deadlines as in `Wait`."""

    seconds: float
    reason: str
    deadline_s: float | None = None
    on_deadline: Step | None = None
    commit: Commit = None

    def __post_init__(self) -> None:
        _check_deadline(self.deadline_s, self.on_deadline)


@dataclass(frozen=True, slots=True)
class Done:
    """The life is over: the task's row goes away in the same transaction."""

    commit: Commit = None


Outcome = Goto | Wait | Sleep | Done


def _check_deadline(deadline_s: float | None, on_deadline: Step | None) -> None:
    if (deadline_s is None) != (on_deadline is None):
        raise ValueError("a deadline and the step that follows it belong together: without a step the wait never ends")


class PermanentFailureError(Exception):
    """Repeating the step cannot help. `public` may be shown to the tenant."""

    def __init__(self, text: str, *, public: str = "") -> None:
        super().__init__(text)
        self.public = public


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a task goes to its failure step: `text` for operators, `public` for tenants, the `step` that gave up.

    `final` when nothing else is worth a try either: the step that gave up has tried it.
    """

    step: str = ""
    text: str = ""
    public: str = ""
    final: bool = False


@dataclass(slots=True)
class Run:
    """What a step knows: its resource, the data that earlier steps left, and how often it failed.

    `data` is a JSON-able dictionary; changes to it commit with the outcome, and a step that raises, or whose commit
    does, leaves none.
    """

    resource_id: str
    step: str
    data: dict[str, Any]
    attempts: int
    now: float

    @property
    def problem(self) -> Problem:
        """In the failure step, what went wrong."""
        return problem_in(self.data)

    def gives_up(self, problem: Problem) -> None:
        """Leave `problem` to the failure step, which the outcome must go to."""
        note_problem(self.data, problem)


def problem_in(data: Mapping[str, Any]) -> Problem:
    """The problem that a task's data holds; an empty one when there is none."""
    kept = data.get("error") or {}
    texts = {name: str(kept.get(name, "")) for name in ("step", "text", "public")}
    return Problem(**texts, final=bool(kept.get("final")))


def note_problem(data: dict[str, Any], problem: Problem) -> None:
    """Keep the problem in a task's data, as workers of every version read it."""
    kept: dict[str, Any] = {"step": problem.step, "text": problem.text[:4000], "public": problem.public}
    data["error"] = kept | ({"final": True} if problem.final else {})


class UnknownStepError(LookupError):
    """A worker of another version left the name of a step that only it knows."""


@dataclass(frozen=True)
class Lifecycle:
    """A kind of life. `failed` runs when a step gives up.

    `attempts` is how often a step is tried before it gives up; between tries the engine backs off from `retry_s`,
    doubling to 30 s. `renamed` maps names that steps had before to the steps that they are now: rows of tasks under way
    still hold the old names, and so do those that a worker of the version before writes. An entry stays until no such
    worker can be at work.
    """

    kind: str
    steps: tuple[Step, ...]
    failed: Step
    attempts: int = 5
    retry_s: float = 0.5
    renamed: Mapping[str, Step] = field(default_factory=dict)
    by_name: Mapping[str, Step] = field(init=False)

    def __post_init__(self) -> None:
        steps = {step.name: step for step in self.steps}
        if len(steps) < len(self.steps):
            raise ValueError(f"lifecycle {self.kind} has two steps of the same name")
        for step in (self.failed, *self.renamed.values()):
            if steps.get(step.name) != step:
                raise ValueError(f"lifecycle {self.kind} names the unknown step {step.name!r}")
        for old in self.renamed.keys() & steps.keys():
            raise ValueError(f"lifecycle {self.kind} has a step {old!r}: the name cannot be an old one of another step")
        object.__setattr__(self, "by_name", {**steps, **self.renamed})

    def step(self, name: str) -> Step:
        """The step that a row's name stands for. Raises UnknownStepError."""
        try:
            return self.by_name[name]
        except KeyError:
            raise UnknownStepError(f"{self.kind} has no step {name!r} in this version") from None


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Compares wanted with observed every `every_s` seconds, on one worker at a time. `work` is idempotent."""

    name: str
    every_s: float
    work: Callable[[], None]
