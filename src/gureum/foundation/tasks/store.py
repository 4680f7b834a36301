"""Creating and signalling tasks inside a caller's transaction.

When this process runs workers, a new or idle task is leased to it in the same statement and handed over after
the commit: no second look-up, no waiting for a poll. Otherwise the wake-up goes over the bus and the poll is
the safety net. Losing a wake-up loses time only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import case, insert, select, update

from gureum.foundation import clock, ids, log
from gureum.foundation.db.engine import Tx
from gureum.foundation.tasks.model import CLAIMED, Claimed, Task


class Tasks:
    """One per process. `adopt` (set by the engine) takes a leased task; `announce` tells other processes."""

    def __init__(self) -> None:
        self.owner = ""
        self.lease_s = 30.0
        self.adopt: Callable[[Claimed], None] | None = None
        self.announce: Callable[[str], None] = lambda _task_id: None

    def create(  # noqa: PLR0917
        self, tx: Tx, kind: str, resource_id: str, step: str, data: dict[str, Any] | None = None, project_id: str = "-"
    ) -> None:
        """Begin a resource's life with `step`, due at once, in the caller's transaction."""
        now = clock.now()
        owner = self.owner if self.adopt else ""
        task = Claimed(
            id=ids.new_uuid(),
            kind=kind,
            resource_id=resource_id,
            step=step,
            divert=None,
            data=data or {},
            deadline_at=None,
            on_deadline=None,
            reason="",
            signals=0,
            attempts=0,
            request_id=log.request_id.get(),
            project_id=project_id,
            lease_owner=owner,
        )
        lease_until = now + self.lease_s if owner else 0.0
        tx.execute(insert(Task).values(**asdict(task), wake_at=now, since=now, lease_until=lease_until))
        self._hand_over(tx, task)

    def signal(self, tx: Tx, kind: str, resource_ids: Sequence[str], *, divert: str | None = None) -> None:
        """Wake the tasks of these resources; with `divert`, send them to that step next."""
        if not resource_ids:
            return
        now = clock.now()
        idle = Task.lease_until < now
        values: dict[str, Any] = {"signals": Task.signals + 1, "wake_at": now}
        if divert:
            values |= {"divert": divert, "attempts": 0, "request_id": log.request_id.get()}
        if self.adopt:
            values["lease_owner"] = case((idle, self.owner), else_=Task.lease_owner)
            values["lease_until"] = case((idle, now + self.lease_s), else_=Task.lease_until)
        statement = update(Task).where(Task.kind == kind, Task.resource_id.in_(resource_ids)).values(**values)
        for row in tx.execute(statement.returning(*CLAIMED), execution_options={"synchronize_session": False}).all():
            self._hand_over(tx, Claimed(*row))

    def exists(self, tx: Tx, kind: str, resource_id: str) -> bool:
        found = tx.scalar(select(Task.id).where(Task.kind == kind, Task.resource_id == resource_id))
        return found is not None

    def _hand_over(self, tx: Tx, task: Claimed) -> None:
        adopt = self.adopt
        if adopt is None:
            tx.on_commit(lambda: self.announce(task.id))
        elif task.lease_owner == self.owner:
            tx.on_commit(lambda: adopt(task))
