"""Creating and signalling tasks inside a caller's transaction.

When this process runs workers that know the task, a new or idle one is leased to it in the same statement and handed
over after the commit: no second look-up, no waiting for a poll. Otherwise the wake-up goes over the bus and the poll is
the safety net. Losing a wake-up loses time only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from typing import Any, Protocol

from sqlalchemy import bindparam, select

from gureum.foundation import clock, ids, log
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, insert_into
from gureum.foundation.tasks import story
from gureum.foundation.tasks.model import Claimed, Task
from gureum.foundation.tasks.statements import Claims
from gureum.foundation.tasks.steps import Step


class Worker(Protocol):
    """What runs tasks in this process (`engine.TaskEngine`)."""

    owner: str
    claims: Claims

    @property
    def lease_s(self) -> float: ...

    def adopt(self, task: Claimed) -> None:
        """Run a task that is leased to this worker."""


class Tasks:
    """One per process. `worker` runs tasks here; without one, `announce` tells other processes what is due."""

    def __init__(self, worker: Worker | None = None, announce: Callable[[str], None] = lambda _task_id: None) -> None:
        self._worker = worker
        self._announce = announce

    @property
    def owner(self) -> str:
        """The name of this process's worker as an owner of leases; empty without one."""
        return self._worker.owner if self._worker else ""

    def run_elsewhere(self, announce: Callable[[str], None]) -> None:
        """This process runs no tasks: `announce` is told after the commit which ones are due."""
        self._worker, self._announce = None, announce

    def create(  # noqa: PLR0917
        self, tx: Tx, kind: str, resource_id: str, step: Step, data: dict[str, Any] | None = None, project_id: str = ""
    ) -> None:
        """Begin a resource's life with `step`, due at once, in the caller's transaction.

        Its steps are the work of the present request, in `project_id` where that is not the caller's own project.
        """
        mine = log.origin()
        if project_id:
            mine = mine._replace(project_id=project_id)
        now = clock.now()
        worker = self._worker if self._worker and kind in self._worker.claims.kinds else None
        task = Claimed(
            id=ids.new_uuid(),
            kind=kind,
            resource_id=resource_id,
            step=step.name,
            divert=None,
            data=data or {},
            deadline_at=None,
            on_deadline=None,
            reason="",
            signals=0,
            attempts=0,
            origin=str(mine),
            lease_owner=worker.owner if worker else "",
        )
        times = {"wake_at": now, "since": now, "lease_until": now + worker.lease_s if worker else 0.0}
        _CREATE.run(tx, **{name: getattr(task, name) for name in _KEPT}, **times)
        self._hand_over(tx, task)

    def signal(self, tx: Tx, kind: str, resource_ids: Sequence[str], *, divert: Step | None = None) -> None:
        """Wake the tasks of these resources; with `divert`, send them to that step next, unless they are ending.

        The steps that follow are this request's: at once when the task rests or is diverted, else after what it does.
        """
        if not resource_ids:
            return
        now, worker = clock.now(), self._worker
        values: dict[str, Any] = {"of_kind": kind, "resources": resource_ids, "now": now}
        if worker:
            values |= {"owner": worker.owner, "until": now + worker.lease_s}
        if divert:
            values["to"] = divert.name
        mine = log.origin()
        asked = mine.request_id != log.NOBODY.request_id
        if asked:
            values["mine"] = str(mine)
        claims = worker.claims if worker else _NO_CLAIMS
        for task in claims.signal(diverting=divert is not None, asked=asked).all(tx, **values):
            self._hand_over(tx, task)
            if asked and log.Origin.of(task.origin).request_id != mine.request_id:
                tx.on_commit(partial(story.queued, task))

    def exists(self, tx: Tx, kind: str, resource_id: str) -> bool:
        return _EXISTS.first(tx, kind=kind, resource=resource_id) is not None

    def _hand_over(self, tx: Tx, task: Claimed) -> None:
        worker, announce = self._worker, self._announce
        if worker is None or task.kind not in worker.claims.kinds:
            tx.on_commit(lambda: announce(task.id))
        elif task.lease_owner == worker.owner:
            tx.on_commit(lambda: worker.adopt(task))


_KEPT = tuple(item.name for item in fields(Claimed))
_CREATE = insert_into(Task)
_EXISTS = Prepared(select(Task.id).where(Task.kind == bindparam("kind"), Task.resource_id == bindparam("resource")))

_NO_CLAIMS = Claims(())
