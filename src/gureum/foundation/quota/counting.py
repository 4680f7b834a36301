"""What is used: rows of a table, or sums over them, of a project, of a user in it, of a tree of projects.

The invariant: whatever is asked at once is one statement, with one scan for each `Rows`. Counting happens in the
transaction that adds the rows, which is serializable: nothing is reserved, so no reservation can drift.
Read next: `quotas.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    FromClause,
    ScalarSelect,
    Select,
    String,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, as_tuple
from gureum.foundation.quota.limits import EVERY_PROJECT, PROJECT_ITSELF, ProjectsOfTree, QuotaLimit

_PROJECT: BindParameter[str] = bindparam("project", type_=String)
_USER: BindParameter[str] = bindparam("user", type_=String)
_TREE: BindParameter[str] = bindparam("tree", type_=String)
Column = InstrumentedAttribute[Any]
_Whose = tuple[str, ...]
"""Fields of `Used`."""


@dataclass(frozen=True, slots=True)
class Projects:
    """Who is counted together: the project `id`, or all projects of the tree below the domain `id`."""

    id: str
    _inside: ProjectsOfTree | None = None

    @property
    def are_a_tree(self) -> bool:
        return self._inside is not None

    @property
    def inside(self) -> ProjectsOfTree | None:
        """For a tree, the statement of its projects."""
        return self._inside

    def hold(self, column: ColumnElement[Any] | Column) -> ColumnElement[bool]:
        """The condition that `column` is the id of one of them, for a counter of a service's own."""
        return column == self.id if self._inside is None else column.in_(self._inside(self.id))


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a table that count: all that fulfil `where`, each of one project, and of one user of it.

    Without `project` they are of a user, whatever the project. `source` is what is read if it is more than the table.
    """

    project: Column | None
    where: tuple[ColumnElement[bool], ...] = ()
    user: Column | None = None
    source: FromClause | None = None

    def count(self) -> Count:
        """One for each row."""
        return Count(self, None)

    def sum(self, amount: ColumnElement[Any] | Column) -> Count:
        """The sum of a column, or of any expression, over the rows."""
        return Count(self, amount)

    @property
    def read(self) -> Any:
        owner = self.project if self.project is not None else self.user
        return owner.class_.__table__ if self.source is None and owner is not None else self.source


@dataclass(frozen=True, eq=False)
class Count:
    """What one quota counts."""

    rows: Rows
    amount: ColumnElement[Any] | Column | None

    def over(self, condition: ColumnElement[bool] | None = None) -> ColumnElement[int]:
        """The aggregate over all rows that are read, or over those that fulfil `condition`."""
        if self.amount is None and condition is None:
            return func.count()
        amount: Any = 1 if self.amount is None else self.amount
        return func.coalesce(func.sum(amount if condition is None else case((condition, amount), else_=0)), 0)


class Family(Protocol):
    """Quotas that nobody lists, all of one prefix: those that exist have a unified limit. The service counts them."""

    @property
    def prefix(self) -> str: ...

    def count(self, tx: Tx, projects: Projects, names: Sequence[str]) -> Mapping[str, int]:
        """How much of each of `names` these projects use."""


@dataclass(frozen=True, slots=True)
class Used:
    """Amounts by resource: of the project, of one user in it, of all projects of its tree.

    What is counted for users alone is under `user` and under `project`.
    """

    project: dict[str, int] = field(default_factory=dict)
    user: dict[str, int] = field(default_factory=dict)
    tree: dict[str, int] = field(default_factory=dict)


def count(
    tx: Tx, counters: Mapping[str, Count], project_id: str, user_id: str = "", tree: Projects | None = None
) -> Used:
    """One statement for all of `counters`, or none when there are none. `user_id` "" counts for no user."""
    if not counters:
        return Used()
    counting = _counting(tuple(counters.values()), bool(user_id), tree.inside if tree else None)
    (amounts,) = counting.statement.all(tx, project=project_id, user=user_id, tree=tree.id if tree else "")
    used, names = Used(), list(counters)
    for (place, whose), amount in zip(counting.columns, amounts, strict=True):
        for kind in whose:
            getattr(used, kind)[names[place]] = int(amount)
    return used


@dataclass(frozen=True, slots=True)
class _Counting:
    """A statement of one row, and for each of its columns which counter it is of and whose amount it is."""

    statement: Prepared[tuple[Any, ...]]
    columns: tuple[tuple[int, _Whose], ...]


@cache
def _counting(counters: tuple[Count, ...], with_user: bool, inside: ProjectsOfTree | None) -> _Counting:
    columns: list[tuple[int, _Whose]] = []
    scans: list[Select[Any]] = []
    for rows in dict.fromkeys(counter.rows for counter in counters):
        own = [(place, counter) for place, counter in enumerate(counters) if counter.rows is rows]
        aggregates: list[Any] = []
        for place, counter in own:
            for whose, condition in _conditions(rows, inside is not None, with_user):
                columns.append((place, whose))
                aggregates.append(counter.over(condition).label(f"amount_{len(columns)}"))
        scans.append(select(*aggregates).select_from(rows.read).where(_owner(rows, inside), *rows.where))
    return _Counting(Prepared(_side_by_side(scans), as_tuple), tuple(columns))


def _conditions(rows: Rows, in_tree: bool, with_user: bool) -> list[tuple[_Whose, ColumnElement[bool] | None]]:
    """Whose amounts are read, and which of the rows that the scan reads are theirs; None for all of them."""
    if rows.project is None:
        return [(("project", "user"), None)]
    mine = rows.project == _PROJECT
    found: list[tuple[_Whose, ColumnElement[bool] | None]] = [(("project",), mine if in_tree else None)]
    if with_user and rows.user is not None:
        found.append((("user",), and_(mine, rows.user == _USER)))
    if in_tree:
        found.append((("tree",), None))
    return found


def _owner(rows: Rows, inside: ProjectsOfTree | None) -> Any:
    if rows.project is None:
        return rows.user == _USER
    return rows.project == _PROJECT if inside is None else rows.project.in_(inside(_TREE))


def _side_by_side(scans: list[Select[Any]]) -> Select[Any]:
    """Statements of one row each as one of one row."""
    if len(scans) == 1:
        return scans[0]
    parts = [scan.subquery() for scan in scans]
    joined: FromClause = parts[0]
    for part in parts[1:]:
        joined = joined.join(part, true())
    return select(*(column for part in parts for column in part.c)).select_from(joined)


# -- one resource: limit and use in one statement ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OneResource:
    """A service's resource with its counter."""

    service: str
    name: str
    counter: Count


