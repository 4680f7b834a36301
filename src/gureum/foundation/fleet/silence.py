"""A host that gave no answer, and what a step of a life makes of it: a wait with a reason and a deadline.

One outcome for every cause: the host is down, nobody answered in time, the bus is lost, the agent is too old for the
call. A deadline counts from the first unanswered question to that host, as long as one follows another; any answer
ends it, and so does a while without a question.
Read next: `agents.py`, which asks.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from gureum.foundation.tasks.lifecycle import Goto, Problem, Run, Sleep
from gureum.foundation.tasks.steps import Step

_KEPT = "silent"
_AGAIN_S = 1.0
_OVER_S = 90.0
"""A silence that was noted longer ago is over: meanwhile the host answered, or nobody asked. A call takes up to a
minute until it counts as unanswered.
"""


class Cause(enum.Enum):
    """Why there is no answer."""

    DOWN = "its heartbeats stopped: it was not asked"
    UNANSWERED = "it was asked and did not answer"
    TOO_OLD = "its agent does not know the call"


@dataclass(frozen=True, slots=True)
class Silence:
    """`detail` is for operators. The call may have acted all the same, unless its host is down."""

    host: str
    cause: Cause
    detail: str = ""

    @property
    def awaited(self) -> str:
        """For whom a task waits, as `gureum task list` shows it."""
        match self.cause:
            case Cause.DOWN:
                return f"host {self.host}, which is down, to return"
            case Cause.UNANSWERED:
                return f"host {self.host} to answer ({self.detail})"
            case Cause.TOO_OLD:
                return f"host {self.host} to have a newer agent ({self.detail})"

    def wait(
        self, run: Run, timeout_s: float | None = None, on_deadline: Step | None = None, *, public: str = ""
    ) -> Sleep | Goto:
        """How a step waits for the host: it runs again in a second. After `timeout_s` seconds of silence it gives up
        and `on_deadline` follows; `public` is what the tenant may read then. Without a timeout it waits without end.
        """
        if (timeout_s is None) != (on_deadline is None):
            raise ValueError("a deadline and the step that follows it belong together")
        if timeout_s is None or on_deadline is None:
            forget(run)
            return Sleep(_AGAIN_S, self.awaited)
        host, since, last = run.data.get(_KEPT, (self.host, run.now, run.now))
        if host != self.host or run.now - last > _OVER_S:
            since = run.now
        run.data[_KEPT] = [self.host, since, run.now]
        if run.now - since < timeout_s:
            return Sleep(_AGAIN_S, self.awaited)
        forget(run)
        run.gives_up(Problem(run.step, f"timed out: {self.awaited}", public))
        return Goto(on_deadline)


def forget(run: Run) -> None:
    """The host answered: a later silence has its own deadline."""
    run.data.pop(_KEPT, None)
