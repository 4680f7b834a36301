"""Routes of server groups. Source: compute API reference, "Server groups (os-server-groups)".

The table and what a policy means for placing a server stand in `servers/groups.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import delete, select

from gureum.foundation import ids
from gureum.foundation.errors import BadRequest, NotFound
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Own
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.routes import Route
from gureum.foundation.http.versioned import Since, Takes, Until
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.pages import CLOSED, MAX_PAGE, check_paging
from gureum.services.compute.servers.groups import ServerGroup, ServerGroupMember
from gureum.services.compute.servers.model import Server
from gureum.services.compute.words import Name

_PREFIX = "os_compute_api:os-server-groups:"
READER = "rule:project_reader_or_admin"
MEMBER = "rule:project_member_or_admin"

RULES = (
    Rule(_PREFIX + "index", READER, "List server groups"),
    Rule(_PREFIX + "index:all_projects", "rule:admin", "List server groups of all projects"),
    Rule(_PREFIX + "show", READER, "Show a server group"),
    Rule(_PREFIX + "create", MEMBER, "Create a server group"),
    Rule(_PREFIX + "delete", MEMBER, "Delete a server group"),
)

Hard = Literal["affinity", "anti-affinity"]
Soft = Literal["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]


Policies = Annotated[list[Soft], Meta(min_length=1, max_length=1)]
HardPolicies = Annotated[list[Hard], Meta(min_length=1, max_length=1)]


class GroupRules(Struct, forbid_unknown_fields=True):
    max_server_per_host: (
        Annotated[int, Meta(ge=1, le=2**31 - 1)] | Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,8}\Z")] | UnsetType
    ) = UNSET


class NewGroup(Struct, forbid_unknown_fields=True, kw_only=True):
    """Before 2.64 a list of one policy, from which `_upgraded` makes `policy`."""

    name: Name
    policy: Annotated[Soft | UnsetType, Since(2, 64), Takes((2, 64), Soft, required=True)] = UNSET
    policies: Annotated[
        Policies | UnsetType,
        Until(2, 63),
        Takes((2, 1), HardPolicies, required=True),
        Takes((2, 15), Policies, required=True),
    ] = UNSET
    rules: Annotated[GroupRules | None, Since(2, 64)] = None


def _upgraded(body: NewGroup, _version: Version) -> NewGroup:
    if body.policies is not UNSET:
        body.policy = body.policies[0]
    return body


class RulesView(View):
    max_server_per_host: int | UnsetType = UNSET


class NoMetadata(View):
    """Groups have none."""


class GroupView(View):
    """Before 2.64 a list of policies and empty metadata in place of policy and rules."""

    id: str
    name: str
    policy: Annotated[str, Since(2, 64)]
    rules: Annotated[RulesView, Since(2, 64)]
    policies: Annotated[list[str], Until(2, 63)]
    metadata: Annotated[NoMetadata, Until(2, 63)]
    members: list[str]
    project_id: Annotated[str, Since(2, 13)]
    user_id: Annotated[str, Since(2, 13)]


def create(call: Call[ComputeDeps], body: NewGroup) -> GroupView:
    rules = {}
    if body.rules is not None and body.rules.max_server_per_host is not UNSET:
        if body.policy != "anti-affinity":
            raise BadRequest("Only anti-affinity policy supports rules.")
        rules = {"max_server_per_host": int(body.rules.max_server_per_host)}
    project_id = call.caller.project_id or ""
    call.deps.quotas.require(call.tx, project_id, {"server_groups": 1}, user_id=call.caller.user_id)
    row = ServerGroup(
        id=ids.new_uuid(),
        project_id=project_id,
        user_id=call.caller.user_id,
        name=body.name,
        policy=body.policy,
        rules=rules,
    )
    call.tx.add(row)
    return _view(row, [])


def index(call: Call[ComputeDeps]) -> list[GroupView]:
    everywhere = call.param("all_projects") is not None
    if everywhere:
        call.enforce(_PREFIX + "index:all_projects", **call.own_target())
    statement = select(ServerGroup)
    if not everywhere:
        statement = statement.where(ServerGroup.project_id == call.caller.project_id)
    check_paging(call)
    limit, offset = call.param("limit"), call.param("offset")
    statement = statement.order_by(ServerGroup.created_at, ServerGroup.id)
    statement = statement.limit(min(filters.integer("limit", limit) if limit else MAX_PAGE, MAX_PAGE) or MAX_PAGE)
    statement = statement.offset(filters.integer("offset", offset) if offset else 0)
    rows = call.tx.scalars(statement).all()
    members = _members(call, [row.id for row in rows])
    return [_view(row, members.get(row.id, [])) for row in rows]


def show(call: Call[ComputeDeps], group_id: str) -> GroupView:
    row = _find(call, group_id)
    return _view(row, _members(call, [row.id]).get(row.id, []))


def remove(call: Call[ComputeDeps], group_id: str) -> None:
    row = _find(call, group_id)
    call.tx.execute(delete(ServerGroupMember).where(ServerGroupMember.group_id == row.id))
    call.tx.delete(row)


_OWN: Own[ServerGroup, ServerGroup] = Own(
    ServerGroup,
    lambda project_id: ServerGroup.project_id == project_id,
    lambda group_id: NotFound(f"Instance group {group_id} could not be found."),
)


def _find(call: Call[ComputeDeps], group_id: str) -> ServerGroup:
    """The group within the caller's reach, if the route's rule allows: 404 before 403, as for servers."""
    row = _OWN.load(call.tx, call.caller, group_id)
    call.enforce(**call.own_target())
    return row


def _members(call: Call[ComputeDeps], group_ids: Sequence[str]) -> dict[str, list[str]]:
    """The living members of each group, in the order of their ids."""
    statement = (
        select(ServerGroupMember.group_id, ServerGroupMember.server_id)
        .join(Server, Server.id == ServerGroupMember.server_id)
        .where(ServerGroupMember.group_id.in_(group_ids), Server.deleted_at.is_(None))
        .order_by(ServerGroupMember.server_id)
    )
    members: dict[str, list[str]] = {}
    for group_id, server_id in call.tx.execute(statement):
        members.setdefault(group_id, []).append(server_id)
    return members


def _view(row: ServerGroup, members: list[str]) -> GroupView:
    policies, rules = [row.policy], RulesView(**row.rules)
    owner = (row.project_id, row.user_id)
    return GroupView(row.id, row.name, row.policy, rules, policies, NoMetadata(), members, *owner)


_ALL = "/v2.1/os-server-groups"
_ONE = _ALL + "/{group_id}"
_QUERY = ("all_projects", "limit", "offset")
ROUTES = (
    Route("GET", _ALL, index, _PREFIX + "index", envelope="server_groups", query=_QUERY, closed=CLOSED),
    Route("POST", _ALL, create, _PREFIX + "create", body=NewGroup, envelope="server_group", upgrade=_upgraded),
    Route("GET", _ONE, show, _PREFIX + "show", envelope="server_group", target="handler"),
    Route("DELETE", _ONE, remove, _PREFIX + "delete", 204, target="handler"),
)
