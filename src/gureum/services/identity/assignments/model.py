"""Role assignments, and which roles they amount to."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ForeignKey, Index, String, and_, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.types import Id, Row
from gureum.services.identity.groups.model import GroupMember
from gureum.services.identity.projects.model import Project
from gureum.services.identity.roles.model import ImpliedRole

SYSTEM = "system"
"""The target id of assignments on the system."""


class Assignment(Row):
    """`actor_kind` is user or group, `target_kind` is project, domain or system."""

    __tablename__ = "assignments"
    __table_args__ = (
        Index("ix_assignments_target", "target_kind", "target_id"),
        Index("ix_assignments_actor_id", "actor_id"),
    )

    actor_kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    actor_id: Mapped[str] = mapped_column(Id, primary_key=True)
    target_kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    target_id: Mapped[str] = mapped_column(Id, primary_key=True)
    role_id: Mapped[str] = mapped_column(ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True)
    inherited: Mapped[bool] = mapped_column(primary_key=True, default=False)


def ancestors(tx: Tx, project_id: str) -> list[str]:
    """The parents of a project from the nearest to its domain."""
    found: list[str] = []
    current: str | None = project_id
    while current is not None:
        current = tx.scalar(select(Project.parent_id).where(Project.id == current))
        if current is None or current in found:
            break
        found.append(current)
    return found


def direct_roles(tx: Tx, user_id: str, target_kind: str, target_id: str, above: Iterable[str] = ()) -> set[str]:
    """Role ids that a user holds on a target, by itself or through groups, inherited from `above` included."""
    groups = select(GroupMember.group_id).where(GroupMember.user_id == user_id)
    actor = or_(
        and_(Assignment.actor_kind == "user", Assignment.actor_id == user_id),
        and_(Assignment.actor_kind == "group", Assignment.actor_id.in_(groups)),
    )
    here = and_(
        Assignment.target_kind == target_kind, Assignment.target_id == target_id, Assignment.inherited.is_(False)
    )
    parents = list(above)
    target = or_(here, and_(Assignment.inherited.is_(True), Assignment.target_id.in_(parents))) if parents else here
    return set(tx.scalars(select(Assignment.role_id).where(actor, target)))


def with_implied(tx: Tx, role_ids: Iterable[str]) -> set[str]:
    """The roles and all that they imply."""
    implies: dict[str, list[str]] = {}
    for prior, implied in tx.execute(select(ImpliedRole.prior_id, ImpliedRole.implied_id)):
        implies.setdefault(prior, []).append(implied)
    found: set[str] = set()
    waiting = list(role_ids)
    while waiting:
        role_id = waiting.pop()
        if role_id not in found:
            found.add(role_id)
            waiting += implies.get(role_id, [])
    return found
