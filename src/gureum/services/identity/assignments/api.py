"""Routes of role assignments. Source: identity API reference, "Roles" (assign, check, list, unassign),
"System role assignments", "OS-INHERIT", "List role assignments".

One handler serves every form of a grant: the route says who (user or group), on what (project, domain or the
system) and whether it is inherited.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import or_, select

from gureum.foundation.errors import BadRequest, Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Extended, Listed
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity.assignments.authority import Grant, cloud_wide_roles
from gureum.services.identity.assignments.effective import STORED, AssignmentRow, Stored, effective
from gureum.services.identity.assignments.model import SYSTEM, Assignment
from gureum.services.identity.assignments.views import AssignmentView, views_of
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import ADMIN, ADMIN_OR_SYSTEM_READER, CLOUD
from gureum.services.identity.groups.model import Group, GroupMember
from gureum.services.identity.listing import whole
from gureum.services.identity.projects.hierarchy import subtree
from gureum.services.identity.projects.model import Project
from gureum.services.identity.roles.api import RoleView
from gureum.services.identity.roles.api import view_of as role_view
from gureum.services.identity.roles.model import Role
from gureum.services.identity.tokens import revocations
from gureum.services.identity.users.model import User

_ACTOR = "(domain_id:%(target.user.domain_id)s or domain_id:%(target.group.domain_id)s)"
_TARGET = "(domain_id:%(target.project.domain_id)s or domain_id:%(target.domain.id)s)"
_INSIDE = f"{_ACTOR} and {_TARGET}"
_OWN_ROLE = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"
_GRANTS = (
    f"{ADMIN} or ({_INSIDE} and {_OWN_ROLE} and False:%(target.role.is_admin)s and"
    " ((role:manager and rule:domain_managed_target_role) or"
    " (role:admin and (rule:domain_managed_target_role or domain_id:%(target.role.domain_id)s))))"
)
"""Administrators of a domain hand out its own roles too. Not the cloud's other roles: an operator's file may give any
of them a meaning beyond the domain."""
_READS_DOMAIN = " or (role:reader and domain_id:%(target.domain_id)s)"
RULES = (
    Rule(
        "domain_managed_target_role",
        "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s",
        "The roles that the manager of a domain hands out",
        EVERY_SCOPE,
    ),
    Rule(
        "identity:check_grant",
        f"{ADMIN_OR_SYSTEM_READER} or (role:reader and {_INSIDE} and {_OWN_ROLE})",
        "Check a role grant",
        EVERY_SCOPE,
    ),
    Rule(
        "identity:list_grants", f"{ADMIN_OR_SYSTEM_READER} or (role:reader and {_INSIDE})", "List grants", EVERY_SCOPE
    ),
    Rule("identity:create_grant", _GRANTS, "Grant a role", EVERY_SCOPE),
    Rule("identity:revoke_grant", _GRANTS, "Revoke a role", EVERY_SCOPE),
    *(
        Rule(f"identity:{verb}_system_{noun}_for_{actor}", check, scopes=CLOUD)
        for actor in ("user", "group")
        for verb, noun, check in (
            ("check", "grant", ADMIN_OR_SYSTEM_READER),
            ("list", "grants", ADMIN_OR_SYSTEM_READER),
            ("create", "grant", ADMIN),
            ("revoke", "grant", ADMIN),
        )
    ),
    Rule(
        "identity:list_role_assignments",
        ADMIN_OR_SYSTEM_READER + _READS_DOMAIN,
        "List role assignments",
        EVERY_SCOPE,
    ),
    Rule(
        "identity:list_role_assignments_for_tree",
        ADMIN_OR_SYSTEM_READER + _READS_DOMAIN,
        "List role assignments of a tree",
        EVERY_SCOPE,
    ),
)


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a grant's path."""

    actor_kind: str
    target_kind: str
    inherited: bool = False

    @property
    def path(self) -> str:
        base = "/v3/OS-INHERIT" if self.inherited else "/v3"
        target = "/system" if self.target_kind == "system" else f"/{self.target_kind}s/{{target_id}}"
        return f"{base}{target}/{self.actor_kind}s/{{actor_id}}/roles"