def limit_and_use(
    tx: Tx, resource: OneResource, project_id: str, unified: tuple[int | None, int], tree: Projects | None
) -> tuple[int, int, int]:
    """The limit in force, what the project uses and what its tree does. `unified` are its own limit and the default.

    One statement. What a project uses is counted only against a limit: counting reads all of it.
    """
    own, default = unified
    values = {"project": project_id, "unified": own, "default": default, "tree": tree.id if tree else ""}
    ((limit, used, together),) = _limit_and_use(resource, tree.inside if tree else None).all(tx, **values)
    return int(limit), int(used), int(together)


@cache
def _limit_and_use(resource: OneResource, inside: ProjectsOfTree | None) -> Prepared[tuple[int, int, int]]:
    """The order of limits is that of `limits.in_force`."""
    limit: ColumnElement[int] = func.coalesce(
        _stored(resource, _PROJECT),
        bindparam("unified", type_=BigInteger),
        _stored(resource, EVERY_PROJECT),
        bindparam("default", type_=BigInteger),
    )
    used = case((limit < 0, 0), else_=_used(resource.counter, None))
    together = literal_column("0") if inside is None else _used(resource.counter, inside)
    return Prepared(select(limit.label("limit"), used.label("used"), together.label("together")), as_tuple)


def _stored(resource: OneResource, project_id: str | BindParameter[str]) -> ScalarSelect[int]:
    own = (QuotaLimit.service == resource.service, QuotaLimit.project_id == project_id)
    row = (*own, QuotaLimit.resource == resource.name, QuotaLimit.user_id == PROJECT_ITSELF)
    return select(QuotaLimit.limit).where(*row).scalar_subquery()


def _used(counter: Count, inside: ProjectsOfTree | None) -> ScalarSelect[int]:
    rows = counter.rows
    return select(counter.over()).select_from(rows.read).where(_owner(rows, inside), *rows.where).scalar_subquery()
