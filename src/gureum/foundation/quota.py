"""Quotas: limits of a project over counted resources. The check is pure; counting is each service's own query.

A limit of -1 is no limit. Project limits are rows of `QuotaLimit`; what has no row has the service's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
class Overrun:
    """One quota that a request would exceed."""

    resource: str
    limit: int
    used: int
    requested: int

    def __str__(self) -> str:
        return f"{self.resource}: {self.requested} requested, {self.used} of {self.limit} in use"


def overruns(limits: Mapping[str, int], used: Mapping[str, int], requested: Mapping[str, int]) -> list[Overrun]:
    """What of `requested` does not fit; empty when all does. A request of nothing always fits."""
    return [
        Overrun(name, limits[name], used.get(name, 0), amount)
        for name, amount in requested.items()
        if amount > 0 and limits.get(name, UNLIMITED) != UNLIMITED and used.get(name, 0) + amount > limits[name]
    ]


_LIMITS = Prepared(
    select(QuotaLimit.project_id, QuotaLimit.resource, QuotaLimit.limit).where(
        QuotaLimit.service == bindparam("service"), QuotaLimit.project_id.in_(bindparam("projects", expanding=True))
    )
)


def limits_of(tx: Tx, service: str, project_id: str, defaults: Mapping[str, int]) -> dict[str, int]:
    """The limits in force for a project: its own rows over the operator's defaults over the service's."""
    found = dict(defaults)
    rows = _LIMITS.all(tx, service=service, projects=(EVERY_PROJECT, project_id))
    for row in sorted(rows, key=lambda r: r.project_id != EVERY_PROJECT):
        if row.resource in found:
            found[row.resource] = row.limit
    return found


def set_limits(tx: Tx, service: str, project_id: str, limits: Mapping[str, int]) -> None:
    for resource, limit in limits.items():
        tx.merge(QuotaLimit(service=service, project_id=project_id, resource=resource, limit=limit))


def clear_limits(tx: Tx, service: str, project_id: str) -> None:
    """Back to the defaults."""
    for row in tx.scalars(select(QuotaLimit).where(QuotaLimit.service == service, QuotaLimit.project_id == project_id)):
        tx.delete(row)