def _checked(call: Call[IdentityDeps], form: Form, actor_id: str, target_id: str, role_id: str | None) -> Role | None:
    """Enforce the rule on what the database says, then make sure that everything named exists."""
    tx = call.tx
    target = tx.get(Project, target_id) if form.target_kind != "system" else None
    role = tx.get(Role, role_id) if role_id else None
    domain_id = None if target is None else (target.id if target.is_domain else target.domain_id)
    actor: User | Group | None = tx.get(User, actor_id) if form.actor_kind == "user" else tx.get(Group, actor_id)
    grant = Grant(form.actor_kind, actor.domain_id if actor else None, form.target_kind, domain_id)
    if role is not None:
        cloud_wide = role.id in cloud_wide_roles(tx)
        grant = replace(grant, role_name=role.name, role_domain_id=role.domain_id, cloud_wide=cloud_wide)
    call.enforce(**grant.facts())
    if form.target_kind != "system" and (target is None or (form.target_kind == "domain" and not target.is_domain)):
        raise NotFound(f"Could not find {form.target_kind}: {target_id}.")
    if actor is None and call.route.method != "DELETE":
        raise NotFound(f"Could not find {form.actor_kind}: {actor_id}.")
    if role_id and role is None:
        raise NotFound(f"Could not find role: {role_id}.")
    foreign = role is not None and role.domain_id not in (None, domain_id)
    if foreign and form.target_kind != "domain" and call.route.method == "PUT":
        raise Forbidden("A domain's own role is granted on domains, and on the projects of that domain alone.")
    return role


def _key(form: Form, actor_id: str, target_id: str, role_id: str) -> tuple[str, str, str, str, str, bool]:
    return (form.actor_kind, actor_id, form.target_kind, target_id, role_id, form.inherited)


def _stale(call: Call[IdentityDeps], form: Form, actor_id: str) -> None:
    kind = revocations.STALE_USER if form.actor_kind == "user" else revocations.STALE_ALL
    call.deps.tokens.revocations.add(call.tx, kind, actor_id)


def _handlers(form: Form) -> dict[str, Callable[..., Listed[Extended[RoleView]] | None]]:
    def grant(call: Call[IdentityDeps], actor_id: str, role_id: str, target_id: str = SYSTEM) -> None:
        _checked(call, form, actor_id, target_id, role_id)
        key = _key(form, actor_id, target_id, role_id)
        if call.tx.get(Assignment, key) is None:
            names = ("actor_kind", "actor_id", "target_kind", "target_id", "role_id", "inherited")
            call.tx.add(Assignment(**dict(zip(names, key, strict=True))))
            _stale(call, form, actor_id)

    def check(call: Call[IdentityDeps], actor_id: str, role_id: str, target_id: str = SYSTEM) -> None:
        _checked(call, form, actor_id, target_id, role_id)
        if call.tx.get(Assignment, _key(form, actor_id, target_id, role_id)) is None:
            raise NotFound(f"Could not find role assignment with role: {role_id}, {form.actor_kind}: {actor_id}.")

    def revoke(call: Call[IdentityDeps], actor_id: str, role_id: str, target_id: str = SYSTEM) -> None:
        _checked(call, form, actor_id, target_id, role_id)
        row = call.tx.get(Assignment, _key(form, actor_id, target_id, role_id))
        if row is None:
            raise NotFound(f"Could not find role assignment with role: {role_id}, {form.actor_kind}: {actor_id}.")
        call.tx.delete(row)
        _stale(call, form, actor_id)

    def index(call: Call[IdentityDeps], actor_id: str, target_id: str = SYSTEM) -> Listed[Extended[RoleView]]:
        _checked(call, form, actor_id, target_id, None)
        statement = (
            select(Role)
            .join(Assignment, Assignment.role_id == Role.id)
            .where(
                Assignment.actor_kind == form.actor_kind,
                Assignment.actor_id == actor_id,
                Assignment.target_kind == form.target_kind,
                Assignment.target_id == target_id,
                Assignment.inherited.is_(form.inherited),
            )
            .order_by(Role.name)
        )
        return whole(call, [role_view(call, row) for row in call.tx.scalars(statement)])

    return {"grant": grant, "check": check, "revoke": revoke, "index": index}


def _routes(form: Form) -> list[Route]:
    calls = _handlers(form)
    of_system = form.target_kind == "system"
    noun = f"system_grant_for_{form.actor_kind}" if of_system else "grant"
    nouns = f"system_grants_for_{form.actor_kind}" if of_system else "grants"
    path = form.path + ("/inherited_to_projects" if form.inherited else "")
    with_role = form.path + "/{role_id}" + ("/inherited_to_projects" if form.inherited else "")
    return [
        Route("GET", path, calls["index"], f"identity:list_{nouns}", target="handler", envelope="roles"),
        Route("PUT", with_role, calls["grant"], f"identity:create_{noun}", 204, target="handler"),
        Route("GET", with_role, calls["check"], f"identity:check_{noun}", 204, target="handler"),
        Route("DELETE", with_role, calls["revoke"], f"identity:revoke_{noun}", 204, target="handler"),
    ]


