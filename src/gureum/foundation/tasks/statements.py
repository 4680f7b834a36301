"""The statements by which a worker claims tasks and moves them on, prepared once.

Invariants: a worker claims only tasks that it can run; a task is moved or ended only by the worker that holds its
lease. Read next: `engine.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    Boolean,
    ColumnElement,
    Float,
    String,
    and_,
    bindparam,
    case,
    delete,
    false,
    literal_column,
    null,
    or_,
    select,
    update,
)

from gureum.foundation import log
from gureum.foundation.db.prepared import Prepared, only, table_of
from gureum.foundation.db.types import Json
from gureum.foundation.tasks.lifecycle import Lifecycle
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
HELD = Prepared(
    select(*CLAIMED).where(*_MINE, _T.lease_until >= bindparam("now"), _T.wake_at <= bindparam("now")),
    make=Claimed,
)
"""A task that is leased to us and due."""


def known(lifecycles: Iterable[Lifecycle]) -> ColumnElement[bool]:
    """Tasks that a worker with these lifecycles can run: their kind and every step that the row names.

    A worker of another version beside this one may leave a name that only it knows: such a task is its own. Names are
    written into the text, so that no statement has more parameters. It is a CASE: SQLite looks up alternatives in
    the index of kinds, and would read every task to find the few that are due.
    """
    whens = [(_T.kind == _literal(lifecycle.kind), and_(*_known_to(lifecycle))) for lifecycle in lifecycles]
    return case(*whens, else_=false()) if whens else false()


def _known_to(lifecycle: Lifecycle) -> Iterator[ColumnElement[bool]]:
    names = [_literal(name) for name in sorted(lifecycle.by_name)]
    yield _T.step.in_(names)
    for name in (_T.divert, _T.on_deadline):
        yield or_(name.is_(None), name.in_(names))


def _literal(name: str) -> ColumnElement[str]:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a kind or step: lower case letters, digits, _ and - only")
    return literal_column(f"'{name}'", String(64))


_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class Claims:
    """The statements by which a worker that knows these lifecycles takes tasks, prepared once for them."""

    def __init__(self, lifecycles: Collection[Lifecycle]) -> None:
        self.kinds = frozenset(lifecycle.kind for lifecycle in lifecycles)
        self._known = known(lifecycles)
        due = (_T.wake_at <= bindparam("now"), _T.lease_until < bindparam("now"), self._known)
        ids: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
        leased: dict[Any, Any] = {_T.lease_owner: bindparam("owner"), _T.lease_until: bindparam("until")}
        self.find_due = Prepared(select(_T.id).where(*due).order_by(_T.wake_at).limit(bindparam("most")), make=only)
        self.are_due = Prepared(select(_T.id).where(_T.id.in_(ids), *due), make=only)
        self.lease = Prepared(
            update(table_of(Task)).where(_T.id.in_(ids), *due).values(leased).returning(*CLAIMED), make=Claimed
        )
        self._signals: dict[tuple[bool, bool], Prepared[Claimed]] = {}

    def signal(self, *, diverting: bool, asked: bool) -> Prepared[Claimed]:
        """Counts a signal; leases an idle task that is known here to `owner`; sends it to `to` when diverting.

        When a request asked, its origin is `mine`.
        """
        found = self._signals.get((diverting, asked))
        if found is None:
            found = self._signals[diverting, asked] = self._signal(diverting=diverting, asked=asked)
        return found

    def _signal(self, *, diverting: bool, asked: bool) -> Prepared[Claimed]:
        now: BindParameter[float] = bindparam("now")
        values: dict[Any, Any] = {_T.signals: _T.signals + 1, _T.wake_at: now}
        values |= _taken_over(asked=asked, at_once=diverting)
        if diverting:
            values |= {_T.divert: bindparam("to"), _T.attempts: 0}
        if self.kinds:
            idle = and_(_T.lease_until < now, self._known)
            values[_T.lease_owner] = case((idle, bindparam("owner")), else_=_T.lease_owner)
            values[_T.lease_until] = case((idle, bindparam("until")), else_=_T.lease_until)
        theirs = (_T.kind == bindparam("of_kind"), _T.resource_id.in_(bindparam("resources", expanding=True)))
        return Prepared(update(table_of(Task)).where(*theirs).values(values).returning(*CLAIMED), make=Claimed)


def _taken_over(*, asked: bool, at_once: bool) -> dict[Any, Any]:
    """Whose work the steps after a signal are.

    A task that waits without a deadline is at rest, and what the cloud does by itself makes room for a request. The
    cloud's own signals only take over a task at rest.
    """
    nobody = str(log.NOBODY)
    if not asked:
        return {_T.origin: case((_T.wake_at.is_(None), nobody), else_=_T.origin)}
    mine: BindParameter[str] = bindparam("mine", type_=String(192))
    if at_once:
        return {_T.origin: mine, _T.next_origin: null()}
    at_rest = or_(_T.wake_at.is_(None), _T.origin == nobody)
    return {_T.origin: case((at_rest, mine), else_=_T.origin), _T.next_origin: case((at_rest, null()), else_=mine)}
