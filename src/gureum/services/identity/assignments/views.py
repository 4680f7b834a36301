"""The documents of GET /v3/role_assignments. Source: identity API reference, "List role assignments"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import UNSET, UnsetType, field
from sqlalchemy import select

from gureum.foundation.db.engine import Tx
from gureum.foundation.http.call import Call
from gureum.foundation.http.views import View
from gureum.services.identity.assignments.effective import AssignmentRow
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.groups.model import Group
from gureum.services.identity.projects.model import Project
from gureum.services.identity.roles.model import Role
from gureum.services.identity.users.model import User


class NamedDomain(View):
    """Empty for a domain that is not there."""

    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class Named(View):
    """Somebody or something of an assignment. Name and domain stand there where names are asked for."""

    id: str
    name: str | UnsetType = UNSET
    domain: NamedDomain | UnsetType = UNSET


class WholeSystem(View):
    all: Literal[True] = True


class AssignmentScope(View):
    """One of project, domain and system."""

    project: Named | UnsetType = UNSET
    domain: Named | UnsetType = UNSET
    system: WholeSystem | UnsetType = UNSET
    inherited_to: Literal["projects"] | UnsetType = field(name="OS-INHERIT:inherited_to", default=UNSET)


class AssignmentLinks(View):
    """What an assignment comes from."""

    assignment: str
    membership: str | UnsetType = UNSET
    prior_role: str | UnsetType = UNSET


class AssignmentView(View, kw_only=True):
    """One of user and group."""

    role: Named
    user: Named | UnsetType = UNSET
    group: Named | UnsetType = UNSET
    scope: AssignmentScope
    links: AssignmentLinks


Names = Mapping[str, Named]
"""By the ids of projects, domains, users, groups and roles."""


def views_of(call: Call[IdentityDeps], rows: Sequence[AssignmentRow], *, names: bool) -> list[AssignmentView]:
    """A token of a domain is told no names of other domains' people."""
    known = _names(call.tx, rows, call.caller.domain_id) if names else {}
    return [_view(call, row, known) for row in rows]


def _names(tx: Tx, rows: Sequence[AssignmentRow], within: str | None) -> Names:
    """Columns and not objects: projects are many."""
    columns = select(Project.id, Project.name, Project.domain_id, Project.is_domain)
    projects = {id_: (name, domain_id, is_domain) for id_, name, domain_id, is_domain in tx.execute(columns)}
    domains = {id_: NamedDomain(id_, name) for id_, (name, _, is_domain) in projects.items() if is_domain}

    def domain(id_: str) -> NamedDomain:
        return domains.get(id_) or NamedDomain()

    names = {
        id_: Named(id_, name, UNSET if is_domain else domain(domain_id))
        for id_, (name, domain_id, is_domain) in projects.items()
    }
    actors = sorted({row.actor_id for row in rows})
    users = select(User.id, User.name, User.domain_id).where(User.id.in_(actors))
    groups = select(Group.id, Group.name, Group.domain_id).where(Group.id.in_(actors))
    for id_, name, domain_id in (*tx.execute(users), *tx.execute(groups)):
        if within in (None, domain_id):
            names[id_] = Named(id_, name, domain(domain_id))
    for role in tx.scalars(select(Role)):
        names[role.id] = Named(role.id, role.name, domain(role.domain_id) if role.domain_id else UNSET)
    return names


def _view(call: Call[IdentityDeps], row: AssignmentRow, names: Names) -> AssignmentView:
    def named(id_: str) -> Named:
        return names.get(id_) or Named(id_)

    scope = AssignmentScope(inherited_to="projects" if row.inherited or row.inherited_from else UNSET)
    if row.target_kind == "system":
        scope.system = WholeSystem()
    elif row.target_kind == "domain":
        scope.domain = named(row.target_id)
    else:
        scope.project = named(row.target_id)
    is_user = row.actor_kind == "user"
    return AssignmentView(
        role=named(row.role_id),
        user=named(row.actor_id) if is_user else UNSET,
        group=UNSET if is_user else named(row.actor_id),
        scope=scope,
        links=_links(f"{call.base_url}/v3", row),
    )


def _links(base: str, row: AssignmentRow) -> AssignmentLinks:
    target = "system" if row.target_kind == "system" else f"{row.target_kind}s/{row.target_id}"
    links = AssignmentLinks(f"{base}/{target}/{row.actor_kind}s/{row.actor_id}/roles/{row.role_id}")
    if row.group_id:
        links.assignment = f"{base}/{target}/groups/{row.group_id}/roles/{row.role_id}"
        links.membership = f"{base}/groups/{row.group_id}/users/{row.actor_id}"
    if row.prior_id:
        links.prior_role = f"{base}/roles/{row.prior_id}"
    return links
