"""Effective assignments: groups expanded to their members, inheritance followed, implied roles added."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from sqlalchemy import Select, select

from gureum.foundation.db.engine import Tx
from gureum.services.identity.assignments.model import Assignment
from gureum.services.identity.groups.model import GroupMember
from gureum.services.identity.projects.hierarchy import subtree
from gureum.services.identity.roles.model import GLOBAL, ImpliedRole, Role

FEW = 1000
"""Up to so many groups are named in a statement; for more, all memberships are read."""


class AssignmentRow(Struct, frozen=True, gc=False):
    """An assignment as it is stored; or as it takes effect, for one user, and through what it does."""

    actor_kind: str
    actor_id: str
    target_kind: str
    target_id: str
    role_id: str
    inherited: bool = False
    group_id: str | None = None
    inherited_from: str | None = None
    prior_id: str | None = None


Stored = Select[str, str, str, str, str, bool]
STORED: Stored = select(
    Assignment.actor_kind,
    Assignment.actor_id,
    Assignment.target_kind,
    Assignment.target_id,
    Assignment.role_id,
    Assignment.inherited,
)
"""The fields of a stored row in their order."""


def effective(tx: Tx, rows: Iterable[AssignmentRow]) -> list[AssignmentRow]:
    """Assignments as they take effect, each combination once."""
    rows = list(rows)
    members: dict[str, list[str]] = {}
    groups = sorted({row.actor_id for row in rows if row.actor_kind == "group"})
    in_groups = select(GroupMember.group_id, GroupMember.user_id)
    if len(groups) <= FEW:
        in_groups = in_groups.where(GroupMember.group_id.in_(groups))
    for group_id, user_id in tx.execute(in_groups):
        members.setdefault(group_id, []).append(user_id)
    implies: dict[str, list[str]] = {}
    for upper, lower in tx.execute(select(ImpliedRole.prior_id, ImpliedRole.implied_id)):
        implies.setdefault(upper, []).append(lower)
    # A domain's own role has no effect but through what it implies.
    of_domains = set(tx.scalars(select(Role.id).where(Role.scope != GLOBAL)))
    assignments: dict[tuple[str, str, str, str], AssignmentRow] = {}
    below: dict[str, list[str]] = {}
    for row in rows:
        actors = members.get(row.actor_id, []) if row.actor_kind == "group" else [row.actor_id]
        through = row.actor_id if row.actor_kind == "group" else None
        targets = [(row.target_kind, row.target_id)]
        if row.inherited:
            if row.target_id not in below:
                below[row.target_id] = [project.id for project in subtree(tx, row.target_id)]
            targets = [("project", project_id) for project_id in below[row.target_id]]
        source = row.target_id if row.inherited else None
        for actor in actors:
            for kind, target in targets:
                for role_id, prior in _closure(row.role_id, implies):
                    if role_id in of_domains:
                        continue
                    item = AssignmentRow("user", actor, kind, target, role_id, False, through, source, prior)
                    assignments.setdefault((actor, kind, target, role_id), item)
    return list(assignments.values())


def _closure(role_id: str, implies: dict[str, list[str]]) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = [(role_id, None)]
    seen = {role_id}
    for current, _ in found:
        for implied in implies.get(current, []):
            if implied not in seen:
                seen.add(implied)
                found.append((implied, current))
    return found
