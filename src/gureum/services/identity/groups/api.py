"""Routes of groups and their members. Source: identity API reference, "Groups"."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import delete as delete_from
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.errors import BadRequest, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Extended, JsonValue, Listed, View
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity import listing
from gureum.services.identity.assignments.authority import check_reach
from gureum.services.identity.assignments.model import Assignment
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.fields import (
    ADMIN,
    ADMIN_OR_SYSTEM_READER,
    Description,
    IdText,
    ProjectName,
    extra_of,
    scope_domain,
    taken,
)
from gureum.services.identity.finding import existing, existing_domain
from gureum.services.identity.groups.model import Group, GroupMember
from gureum.services.identity.listing import SelfLink, declared, in_domain, query, self_link, whole
from gureum.services.identity.tokens import revocations
from gureum.services.identity.users import api as users
from gureum.services.identity.users.model import User
from gureum.services.identity.users.views import UserView
from gureum.services.identity.users.views import view_of as user_view

IN_DOMAIN = " or (role:manager and domain_id:%(target.group.domain_id)s)"
BOTH_IN_DOMAIN = IN_DOMAIN.replace(")s)", ")s and domain_id:%(target.user.domain_id)s)")
READ_DOMAIN = " or (role:reader and domain_id:%(target.group.domain_id)s)"
READ_BOTH = READ_DOMAIN.replace(")s)", ")s and domain_id:%(target.user.domain_id)s)")
RULES = (
    Rule("identity:get_group", ADMIN_OR_SYSTEM_READER + READ_DOMAIN, "Show a group", scopes=EVERY_SCOPE),
    Rule(
        "identity:list_groups",
        ADMIN_OR_SYSTEM_READER + " or (role:reader and domain_id:%(target.domain_id)s)",
        "List groups",
        scopes=EVERY_SCOPE,
    ),
    Rule("identity:create_group", ADMIN + IN_DOMAIN, "Create a group", scopes=EVERY_SCOPE),
    Rule("identity:update_group", ADMIN + IN_DOMAIN, "Update a group", scopes=EVERY_SCOPE),
    Rule("identity:delete_group", ADMIN + IN_DOMAIN, "Delete a group", scopes=EVERY_SCOPE),
    Rule(
        "identity:list_users_in_group", ADMIN_OR_SYSTEM_READER + READ_DOMAIN, "List a group's users", scopes=EVERY_SCOPE
    ),
    Rule(
        "identity:list_groups_for_user",
        ADMIN_OR_SYSTEM_READER + users.READ_DOMAIN + users.OWN,
        "List a user's groups",
        scopes=EVERY_SCOPE,
    ),
    Rule("identity:add_user_to_group", ADMIN + BOTH_IN_DOMAIN, "Add a user to a group", scopes=EVERY_SCOPE),
    Rule("identity:remove_user_from_group", ADMIN + BOTH_IN_DOMAIN, "Remove a user from a group", scopes=EVERY_SCOPE),
    Rule(
        "identity:check_user_in_group",
        ADMIN_OR_SYSTEM_READER + READ_BOTH,
        "Check a user in a group",
        scopes=EVERY_SCOPE,
    ),
)


class NewGroup(Struct):
    name: ProjectName
    description: Description = ""
    domain_id: IdText | None = None


class GroupChange(Struct):
    domain_id: IdText | UnsetType = UNSET
    name: ProjectName | UnsetType = UNSET
    description: Description | UnsetType = UNSET


class GroupRow(Struct, frozen=True, gc=False):
    """What lists read of a group."""

    id: str
    name: str
    domain_id: str
    description: str
    extra: dict[str, JsonValue]


class GroupView(View):
    id: str
    name: str
    domain_id: str
    description: str
    links: SelfLink


def view_of(call: Call[IdentityDeps], row: Group | GroupRow) -> Extended[GroupView]:
    """A group as lists and its own page show it."""
    links = self_link(call, "groups", row.id)
    return Extended(GroupView(row.id, row.name, row.domain_id, row.description, links), row.extra)


def _find(call: Call[IdentityDeps], group_id: str, user: User | None = None) -> Group:
    """The group; `user` is whom the request concerns besides it."""
    row = call.tx.get(Group, group_id)
    call.enforce(
        **{
            "target.group.domain_id": row.domain_id if row else None,
            "target.user.domain_id": user.domain_id if user else None,
        }
    )
    return existing(row, "group", group_id)


def create(call: Call[IdentityDeps], body: Extended[NewGroup]) -> Extended[GroupView]:
    new = body.fields
    domain_id = new.domain_id or scope_domain(call)
    call.enforce(**{"target.group.domain_id": domain_id})
    existing_domain(call.tx, domain_id)
    _check_name(call, domain_id, new.name)
    row = Group(
        id=ids.new_hex(),
        name=new.name,
        domain_id=domain_id,
        description=new.description or "",
        extra=extra_of(body.extra),
    )
    call.tx.add(row)
    return view_of(call, row)


def _check_name(call: Call[IdentityDeps], domain_id: str, name: str, own_id: str = "") -> None:
    others = (Group.domain_id == domain_id, Group.id != own_id)
    if call.tx.scalar(select(Group.id).where(*others, Group.is_named(name))):
        raise taken("group", name)


_GROUPS = declared(
    "groups",
    Group,
    {"name": Group.name, "domain_id": Group.domain_id},
    GroupRow,
    reach=in_domain(Group.domain_id),
)


def index(call: Call[IdentityDeps]) -> Listed[Extended[GroupView]]:
    call.enforce(**{"target.domain_id": call.caller.domain_id})
    return listing.index(call, _GROUPS, view_of)


def show(call: Call[IdentityDeps], group_id: str) -> Extended[GroupView]:
    return view_of(call, _find(call, group_id))


def update(call: Call[IdentityDeps], body: Extended[GroupChange], group_id: str) -> Extended[GroupView]:
    row, change = _find(call, group_id), body.fields
    check_reach(call, row)
    if change.domain_id is not UNSET and change.domain_id != row.domain_id:
        raise BadRequest("The domain_id of a group may not be changed.")
    if change.name is not UNSET and change.name != row.name:
        _check_name(call, row.domain_id, change.name, row.id)
        row.name = change.name
    if change.description is not UNSET:
        row.description = change.description or ""
    row.extra = extra_of(body.extra, present=row.extra)
    return view_of(call, row)


def delete(call: Call[IdentityDeps], group_id: str) -> None:
    existing(call.tx.get(Group, group_id), "group", group_id)
    row = _find(call, group_id)
    check_reach(call, row)
    mine = (Assignment.actor_kind == "group", Assignment.actor_id == row.id)
    call.tx.execute(delete_from(Assignment).where(*mine))
    call.tx.execute(delete_from(Group).where(Group.id == row.id))
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_ALL, row.id)


def list_users(call: Call[IdentityDeps], group_id: str) -> Listed[Extended[UserView]]:
    row = _find(call, group_id)
    statement = select(User).join(GroupMember).where(GroupMember.group_id == row.id).order_by(User.name)
    if call.caller.domain_id:
        statement = statement.where(User.domain_id == call.caller.domain_id)
    rows = call.tx.scalars(statement.where(users.expiring(call.params("password_expires_at"))))
    return whole(call, [user_view(call, user) for user in rows])


def groups_of_user(call: Call[IdentityDeps], user_id: str) -> Listed[Extended[GroupView]]:
    users.find(call, user_id)
    statement = select(Group).join(GroupMember).where(GroupMember.user_id == user_id).order_by(Group.name)
    if call.caller.domain_id:
        statement = statement.where(Group.domain_id == call.caller.domain_id)
    return whole(call, [view_of(call, row) for row in call.tx.scalars(statement)])


def _member(call: Call[IdentityDeps], group_id: str, user_id: str) -> GroupMember | None:
    user = call.tx.get(User, user_id)
    group = _find(call, group_id, user)
    if user is None:
        raise NotFound(f"Could not find user: {user_id}.")
    if call.route.method != "GET":
        check_reach(call, group, user)
    return call.tx.get(GroupMember, (group_id, user_id))


def add_user(call: Call[IdentityDeps], group_id: str, user_id: str) -> None:
    if _member(call, group_id, user_id) is None:
        call.tx.add(GroupMember(group_id=group_id, user_id=user_id))
        call.deps.tokens.revocations.add(call.tx, revocations.STALE_USER, user_id)


def remove_user(call: Call[IdentityDeps], group_id: str, user_id: str) -> None:
    member = _member(call, group_id, user_id)
    if member is None:
        raise NotFound(f"Could not find user {user_id} in group {group_id}.")
    call.tx.delete(member)
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_USER, user_id)


def check_user(call: Call[IdentityDeps], group_id: str, user_id: str) -> None:
    if _member(call, group_id, user_id) is None:
        raise NotFound(f"Could not find user {user_id} in group {group_id}.")


_ALL = "/v3/groups"
_ONE = _ALL + "/{group_id}"
_USER = _ONE + "/users/{user_id}"
ROUTES = (
    Route("GET", _ALL, index, "identity:list_groups", envelope="groups", target="handler", query=query(_GROUPS)),
    Route(
        "POST", _ALL, create, "identity:create_group", 201, body=Extended[NewGroup], envelope="group", target="handler"
    ),
    Route("GET", _ONE, show, "identity:get_group", envelope="group", target="handler"),
    Route(
        "PATCH", _ONE, update, "identity:update_group", body=Extended[GroupChange], envelope="group", target="handler"
    ),
    Route("DELETE", _ONE, delete, "identity:delete_group", 204, target="handler"),
    Route(
        "GET",
        _ONE + "/users",
        list_users,
        "identity:list_users_in_group",
        target="handler",
        envelope="users",
        query=("password_expires_at",),
    ),
    Route(
        "GET",
        "/v3/users/{user_id}/groups",
        groups_of_user,
        "identity:list_groups_for_user",
        envelope="groups",
        target="handler",
    ),
    Route("PUT", _USER, add_user, "identity:add_user_to_group", 204, target="handler"),
    Route("GET", _USER, check_user, "identity:check_user_in_group", 204, target="handler"),
    Route("DELETE", _USER, remove_user, "identity:remove_user_from_group", 204, target="handler"),
)
