"""Who may hand out which role, and who is therefore out of whose reach.

Whoever sets a user's password, or fills a group, acts with all that the user or the group may do. So a user or a group
that holds a role which the caller may not grant is out of the caller's reach: for any change, membership and deletion.
Held is what is assigned directly or by a group, on a project, a domain or the system, inherited or not, and what a
trust lends; a role counts with all that it implies. The invariant: one decision, `identity:create_grant` and its
kindred for the system, answers both questions, so an operator's file changes both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, select

from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import Forbidden
from gureum.foundation.http.call import Call
from gureum.foundation.policy import CLOUD_ROLES
from gureum.services.identity.assignments.model import Assignment
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.groups.model import Group, GroupMember
from gureum.services.identity.projects.model import Project
from gureum.services.identity.roles.model import GLOBAL, ImpliedRole, Role
from gureum.services.identity.trusts.model import Trust
from gureum.services.identity.users.model import User


@dataclass(frozen=True, slots=True)
class Grant:
    """A role for somebody on something, as the rules see it. `target_domain_id` is None for the system.

    `cloud_wide`: the role is, or implies, one that reaches beyond a domain.
    """

    actor_kind: str
    actor_domain_id: str | None
    target_kind: str
    target_domain_id: str | None
    role_name: str | None = None
    role_domain_id: str | None = None
    cloud_wide: bool = False

    def facts(self) -> dict[str, str | None]:
        """The target of a rule, by the field's own names; a role of no domain has the domain "None" there."""
        role = {
            "target.role.name": self.role_name,
            "target.role.domain_id": self.role_domain_id or "None",
            "target.role.is_admin": str(self.cloud_wide),
        }
        target = "target.domain.id" if self.target_kind == "domain" else "target.project.domain_id"
        actor = f"target.{self.actor_kind}.domain_id"
        return {actor: self.actor_domain_id, target: self.target_domain_id} | (role if self.role_name else {})


def may_grant(call: Call[IdentityDeps], grant: Grant) -> bool:
    if grant.target_kind == "system":
        return call.allows(f"identity:create_system_grant_for_{grant.actor_kind}")
    return call.allows("identity:create_grant", **grant.facts())


def cloud_wide_roles(tx: Tx) -> frozenset[str]:
    """The ids of the roles that are, or imply, one of the cloud's own."""
    level = set(tx.scalars(select(Role.id).where(Role.scope == GLOBAL, Role.name_key.in_(CLOUD_ROLES))))
    priors: dict[str, list[str]] = {}
    for prior, implied in tx.execute(select(ImpliedRole.prior_id, ImpliedRole.implied_id)):
        priors.setdefault(implied, []).append(prior)
    found: set[str] = set()
    while level:
        found |= level
        level = {prior for role_id in level for prior in priors.get(role_id, [])} - found
    return frozenset(found)


def check_reach(call: Call[IdentityDeps], *actors: User | Group) -> None:
    """Raises Forbidden for a user or a group that holds a role which the caller may not grant.

    A caller is always within its own reach.
    """
    if all(call.allows(f"identity:create_system_grant_for_{kind}") for kind in ("user", "group")):
        return
    for actor in actors:
        if actor.id == call.caller.user_id:
            continue
        if not all(may_grant(call, grant) for grant in held(call.tx, actor)):
            kind = "user" if isinstance(actor, User) else "group"
            raise Forbidden(f"The {kind} holds a role that you may not grant, so only who may can change it.")


def held(tx: Tx, actor: User | Group) -> set[Grant]:
    """All that a user or a group may act with, each kind of grant once."""
    kind = "user" if isinstance(actor, User) else "group"
    cloud_wide = cloud_wide_roles(tx)
    targets = select(Assignment.target_kind, Project, Role).join(Role, Role.id == Assignment.role_id)
    targets = targets.outerjoin(Project, Project.id == Assignment.target_id).where(_assigned_to(kind, actor.id))
    rows: list[tuple[str, Project | None, Role]] = [(row[0], row[1], row[2]) for row in tx.execute(targets)]
    if kind == "user":
        rows += _lent_to(tx, actor.id)
    return {
        Grant(kind, actor.domain_id, target_kind, _domain_of(target), role.name, role.domain_id, role.id in cloud_wide)
        for target_kind, target, role in rows
    }


def _assigned_to(kind: str, actor_id: str) -> ColumnElement[bool]:
    own = and_(Assignment.actor_kind == kind, Assignment.actor_id == actor_id)
    if kind == "group":
        return own
    groups = select(GroupMember.group_id).where(GroupMember.user_id == actor_id)
    return or_(own, and_(Assignment.actor_kind == "group", Assignment.actor_id.in_(groups)))


def _lent_to(tx: Tx, user_id: str) -> Iterable[tuple[str, Project | None, Role]]:
    lent = select(Trust.role_ids, Project).join(Project, Project.id == Trust.project_id)
    for role_ids, project in tx.execute(lent.where(Trust.trustee_id == user_id)):
        for role in tx.scalars(select(Role).where(Role.id.in_(role_ids))):
            yield "project", project, role


def _domain_of(target: Project | None) -> str | None:
    if target is None:
        return None
    return target.id if target.is_domain else target.domain_id