_FORMS = [Form(actor, target) for actor in ("user", "group") for target in ("project", "domain", "system")]
_FORMS += [Form(actor, target, inherited=True) for actor in ("user", "group") for target in ("project", "domain")]


def list_assignments(call: Call[IdentityDeps]) -> Listed[AssignmentView]:
    scopes = _scopes(call)
    is_effective = _flag(call, "effective")
    if is_effective and call.param("group.id"):
        raise BadRequest("Combining effective and group filter will always result in an empty list.")
    statement = _by_scope(call, STORED)
    if is_effective:
        statement = _by_effective_actor(call, statement)
    else:
        statement = _by_actor_and_role(call, statement)
        if scopes is not None:
            statement = statement.where(Assignment.target_kind == "project", Assignment.target_id.in_(sorted(scopes)))
    rows = [AssignmentRow(*row) for row in call.tx.execute(statement)]
    if is_effective:
        rows = [row for row in effective(call.tx, rows) if _asked_for(call, row, scopes)]
    return whole(call, views_of(call, rows, names=_flag(call, "include_names")))


def _scopes(call: Call[IdentityDeps]) -> set[str] | None:
    """The projects that are asked for, None for any; the rule that this needs is enforced here."""
    project_id = call.param("scope.project.id")
    if call.param("include_subtree") is None:
        call.enforce(**{"target.domain_id": call.caller.domain_id})
        return {project_id} if project_id else None
    if not project_id:
        raise BadRequest("scope.project.id must be given with include_subtree.")
    top = call.tx.get(Project, project_id)
    domain_id = None if top is None else top.domain_id
    call.enforce("identity:list_role_assignments_for_tree", **{"target.domain_id": domain_id})
    return {project_id, *(row.id for row in subtree(call.tx, project_id))}


def _by_scope(call: Call[IdentityDeps], statement: Stored) -> Stored:
    if domain_id := call.param("scope.domain.id"):
        statement = statement.where(Assignment.target_kind == "domain", Assignment.target_id == domain_id)
    if call.param("scope.system") is not None:
        statement = statement.where(Assignment.target_kind == "system")
    if call.caller.domain_id:
        inside = select(Project.id).where(Project.domain_id == call.caller.domain_id)
        mine = or_(Assignment.target_id == call.caller.domain_id, Assignment.target_id.in_(inside))
        statement = statement.where(Assignment.target_kind != "system", mine)
    if call.param("scope.OS-INHERIT:inherited_to") is not None:
        statement = statement.where(Assignment.inherited.is_(True))
    return statement


def _by_actor_and_role(call: Call[IdentityDeps], statement: Stored) -> Stored:
    if role_id := call.param("role.id"):
        statement = statement.where(Assignment.role_id == role_id)
    for kind in ("user", "group"):
        if actor_id := call.param(f"{kind}.id"):
            statement = statement.where(Assignment.actor_kind == kind, Assignment.actor_id == actor_id)
    return statement


def _by_effective_actor(call: Call[IdentityDeps], statement: Stored) -> Stored:
    """Of effective assignments, what may concern the user that is asked for: its own and those of its groups."""
    user_id = call.param("user.id")
    if user_id is None:
        return statement
    groups = select(GroupMember.group_id).where(GroupMember.user_id == user_id)
    return statement.where(or_(Assignment.actor_id == user_id, Assignment.actor_id.in_(groups)))


def _asked_for(call: Call[IdentityDeps], row: AssignmentRow, scopes: set[str] | None) -> bool:
    """Whether an effective assignment fits the filters, which hold for what it amounts to."""
    return (
        call.param("user.id") in (None, row.actor_id)
        and call.param("role.id") in (None, row.role_id)
        and (scopes is None or (row.target_kind == "project" and row.target_id in scopes))
    )


def _flag(call: Call[IdentityDeps], name: str) -> bool:
    value = call.param(name)
    return value is not None and value.lower() not in ("0", "false")


_FILTERS = (
    *("user.id", "group.id", "role.id", "scope.project.id", "scope.domain.id", "scope.system"),
    *("scope.OS-INHERIT:inherited_to", "effective", "include_names", "include_subtree"),
)
_RULE = "identity:list_role_assignments"
ROUTES = (
    *(route for form in _FORMS for route in _routes(form)),
    Route(
        "GET",
        "/v3/role_assignments",
        list_assignments,
        _RULE,
        target="handler",
        envelope="role_assignments",
        query=_FILTERS,
    ),
)
