"""What a service declares: the named steps of a resource's life, and what a step may answer.

A step is short and idempotent. It gets a `Run`, may call the outside world, and returns an outcome; what it
wants written goes into the outcome's `commit`, which runs in the same transaction as the move to the next
step. A step declared with `@transactional` gets a transaction itself and makes no outside call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gureum.foundation.db.engine import Tx

Commit = Callable[[Tx], None] | None


@dataclass(frozen=True, slots=True)
class Goto:
    """Run `step` next, at once."""

    step: str
    commit: Commit = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Run this same step again when signalled, or `step` where one is named. `reason` is for a person: what is
    awaited, from whom.

    After `deadline_s` seconds (counted from the first such wait of this step) `on_deadline` runs instead.
    None waits for ever: only for a resource at rest.
    """

    reason: str
    deadline_s: float | None = None
    on_deadline: str | None = None
    commit: Commit = None
    step: str | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Run this same step again after `seconds`, or when signalled; deadlines as in `Wait`."""

    seconds: float
    reason: str
    deadline_s: float | None = None
    on_deadline: str | None = None
    commit: Commit = None


@dataclass(frozen=True, slots=True)
class Done:
    """The life is over: the task's row goes away in the same transaction."""

    commit: Commit = None


Outcome = Goto | Wait | Sleep | Done


class PermanentFailureError(Exception):
    """Repeating the step cannot help. `public` may be shown to the tenant."""

    def __init__(self, text: str, *, public: str = "") -> None:
        super().__init__(text)
        self.public = public


@dataclass(slots=True)
class Run:
    """What a step knows: its resource, the data that earlier steps left, and how often it failed.

    `data` is a JSON-able dictionary; changes to it commit with the outcome, and a step that raises, or whose commit
    does, leaves none. `error` holds, in the failure step,
    what went wrong: {"text": for operators, "public": for tenants, "step": name}.
    """

    resource_id: str
    step: str
    data: dict[str, Any]
    attempts: int
    now: float

    @property
    def error(self) -> dict[str, str]:
        return self.data.get("error") or {}


Step = Callable[[Run], Outcome]
TransactionalStep = Callable[[Run, Tx], Outcome]


@dataclass(frozen=True)
class Lifecycle:
    """A kind of life. `failed` runs when a step gives up; `destroy` is where deletion diverts to.

    Steps named in `ending` are the destroy chain: they are not diverted and never give up. `attempts` is how
    often a step is tried before it gives up; between tries the engine backs off from `retry_s`, doubling to 30 s.
    Steps named in `transfers` move data and may take hours: they have threads of their own, a bounded number for each
    project, so that no other task waits for them.
    """

    kind: str
    steps: Mapping[str, Step] = field(default_factory=dict)
    transactional: Mapping[str, TransactionalStep] = field(default_factory=dict)
    first: str = ""
    failed: str = ""
    destroy: str = ""
    ending: frozenset[str] = frozenset()
    transfers: frozenset[str] = frozenset()
    attempts: int = 5
    retry_s: float = 0.5

    def next_step(self, step: str, divert: str | None) -> str:
        """The step that runs next of a task that is at `step` and may have been diverted."""
        return divert if divert and step not in self.ending else step

    def __post_init__(self) -> None:
        names = {*self.steps, *self.transactional}
        for name in (self.first, self.failed, self.destroy, *self.ending, *self.transfers):
            if name not in names:
                raise ValueError(f"lifecycle {self.kind} names the unknown step {name!r}")


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Compares wanted with observed every `every_s` seconds, on one worker at a time. `work` is idempotent."""

    name: str
    every_s: float
    work: Callable[[], None]
