"""Routes that delete projects: one, or a whole tree, with everything of identity that refers to them.

Source: identity API reference, "Projects"; keystone's specification of cascade operations for the tree's form.
"""

from __future__ import annotations

from sqlalchemy import delete as delete_from
from sqlalchemy import select, update

from gureum.foundation.errors import Forbidden
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity.application_credentials.model import ApplicationCredential
from gureum.services.identity.assignments.model import Assignment
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.events import DomainDeleted, ProjectDeleted, UserDeleted
from gureum.services.identity.fields import ADMIN, check_mutable
from gureum.services.identity.groups.model import Group
from gureum.services.identity.projects.api import IN_DOMAIN, find
from gureum.services.identity.projects.hierarchy import subtree
from gureum.services.identity.projects.model import DEFAULT_DOMAIN, Project
from gureum.services.identity.roles.model import Role
from gureum.services.identity.tokens import revocations
from gureum.services.identity.users.model import User

RULES = (Rule("identity:delete_project", ADMIN + IN_DOMAIN, "Delete a project", scopes=EVERY_SCOPE),)


def delete(call: Call[IdentityDeps], project_id: str) -> None:
    row = find(call, project_id)
    check_mutable("project", row.options)
    if row.is_domain:
        delete_domain(call, row)
        return
    if call.tx.scalar(select(Project.id).where(Project.parent_id == row.id).limit(1)):
        raise Forbidden(f"Cannot delete project {row.id}: it has projects below it.")
    forget(call, row)


def delete_domain(call: Call[IdentityDeps], row: Project) -> None:
    """A domain goes with all that it owns; it must be disabled first."""
    if row.enabled or row.id == DEFAULT_DOMAIN:
        raise Forbidden("Cannot delete a domain that is enabled, please disable it first.")
    tx = call.tx
    for project in reversed(subtree(tx, row.id)):
        forget(call, project)
        tx.flush()
    users = select(User.id).where(User.domain_id == row.id)
    groups = select(Group.id).where(Group.domain_id == row.id)
    for actors in (users, groups):
        tx.execute(delete_from(Assignment).where(Assignment.actor_id.in_(actors)))
    for user_id in tx.scalars(delete_from(User).where(User.domain_id == row.id).returning(User.id)).all():
        call.deps.events.emit(tx, UserDeleted(user_id, row.id))
    tx.execute(delete_from(Group).where(Group.domain_id == row.id))
    tx.execute(delete_from(Role).where(Role.scope == row.id))
    forget(call, row)


def forget(call: Call[IdentityDeps], row: Project) -> None:
    """Delete a project with everything of identity that refers to it."""
    tx = call.tx
    kind = revocations.DOMAIN if row.is_domain else revocations.PROJECT
    call.deps.tokens.revocations.add(tx, kind, row.id)
    tx.execute(delete_from(Assignment).where(Assignment.target_id == row.id))
    tx.execute(delete_from(ApplicationCredential).where(ApplicationCredential.project_id == row.id))
    tx.execute(update(User).where(User.default_project_id == row.id).values(default_project_id=None))
    if row.is_domain:
        call.deps.events.emit(tx, DomainDeleted(row.id, row.name))
    else:
        call.deps.events.emit(tx, ProjectDeleted(row.id, row.name, row.domain_id))
    tx.delete(row)


def delete_tree(call: Call[IdentityDeps], project_id: str) -> None:
    """DELETE /v3/projects/{id}/cascade: the project, disabled before, and all below it, or nothing."""
    row = find(call, project_id)
    if row.is_domain or row.enabled:
        raise Forbidden("Cannot delete a tree of projects whose top is enabled; disable it first.")
    tree = [row, *subtree(call.tx, row.id)]
    for project in tree:
        check_mutable("project", project.options)
    for project in reversed(tree):
        forget(call, project)
        call.tx.flush()


_ONE = "/v3/projects/{project_id}"
ROUTES = (
    Route("DELETE", _ONE, delete, "identity:delete_project", 204, target="handler"),
    Route("DELETE", _ONE + "/cascade", delete_tree, "identity:delete_project", 204, target="handler"),
)
