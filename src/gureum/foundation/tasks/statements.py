"""The statements by which a worker claims tasks and moves them on, prepared once.

Invariant: a task is moved or ended only by the worker that holds its lease. Read next: `engine.py`.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Float, String, and_, bindparam, case, delete, null, select, update

from gureum.foundation.db.prepared import Prepared, only, table_of
from gureum.foundation.db.types import Json
from gureum.foundation.tasks.model import CLAIMED, Claimed, Task

_T = table_of(Task).c
_MINE = (_T.id == bindparam("task_id"), _T.lease_owner == bindparam("owner"))
_UNMOVED = _T.signals == bindparam("seen")
_TAKES_OVER = and_(bindparam("rests", type_=Boolean), _T.next_origin.is_not(None))
MOVE = Prepared(
    update(table_of(Task))
    .where(*_MINE)
    .values(
        {
            _T.step: bindparam("new_step"),
            _T.data: bindparam("new_data", type_=Json),
            _T.attempts: bindparam("new_attempts"),
            _T.reason: bindparam("new_reason"),
            _T.since: case((_T.reason == bindparam("new_reason"), _T.since), else_=bindparam("now")),
            _T.deadline_at: bindparam("new_deadline", type_=Float(53)),
            _T.on_deadline: bindparam("new_on_deadline", type_=String(64)),
            _T.origin: case((_TAKES_OVER, _T.next_origin), else_=_T.origin),
            _T.next_origin: case((bindparam("rests", type_=Boolean), null()), else_=_T.next_origin),
            _T.divert: case((_UNMOVED, null()), else_=_T.divert),
            _T.wake_at: case((_UNMOVED, bindparam("rest_wake", type_=Float(53))), else_=bindparam("now")),
            _T.lease_until: case((_UNMOVED, bindparam("rest_lease")), else_=bindparam("lease")),
        }
    )
    .returning(_T.signals, _T.divert, _T.origin)
)
"""Moves a task, if its lease is still ours; one that was signalled meanwhile stays due and leased. At rest, what was
done for one request is over, and the one that signalled meanwhile takes over."""
END = Prepared(delete(table_of(Task)).where(*_MINE))
_DUE = (_T.wake_at <= bindparam("now"), _T.lease_until < bindparam("now"))
FIND_DUE = Prepared(select(_T.id).where(*_DUE).order_by(_T.wake_at).limit(bindparam("most")), make=only)
ARE_DUE = Prepared(select(_T.id).where(_T.id.in_(bindparam("wanted", expanding=True)), *_DUE), make=only)
LEASE = Prepared(
    update(table_of(Task))
    .where(_T.id.in_(bindparam("found", expanding=True)), *_DUE)
    .values(lease_owner=bindparam("owner"), lease_until=bindparam("until"))
    .returning(*CLAIMED),
    make=Claimed,
)
HELD = Prepared(
    select(*CLAIMED).where(*_MINE, _T.lease_until >= bindparam("now"), _T.wake_at <= bindparam("now")),
    make=Claimed,
)
