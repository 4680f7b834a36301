"""Limits: where one may be set, which of several is in force, and what of a request does not fit.

A limit of -1 is no limit. `in_force` says which of the places where a limit may be set wins: what is said of the one
project before what is said of all, and at either the service's own rows (`QuotaLimit`) before identity's unified
limits. A limit of a tree of projects (strict two-level) holds beside all of these. Read next: `counting.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import BindParameter, Select, String, bindparam, func, select
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared
from gureum.foundation.db.types import Id, Row

UNLIMITED = -1
EVERY_PROJECT = "*"
PROJECT_ITSELF = ""


class QuotaLimit(Row):
    """A limit that differs from the default. `project_id` "*" holds an operator's own default (default class).

    With a `user_id` it is that of one user within the project, "" is the project's own.
    """

    __tablename__ = "quota_limits"

    service: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(Id, primary_key=True)
    resource: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(Id, primary_key=True, default=PROJECT_ITSELF)
    limit: Mapped[int]


@dataclass(frozen=True, slots=True)
class UnifiedLimit:
    """What identity's unified limits say of one resource: the registered default, and a project's own limit.

    `tree` is what all projects of its tree may use together.
    """

    default: int
    own: int | None = None
    tree: int = UNLIMITED


@dataclass(frozen=True, slots=True)
class UnifiedLimits:
    """Those of one project for one service, by the resource's name. `tree_id` is the domain of its tree, if counted."""

    by_resource: Mapping[str, UnifiedLimit] = field(default_factory=dict)
    tree_id: str | None = None

    def named(self, names: Mapping[str, str]) -> UnifiedLimits:
        """Under the names of a service's API, which `names` gives the unified ones for; the others are left out."""
        known = self.by_resource
        found = {name: known[unified] for name, unified in names.items() if unified in known} if known else {}
        return UnifiedLimits(found, self.tree_id)

    def tree(self) -> dict[str, int]:
        """The limits of the tree; empty where nothing is counted over one."""
        if self.tree_id is None:
            return {}
        return {name: limit.tree for name, limit in self.by_resource.items() if limit.tree != UNLIMITED}


NO_UNIFIED_LIMITS = UnifiedLimits()
ProjectsOfTree = Callable[["str | BindParameter[str]"], Select[str]]
"""A domain's id -> the statement of the ids of all projects that it limits together."""


class UnifiedSource(Protocol):
    """Who keeps the unified limits: identity."""

    def limits(self, service: str, project_id: str, /) -> UnifiedLimits:
        """Those of a project for a service, from memory; those of nobody in particular for `EVERY_PROJECT`."""

    @property
    def projects_of_tree(self) -> ProjectsOfTree:
        """The same function each time: statements are made once for it."""


def in_force(
    defaults: Mapping[str, int],
    unified: Mapping[str, UnifiedLimit],
    operator: Mapping[str, int] | None = None,
    own: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """The limit of each resource of `defaults`: the first that is set of the project's own row, the project's unified
    limit, the operator's default row, the registered default, the service's default.
    """
    found = {name: unified[name].default if name in unified else limit for name, limit in defaults.items()}
    found |= {name: limit for name, limit in (operator or {}).items() if name in found}
    found |= {name: limit.own for name, limit in unified.items() if name in found and limit.own is not None}
    return found | {name: limit for name, limit in (own or {}).items() if name in found}


@dataclass(frozen=True, slots=True)
class Overrun:
    """One quota that a request would exceed: the project's, with `of_tree` that of its domain's projects, or with
    `of_user` that of the caller in the project. `holder` is the id of the project or of the domain.
    """

    resource: str
    limit: int
    used: int
    requested: int
    of_tree: bool = False
    of_user: bool = False
    holder: str = ""

    def __str__(self) -> str:
        whose = " by all projects of the domain" if self.of_tree else " by this user" if self.of_user else ""
        return f"{self.resource}: {self.requested} requested, {self.used} of {self.limit} in use{whose}"


def overruns(
    limits: Mapping[str, int],
    used: Mapping[str, int],
    requested: Mapping[str, int],
    *,
    of_tree: bool = False,
    of_user: bool = False,
    holder: str = "",
) -> list[Overrun]:
    """What of `requested` does not fit; empty when all does. A request of nothing always fits."""
    return [
        Overrun(name, limits[name], used.get(name, 0), amount, of_tree, of_user, holder)
        for name, amount in requested.items()
        if amount > 0 and limits.get(name, UNLIMITED) != UNLIMITED and used.get(name, 0) + amount > limits[name]
    ]


_STORED = Prepared(
    select(QuotaLimit.project_id, QuotaLimit.user_id, QuotaLimit.resource, QuotaLimit.limit).where(
        QuotaLimit.service == bindparam("service"),
        QuotaLimit.project_id.in_(bindparam("projects", expanding=True)),
        QuotaLimit.user_id.in_(bindparam("users", expanding=True)),
    )
)


@dataclass(frozen=True, slots=True)
class StoredLimits:
    """The rows that concern a project and a user in it: the operator's defaults, the project's own, the user's own."""

    operator: Mapping[str, int] = field(default_factory=dict)
    own: Mapping[str, int] = field(default_factory=dict)
    user: Mapping[str, int] = field(default_factory=dict)


def stored_limits(tx: Tx, service: str, project_id: str, user_id: str = PROJECT_ITSELF) -> StoredLimits:
    """One statement. Of `EVERY_PROJECT` there are the operator's defaults alone."""
    rows = _STORED.all(tx, service=service, projects=(EVERY_PROJECT, project_id), users=(PROJECT_ITSELF, user_id))
    return StoredLimits(
        {row.resource: row.limit for row in rows if row.project_id == EVERY_PROJECT},
        {row.resource: row.limit for row in rows if row.project_id != EVERY_PROJECT and not row.user_id},
        {row.resource: row.limit for row in rows if row.user_id},
    )


def users_limits_together(tx: Tx, service: str, project_id: str) -> dict[str, int]:
    """For each resource, the sum of the limits that users of a project have of their own, without unlimited ones."""
    mine = (QuotaLimit.service == service, QuotaLimit.project_id == project_id)
    limited = (QuotaLimit.user_id != PROJECT_ITSELF, QuotaLimit.limit != UNLIMITED)
    sums = select(QuotaLimit.resource, func.sum(QuotaLimit.limit)).where(*mine, *limited).group_by(QuotaLimit.resource)
    return {resource: int(amount) for resource, amount in tx.execute(sums)}


def projects_with_limits(tx: Tx, service: str) -> Sequence[str]:
    """The projects that have limits of their own, by id."""
    own = select(QuotaLimit.project_id).where(QuotaLimit.service == service, QuotaLimit.project_id != EVERY_PROJECT)
    return tx.scalars(own.distinct().order_by(QuotaLimit.project_id)).all()


def set_limits(tx: Tx, service: str, project_id: str, limits: Mapping[str, int], user_id: str = PROJECT_ITSELF) -> None:
    for resource, limit in limits.items():
        row = QuotaLimit(service=service, project_id=project_id, resource=resource, user_id=user_id, limit=limit)
        tx.merge(row)
    tx.flush()


def clear_limits(tx: Tx, service: str, project_id: str, user_id: str | None = None) -> None:
    """Back to the defaults, for one user or for the project and all of its users."""
    statement = select(QuotaLimit).where(QuotaLimit.service == service, QuotaLimit.project_id == project_id)
    if user_id is not None:
        statement = statement.where(QuotaLimit.user_id == user_id)
    for row in tx.scalars(statement):
        tx.delete(row)
