"""The tree of projects: what is above and below one, and whose documents a caller may see of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from gureum.foundation.db.engine import Tx
from gureum.foundation.http.call import Call
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.projects.model import Project


def reach(call: Call[IdentityDeps]) -> set[str] | None:
    """Whose documents a project's hierarchy may show: those in which the caller has a role; None for all."""
    from gureum.services.identity.users.api import projects_of

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


def nested(tx: Tx, project_id: str) -> dict[str, Any] | None:
    tree: dict[str, dict[str, Any]] = {project_id: {}}
    for child in subtree(tx, project_id):
        tree[child.id] = tree[child.parent_id or ""][child.id] = {}
    return _or_none(tree[project_id])


def _or_none(tree: dict[str, Any]) -> dict[str, Any] | None:
    return {key: _or_none(value) for key, value in tree.items()} or None
