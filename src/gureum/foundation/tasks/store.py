"""Creating and signalling tasks inside a caller's transaction.

When this process runs workers, a new or idle task is leased to it in the same statement and handed over after
the commit: no second look-up, no waiting for a poll. Otherwise the wake-up goes over the bus and the poll is
the safety net. Losing a wake-up loses time only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cache, partial
from typing import Any

from sqlalchemy import BindParameter, String, bindparam, case, null, or_, select, update

from gureum.foundation import clock, ids, log
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, insert_into, table_of
from gureum.foundation.tasks import story
from gureum.foundation.tasks.model import Claimed, Task


class Tasks:
    """One per process. `adopt` (set by the engine) takes a leased task; `announce` tells other processes."""

    def __init__(self) -> None:
        self.owner = ""
        self.lease_s = 30.0
        self.adopt: Callable[[Claimed], None] | None = None
        self.announce: Callable[[str], None] = lambda _task_id: None

    def run_elsewhere(self, announce: Callable[[str], None]) -> None:
        """This process runs no tasks: `announce` is told after the commit which ones are due."""
        self.owner, self.adopt, self.announce = "", None, announce

    def create(  # noqa: PLR0917
        self, tx: Tx, kind: str, resource_id: str, step: str, data: dict[str, Any] | None = None, project_id: str = ""
    ) -> None:
        """Begin a resource's life with `step`, due at once, in the caller's transaction.

        Its steps are the work of the present request, in `project_id` where that is not the caller's own project.
        """
        mine = log.origin()
        if project_id:
            mine = mine._replace(project_id=project_id)
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
            origin=str(mine),
            lease_owner=owner,
        )
        times = {"wake_at": now, "since": now, "lease_until": now + self.lease_s if owner else 0.0}
        _CREATE.run(tx, **{name: getattr(task, name) for name in _KEPT}, **times)
        self._hand_over(tx, task)

    def signal(self, tx: Tx, kind: str, resource_ids: Sequence[str], *, divert: str | None = None) -> None:
        """Wake the tasks of these resources; with `divert`, send them to that step next.

        The steps that follow are this request's: at once when the task rests or is diverted, else after what it does.
        """
        if not resource_ids:
            return
        now = clock.now()
        adopting = self.adopt is not None
        values = {
            "of_kind": kind,
            "resources": resource_ids,
            "now": now,
            "owner": self.owner,
            "until": now + self.lease_s,
        }
        if divert:
            values["to"] = divert
        mine = log.origin()
        asked = mine.request_id != log.NOBODY.request_id
        if asked:
            values["mine"] = str(mine)
        for task in _signal(adopting=adopting, diverting=divert is not None, asked=asked).all(tx, **values):
            self._hand_over(tx, task)
            if asked and log.Origin.of(task.origin).request_id != mine.request_id:
                tx.on_commit(partial(story.queued, task))

    def exists(self, tx: Tx, kind: str, resource_id: str) -> bool:
        return _EXISTS.first(tx, kind=kind, resource=resource_id) is not None

    def _hand_over(self, tx: Tx, task: Claimed) -> None:
        adopt = self.adopt
        if adopt is None:
            tx.on_commit(lambda: self.announce(task.id))
        elif task.lease_owner == self.owner:
            tx.on_commit(lambda: adopt(task))


_TASKS = table_of(Task)
_KEPT = tuple(item.name for item in fields(Claimed))
_CREATE = insert_into(Task)
_EXISTS = Prepared(select(Task.id).where(Task.kind == bindparam("kind"), Task.resource_id == bindparam("resource")))


@cache
def _signal(*, adopting: bool, diverting: bool, asked: bool) -> Prepared[Claimed]:
    """Counts a signal; leases an idle task to `owner` when adopting, sends it to the step `to` when diverting.

    When a request asked, its origin is `mine`.
    """
    c = _TASKS.c
    now: BindParameter[float] = bindparam("now")
    values: dict[str, Any] = {"signals": c.signals + 1, "wake_at": now, **_taken_over(asked=asked, at_once=diverting)}
    if diverting:
        values |= {"divert": bindparam("to"), "attempts": 0}
    if adopting:
        idle = c.lease_until < now
        values["lease_owner"] = case((idle, bindparam("owner")), else_=c.lease_owner)
        values["lease_until"] = case((idle, bindparam("until")), else_=c.lease_until)
    theirs = (c.kind == bindparam("of_kind"), c.resource_id.in_(bindparam("resources", expanding=True)))
    return Prepared(update(_TASKS).where(*theirs).values(values).returning(*(c[name] for name in _KEPT)), make=Claimed)


def _taken_over(*, asked: bool, at_once: bool) -> dict[str, Any]:
    """Whose work the steps after a signal are.

    A task that waits without a deadline is at rest, and what the cloud does by itself makes room for a request. The
    cloud's own signals only take over a task at rest.
    """
    c, nobody = _TASKS.c, str(log.NOBODY)
    if not asked:
        return {"origin": case((c.wake_at.is_(None), nobody), else_=c.origin)}
    mine: BindParameter[str] = bindparam("mine", type_=String(192))
    if at_once:
        return {"origin": mine, "next_origin": null()}
    at_rest = or_(c.wake_at.is_(None), c.origin == nobody)
    return {"origin": case((at_rest, mine), else_=c.origin), "next_origin": case((at_rest, null()), else_=mine)}
