"""What a task writes into the log: one line for each step that ran, and one when a request has to wait its turn.

A poll that finds what the last one found is no news: its line is for DEBUG. Lines carry the request whose work the
step does (`log.Origin`), so that `gureum trace` tells the whole of it. Read next: `engine.py`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from gureum.foundation import log
from gureum.foundation.tasks.lifecycle import Done, Goto, Outcome, Sleep, Wait
from gureum.foundation.tasks.model import Claimed

logger = logging.getLogger("gureum.tasks")


@dataclass(frozen=True, slots=True)
class Begun:
    """A task as it was when a step began: its copy in memory moves with the commit."""

    kind: str
    resource_id: str
    step: str
    tries: int
    reason: str

    @classmethod
    def of(cls, task: Claimed) -> Begun:
        return cls(task.kind, task.resource_id, task.step, task.attempts + 1, task.reason)


def ended(begun: Begun, outcome: Outcome, seconds: float, *, failed: bool, problem: str = "") -> None:
    """Tell what the step came to; `problem` is why the task goes to its failure step."""
    news = not isinstance(outcome, Wait | Sleep) or outcome.reason != begun.reason
    level = logging.WARNING if failed or problem else logging.INFO if news else logging.DEBUG
    if logger.isEnabledFor(level):
        words = f"{begun.kind} {begun.resource_id}: {begun.step} -> {_told(begun.step, outcome)}"
        if problem:
            words += f": {problem}"
        logger.log(level, "%s try=%d %s", words, begun.tries, log.took(seconds))


def _told(step: str, outcome: Outcome) -> str:
    match outcome:
        case Goto():
            return outcome.step.name
        case Done():
            return "the end"
        case Sleep():
            return f"{step} again in {outcome.seconds:g} s, waits for {outcome.reason}"
        case Wait():
            return f"{outcome.step.name if outcome.step else step}, waits for {outcome.reason}"


def queued(task: Claimed) -> None:
    """Tell, in the story of the request that waits, whose work goes first."""
    words = f"{task.kind} {task.resource_id}: {task.step} is at work for {log.Origin.of(task.origin).request_id}"
    logger.info("%s; this request's steps follow", words)
