"""Where the crash suite looks into a worker; nothing here in production. Read next: `running.py`."""

from __future__ import annotations

from gureum.foundation.tasks.lifecycle import Outcome
from gureum.foundation.tasks.model import Claimed


class Hooks:
    """Called around each step. Raising from one is dying at that point."""

    def before_step(self, task: Claimed) -> None: ...

    def before_commit(self, task: Claimed, outcome: Outcome) -> None: ...

    def after_commit(self, task: Claimed, outcome: Outcome) -> None: ...


class WorkerDied(BaseException):
    """Raised by hooks to stop a worker as kill -9 would: nothing is written, the lease stays."""
