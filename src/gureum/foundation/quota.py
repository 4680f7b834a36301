"""Quotas: limits of a project over counted resources. The check is pure; counting is each service's own query.

A limit of -1 is no limit. `in_force` says which of the places where a limit may be set wins: what is said of the one
project before what is said of all, and at either the service's own rows (`QuotaLimit`) before identity's unified
limits. A limit of a tree of projects (strict two-level) holds beside all of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import String, bindparam, select
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared
from gureum.foundation.db.types import Id, Row

UNLIMITED = -1
EVERY_PROJECT = "*"


class QuotaLimit(Row):
    """A limit that differs from the default. `project_id` "*" holds an operator's own default (default class)."""

    __tablename__ = "quota_limits"

    service: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(Id, primary_key=True)
    resource: Mapped[str] = mapped_column(String(64), primary_key=True)
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
UnifiedLimitsOf = Callable[[str], UnifiedLimits]
"""project id -> its unified limits for the service that asks; from memory."""


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
    """One quota that a request would exceed: the project's or, with `of_tree`, that of its domain's projects."""

    resource: str
    limit: int
    used: int
    requested: int
    of_tree: bool = False

    def __str__(self) -> str:
        whose = " by all projects of the domain" if self.of_tree else ""
        return f"{self.resource}: {self.requested} requested, {self.used} of {self.limit} in use{whose}"


def overruns(
    limits: Mapping[str, int], used: Mapping[str, int], requested: Mapping[str, int], *, of_tree: bool = False
) -> list[Overrun]:
    """What of `requested` does not fit; empty when all does. A request of nothing always fits."""
    return [
        Overrun(name, limits[name], used.get(name, 0), amount, of_tree)
        for name, amount in requested.items()
        if amount > 0 and limits.get(name, UNLIMITED) != UNLIMITED and used.get(name, 0) + amount > limits[name]
    ]


_LIMITS = Prepared(
    select(QuotaLimit.project_id, QuotaLimit.resource, QuotaLimit.limit).where(
        QuotaLimit.service == bindparam("service"), QuotaLimit.project_id.in_(bindparam("projects", expanding=True))
    )
)


def limits_of(
    tx: Tx, service: str, project_id: str, defaults: Mapping[str, int], unified: UnifiedLimits = NO_UNIFIED_LIMITS
) -> dict[str, int]:
    """The limits in force for a project; for `EVERY_PROJECT` those of a project of which nothing is said."""
    rows = _LIMITS.all(tx, service=service, projects=(EVERY_PROJECT, project_id))
    operator = {row.resource: row.limit for row in rows if row.project_id == EVERY_PROJECT}
    own = {row.resource: row.limit for row in rows if row.project_id != EVERY_PROJECT}
    return in_force(defaults, unified.by_resource, operator, own)


def set_limits(tx: Tx, service: str, project_id: str, limits: Mapping[str, int]) -> None:
    for resource, limit in limits.items():
        tx.merge(QuotaLimit(service=service, project_id=project_id, resource=resource, limit=limit))


def clear_limits(tx: Tx, service: str, project_id: str) -> None:
    """Back to the defaults."""
    for row in tx.scalars(select(QuotaLimit).where(QuotaLimit.service == service, QuotaLimit.project_id == project_id)):
        tx.delete(row)
