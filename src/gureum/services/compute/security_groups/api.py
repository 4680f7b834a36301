"""Routes of security groups and rules until 2.35: the network's groups in the words of the compute API.

Source: compute API reference, "Security groups (os-security-groups)", "Rules for security group".
A server's own groups stand in `servers/addresses.py`.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from gureum.foundation import ids
from gureum.foundation.errors import BadRequest, NotFound
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.pages import MAX_PAGE, check_paging
from gureum.services.network.facade import LegacyGroup, LegacyRule, NewIngressRule

_PREFIX = "os_compute_api:os-security-groups:"
READER = "rule:project_reader_or_admin"
MEMBER = "rule:project_member_or_admin"
LAST = (2, 35)

RULES = (
    Rule(_PREFIX + "get", READER, "List security groups"),
    Rule(_PREFIX + "show", READER, "Show a security group"),
    Rule(_PREFIX + "create", MEMBER, "Create a security group"),
    Rule(_PREFIX + "update", MEMBER, "Update a security group"),
    Rule(_PREFIX + "delete", MEMBER, "Delete a security group"),
    Rule(_PREFIX + "rule:create", MEMBER, "Create a security group rule"),
    Rule(_PREFIX + "rule:delete", MEMBER, "Delete a security group rule"),
)

Text = Annotated[str, Meta(max_length=255, pattern=r"\S")]
PortNumber = Annotated[int, Meta(ge=-1, le=65535)] | Annotated[str, Meta(pattern=r"^-?[0-9]{1,5}\Z")] | None


class Group(Struct):
    name: Text
    description: Annotated[str, Meta(max_length=255)]


class NewRule(Struct):
    """Either `cidr` or `group_id`, or neither for everything; -1 is any port, ICMP type or code."""

    parent_group_id: Annotated[str, Meta(max_length=64)]
    ip_protocol: Annotated[str, Meta(max_length=32)] | None = None
    from_port: PortNumber = None
    to_port: PortNumber = None
    cidr: Annotated[str, Meta(max_length=64)] | None = None
    group_id: Annotated[str, Meta(max_length=64)] | None = None


class RuleBody(Struct, forbid_unknown_fields=True):
    """Closed around a rule that takes unknown fields."""

    security_group_rule: NewRule


class RuleDocument(View):
    security_group_rule: LegacyRule


def _checked_id(group_id: str) -> str:
    if not ids.is_uuid(group_id):
        raise BadRequest("Security group id should be uuid")
    return group_id


def index(call: Call[ComputeDeps]) -> list[LegacyGroup]:
    groups = call.deps.network.security_groups.index(
        call.tx, call.caller, all_projects=filters.boolean("all_tenants", call.param("all_tenants") or "false")
    )
    check_paging(call)
    offset, limit = call.param("offset"), call.param("limit")
    first = filters.integer("offset", offset) if offset else 0
    most = filters.integer("limit", limit) if limit else MAX_PAGE
    return groups[first:][:most]


def show(call: Call[ComputeDeps], group_id: str) -> LegacyGroup:
    return call.deps.network.security_groups.show(call.tx, call.caller, _checked_id(group_id))


def create(call: Call[ComputeDeps], body: Group) -> LegacyGroup:
    return call.deps.network.security_groups.create(call.tx, call.caller, body.name, body.description)


def update(call: Call[ComputeDeps], body: Group, group_id: str) -> LegacyGroup:
    groups = call.deps.network.security_groups
    return groups.update(call.tx, call.caller, _checked_id(group_id), body.name, body.description)


def delete(call: Call[ComputeDeps], group_id: str) -> None:
    call.deps.network.security_groups.delete(call.tx, call.caller, _checked_id(group_id))


def create_rule(call: Call[ComputeDeps], body: RuleBody) -> RuleDocument:
    new = body.security_group_rule
    if new.cidr and new.group_id:
        raise BadRequest("Only one of cidr and group_id may be given.")
    if new.group_id is None and (new.ip_protocol is None or new.from_port is None or new.to_port is None):
        raise BadRequest("Not enough parameters to build rule.")
    for group_id in (new.parent_group_id, new.group_id):
        _checked_id(group_id or new.parent_group_id)
    ports = (_port(new.from_port), _port(new.to_port))
    rule = NewIngressRule(new.parent_group_id, new.ip_protocol, ports, new.cidr, new.group_id)
    return RuleDocument(call.deps.network.security_groups.add_rule(call.tx, call.caller, rule))


def _port(number: int | str | None) -> int | None:
    return None if number is None else int(number)


def delete_rule(call: Call[ComputeDeps], rule_id: str) -> None:
    if not ids.is_uuid(rule_id):
        raise NotFound(f"Security group rule {rule_id[:64]} could not be found.")
    call.deps.network.security_groups.remove_rule(call.tx, call.caller, rule_id)


_ALL = "/v2.1/os-security-groups"
_ONE = _ALL + "/{group_id}"
_RULES_AT = "/v2.1/os-security-group-rules"
_GROUP = "security_group"
_QUERY = ("all_tenants", "limit", "offset")
ROUTES = (
    Route("GET", _ALL, index, _PREFIX + "get", envelope="security_groups", until=LAST, query=_QUERY),
    Route("POST", _ALL, create, _PREFIX + "create", body=Group, envelope=_GROUP, until=LAST),
    Route("GET", _ONE, show, _PREFIX + "show", envelope=_GROUP, until=LAST),
    Route("PUT", _ONE, update, _PREFIX + "update", body=Group, envelope=_GROUP, until=LAST),
    Route("DELETE", _ONE, delete, _PREFIX + "delete", 202, until=LAST),
    Route("POST", _RULES_AT, create_rule, _PREFIX + "rule:create", body=RuleBody, until=LAST),
    Route("DELETE", _RULES_AT + "/{rule_id}", delete_rule, _PREFIX + "rule:delete", 202, until=LAST),
)
