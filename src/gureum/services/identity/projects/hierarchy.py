"""The tree of projects: what is above and below one, and which of them a user reaches and may see."""

from __future__ import annotations

from sqlalchemy import BindParameter, bindparam, select

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, as_tuple, columns_of
from gureum.foundation.db.types import Id
from gureum.foundation.http.call import Call
from gureum.foundation.http.views import JsonValue
from gureum.services.identity.assignments.model import Assignment
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.groups.model import GroupMember
from gureum.services.identity.projects.model import Project
from gureum.services.identity.projects.views import ProjectRow


def reach(call: Call[IdentityDeps]) -> set[str] | None:
    """Whose documents a project's hierarchy may show: those in which the caller has a role; None for all."""
    caller = call.caller
    if caller.is_admin or caller.system or caller.domain_id:
        return None
    return {row.id for row in projects_of(call.tx, caller.user_id)}


def subtree(tx: Tx, project_id: str) -> list[Project]:
    """All projects below, breadth first."""
    found: list[Project] = []
    level = [project_id]
    while level:
        children = tx.scalars(select(Project).where(Project.parent_id.in_(level))).all()
        found += children
        level = [child.id for child in children]
    return found


def nested(tx: Tx, project_id: str) -> dict[str, JsonValue] | None:
    """The tree of the ids below a project."""
    tree: dict[str, dict[str, JsonValue]] = {project_id: {}}
    for child in subtree(tx, project_id):
        tree[child.id] = {}
        tree[child.parent_id or ""][child.id] = tree[child.id]
    return _or_none(tree[project_id])


def _or_none(tree: dict[str, JsonValue]) -> dict[str, JsonValue] | None:
    return {key: _or_none(value) for key, value in tree.items() if isinstance(value, dict)} or None


_USER: BindParameter[str] = bindparam("user", type_=Id)
_HELD = Prepared(
    select(Assignment.target_id, Assignment.inherited).where(
        Assignment.target_kind.in_(("project", "domain")),
        (Assignment.actor_id == _USER)
        | Assignment.actor_id.in_(select(GroupMember.group_id).where(GroupMember.user_id == _USER)),
    ),
    make=as_tuple,
)
_REACHED = Prepared(
    select(*columns_of(Project, ProjectRow))
    .where(Project.id.in_(bindparam("ids", expanding=True)), Project.is_domain.is_(False), Project.enabled.is_(True))
    .order_by(Project.name),
    ProjectRow,
)


def projects_of(tx: Tx, user_id: str) -> list[ProjectRow]:
    """The enabled projects in which the user has a role, by itself or through groups, inherited ones included."""
    held = _HELD.all(tx, user=user_id)
    direct = [target for target, inherited in held if not inherited]
    level = [target for target, inherited in held if inherited]
    while level:
        level = list(tx.scalars(select(Project.id).where(Project.parent_id.in_(level), Project.id.not_in(direct))))
        direct += level
    return _REACHED.all(tx, ids=direct)
