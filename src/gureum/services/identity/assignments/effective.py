"""What assignments amount to: groups taken apart, inheritance followed, implied roles added; and their views."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from gureum.foundation.db.engine import Tx
from gureum.foundation.http.call import Call
from gureum.services.identity.assignments.model import Assignment
from gureum.services.identity.groups.model import Group, GroupMember
from gureum.services.identity.projects.hierarchy import subtree
from gureum.services.identity.projects.model import Project
from gureum.services.identity.roles.model import GLOBAL, ImpliedRole, Role
from gureum.services.identity.users.model import User

FEW = 1000
"""Up to so many groups are named in a statement; for more, all memberships are read."""


@dataclass(frozen=True, slots=True)
class Effective:
    """One user's one role on one target, and through what it holds: a link each."""

    actor_id: str
    target_kind: str
    target_id: str
    role_id: str
    group_id: str | None = None
    inherited_from: str | None = None
    prior_id: str | None = None
    actor_kind: str = "user"
    inherited: bool = False


def effective(tx: Tx, rows: Iterable[Assignment]) -> list[Effective]:
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
    found: dict[tuple[str, str, str, str], Effective] = {}
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
                    item = Effective(actor, kind, target, role_id, through, source, prior)
                    found.setdefault((actor, kind, target, role_id), item)
    return list(found.values())


def _closure(role_id: str, implies: dict[str, list[str]]) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = [(role_id, None)]
    seen = {role_id}
    for current, _ in found:
        for implied in implies.get(current, []):
            if implied not in seen:
                seen.add(implied)
                found.append((implied, current))
    return found


def views_of(call: Call[Any], rows: Sequence[Any], *, names: bool) -> list[dict[str, Any]]:
    """The documents of GET /v3/role_assignments. A token of a domain is told no names of other domains' people."""
    known = _names(call.tx, rows, call.caller.domain_id) if names else None
    return [_view(call, row, known) for row in rows]


def _names(tx: Tx, rows: Sequence[Any], within: str | None) -> dict[str, dict[str, Any]]:
    """id -> {"name", and "domain" where it has one}."""
    projects = {row.id: row for row in tx.scalars(select(Project))}
    found: dict[str, dict[str, Any]] = {}

    def domain(id_: str | None) -> dict[str, Any]:
        return {"id": id_, "name": projects[id_].name} if id_ is not None and id_ in projects else {}

    for row in projects.values():
        found[row.id] = {"name": row.name} if row.is_domain else {"name": row.name, "domain": domain(row.domain_id)}
    actors = sorted({row.actor_id for row in rows})
    for user in tx.scalars(select(User).where(User.id.in_(actors))):
        if within in (None, user.domain_id):
            found[user.id] = {"name": user.name, "domain": domain(user.domain_id)}
    for group in tx.scalars(select(Group).where(Group.id.in_(actors))):
        if within in (None, group.domain_id):
            found[group.id] = {"name": group.name, "domain": domain(group.domain_id)}
    for role in tx.scalars(select(Role)):
        found[role.id] = {"name": role.name} | ({"domain": domain(role.domain_id)} if role.domain_id else {})
    return found


def _view(call: Call[Any], row: Any, names: dict[str, dict[str, Any]] | None) -> dict[str, Any]:
    def named(id_: str) -> dict[str, Any]:
        return {"id": id_, **(names.get(id_, {}) if names else {})}

    scope: dict[str, Any] = {"system": {"all": True}}
    if row.target_kind != "system":
        scope = {row.target_kind: named(row.target_id)}
    source = getattr(row, "inherited_from", None)
    if row.inherited or source:
        scope["OS-INHERIT:inherited_to"] = "projects"
    target = "system" if row.target_kind == "system" else f"{row.target_kind}s/{row.target_id}"
    base = f"{call.base_url}/v3"
    links = {"assignment": f"{base}/{target}/{row.actor_kind}s/{row.actor_id}/roles/{row.role_id}"}
    if group := getattr(row, "group_id", None):
        links["assignment"] = f"{base}/{target}/groups/{group}/roles/{row.role_id}"
        links["membership"] = f"{base}/groups/{group}/users/{row.actor_id}"
    if prior := getattr(row, "prior_id", None):
        links["prior_role"] = f"{base}/roles/{prior}"
    return {"role": named(row.role_id), row.actor_kind: named(row.actor_id), "scope": scope, "links": links}
