"""Routes of security groups and their rules. Source: network API reference, the two chapters of these names."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import ColumnElement, or_, select

from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Listed
from gureum.foundation.policy import Rule
from gureum.services.network import errors, listing, spellings
from gureum.services.network.bulk import Document, new_resources
from gureum.services.network.context import NetworkContext
from gureum.services.network.listing import Listing
from gureum.services.network.networks.api import MEMBER
from gureum.services.network.security_groups import operations, rules, unwritten
from gureum.services.network.security_groups.model import ETHERTYPE, GroupRow, RuleRow, SecurityGroup, SecurityGroupRule
from gureum.services.network.security_groups.views import (
    GroupView,
    NewGroups,
    NewRules,
    RuleView,
    group_views,
    rule_views,
)
from gureum.services.network.standard import AddressText, IdText, NameText, ProjectId, ProjectText, touch

READER = "rule:admin or role:reader"
RULES = (
    Rule("get_security_group", READER, "See own security groups", unbounded=listing.IN_QUERIES),
    Rule("create_security_group", MEMBER, "Create a security group"),
    Rule("update_security_group", MEMBER, "Update a security group"),
    Rule("delete_security_group", MEMBER, "Delete a security group"),
    Rule("get_security_group_rule", READER, "See own security group rules", unbounded=listing.IN_QUERIES),
    Rule("create_security_group_rule", MEMBER, "Create a security group rule"),
    Rule("delete_security_group_rule", MEMBER, "Delete a security group rule"),
)


class NewGroup(Struct, forbid_unknown_fields=True):
    name: NameText = ""
    description: NameText = ""
    project_id: ProjectText = ""
    tenant_id: ProjectText = ""
    stateful: bool = True


class GroupChanges(Struct, forbid_unknown_fields=True):
    name: NameText | UnsetType = UNSET
    description: NameText | UnsetType = UNSET
    stateful: bool | UnsetType = UNSET


class CreateGroup(Struct, forbid_unknown_fields=True):
    security_group: NewGroup | UnsetType = UNSET
    security_groups: Annotated[list[NewGroup], Meta(min_length=1, max_length=1000)] | UnsetType = UNSET


PortNumber = int | Annotated[str, Meta(pattern=r"^-?[0-9]{1,6}\Z")] | None


class NewRule(Struct, forbid_unknown_fields=True):
    security_group_id: IdText
    direction: Literal["ingress", "egress"]
    ethertype: Annotated[str, Meta(max_length=16)] | None = "IPv4"
    protocol: int | Annotated[str, Meta(max_length=64)] | None = None
    port_range_min: PortNumber = None
    port_range_max: PortNumber = None
    remote_ip_prefix: AddressText | None = None
    remote_group_id: NameText | None = None
    remote_address_group_id: None = None
    description: NameText | None = ""
    project_id: ProjectText = ""
    tenant_id: ProjectText = ""


class CreateRule(Struct, forbid_unknown_fields=True):
    security_group_rule: NewRule | UnsetType = UNSET
    security_group_rules: Annotated[list[NewRule], Meta(min_length=1, max_length=1000)] | UnsetType = UNSET


LISTING: Listing[SecurityGroup, GroupRow, GroupView] = Listing(
    single="security_group",
    plural="security_groups",
    model=SecurityGroup,
    record=GroupRow,
    seen_by=listing.own(SecurityGroup),
    views=group_views,
    filters=listing.standard_filters(SecurityGroup) | {"stateful": SecurityGroup.stateful},
    special={
        "shared": lambda values: (
            SecurityGroup.id.is_(None) if filters.boolean("shared", values[-1]) else SecurityGroup.id.isnot(None)
        )
    },
    extra_rows=lambda call: unwritten.groups(call, LISTING),
    extra_row=unwritten.group,
)


def _rules_seen_by(project_id: ProjectId) -> ColumnElement[bool]:
    """The project's own rules, and all rules in its own groups."""
    own_groups = select(SecurityGroup.id).where(SecurityGroup.project_id == project_id)
    return or_(SecurityGroupRule.project_id == project_id, SecurityGroupRule.group_id.in_(own_groups))


def _of_protocol(values: list[str]) -> ColumnElement[bool]:
    """A protocol by any of its names or its number."""
    return SecurityGroupRule.protocol.in_([name for value in values for name in rules.names_of(value)])


RULE_LISTING: Listing[SecurityGroupRule, RuleRow, RuleView] = Listing(
    single="security_group_rule",
    plural="security_group_rules",
    model=SecurityGroupRule,
    record=RuleRow,
    seen_by=_rules_seen_by,
    views=rule_views,
    filters={
        "id": SecurityGroupRule.id,
        "project_id": SecurityGroupRule.project_id,
        "tenant_id": SecurityGroupRule.project_id,
        "security_group_id": SecurityGroupRule.group_id,
        "direction": SecurityGroupRule.direction,
        "ethertype": SecurityGroupRule.ethertype,
        "port_range_min": SecurityGroupRule.port_min,
        "port_range_max": SecurityGroupRule.port_max,
        "remote_ip_prefix": SecurityGroupRule.prefix,
        "remote_group_id": SecurityGroupRule.remote_group_id,
        "description": SecurityGroupRule.description,
        "revision_number": SecurityGroupRule.revision,
    },
    special={"protocol": _of_protocol},
    extra_rows=lambda call: unwritten.rules(call, RULE_LISTING),
    extra_row=unwritten.rule,
)


def create(call: Call[NetworkContext], body: Document) -> NewGroups:
    new = new_resources(body, LISTING.names, NewGroup)
    made = listing.views_of_new(call, LISTING, [_create_group(call, item) for item in new.items])
    return NewGroups(security_groups=made) if new.is_list else NewGroups(security_group=made[0])


def _create_group(call: Call[NetworkContext], new: NewGroup) -> SecurityGroup:
    project_id = listing.owner_of(call, listing.project_named(new), "create_security_group")
    operations.materialise(call.tx, call.deps, project_id)
    call.deps.quotas.require(call.tx, project_id, {"security_group": 1})
    call.deps.quotas.require(call.tx, project_id, {"security_group_rule": operations.FIRST_RULES})
    group = SecurityGroup(project_id=project_id, name=new.name, description=new.description, stateful=new.stateful)
    operations.create_group(call.tx, call.deps, group)
    return group


def index(call: Call[NetworkContext]) -> Listed[GroupView]:
    return listing.index(call, LISTING)


def show(call: Call[NetworkContext], group_id: str) -> GroupView:
    return listing.show(call, LISTING, group_id)


def update(call: Call[NetworkContext], body: GroupChanges, group_id: str) -> GroupView:
    unwritten.write(call, group_id)
    row = listing.load(call, LISTING, group_id)
    if body.name is not UNSET:
        operations.rename_group(row, body.name)
    if body.stateful is not UNSET:
        operations.set_stateful(call.tx, row, body.stateful)
    listing.set_texts(row, body)
    touch(call.tx, call.deps.changes, "security_group", row)
    return listing.views_of_new(call, LISTING, [row])[0]


def delete(call: Call[NetworkContext], group_id: str) -> None:
    unwritten.write(call, group_id)
    row = listing.load(call, LISTING, group_id)
    operations.delete_group(call.tx, call.deps, row, force_default=call.caller.is_admin)


def create_rule(call: Call[NetworkContext], body: Document) -> NewRules:
    new = new_resources(body, RULE_LISTING.names, NewRule)
    if len({rule.security_group_id for rule in new.items}) > 1:
        raise errors.invalid(
            "Only allowed to update rules for one security profile at a time", "SecurityGroupNotSingleGroupRules"
        )
    made = listing.views_of_new(call, RULE_LISTING, [_create_rule(call, rule) for rule in new.items])
    return NewRules(security_group_rules=made) if new.is_list else NewRules(security_group_rule=made[0])


def _create_rule(call: Call[NetworkContext], new: NewRule) -> SecurityGroupRule:
    call.enforce("create_security_group_rule", **call.own_target())
    unwritten.write(call, new.security_group_id)
    group = listing.load_within_reach(call, LISTING, new.security_group_id)
    project_id = listing.owner_of(call, listing.project_named(new) or group.project_id, "create_security_group_rule")
    rule = _checked(call, new)
    rule.project_id = project_id
    call.deps.quotas.require(call.tx, project_id, {"security_group_rule": 1})
    operations.add_rule(call.tx, call.deps, group, rule)
    return rule


def _checked(call: Call[NetworkContext], new: NewRule) -> SecurityGroupRule:
    ethertype = "IPv4" if new.ethertype is None else ETHERTYPE(new.ethertype)
    if ethertype not in ("IPv4", "IPv6"):
        raise errors.invalid(
            f"Security group rule for ethertype '{new.ethertype}' not supported. Allowed values are ['IPv4', 'IPv6'].",
            "SecurityGroupRuleInvalidEtherType",
        )
    protocol = rules.canonical(rules.protocol_of(new.protocol), ethertype)
    rules.check_family(protocol, ethertype)
    low, high = rules.ports_of(protocol, _number(new.port_range_min), _number(new.port_range_max))
    if new.remote_ip_prefix is not None and new.remote_group_id is not None:
        raise errors.invalid(
            "Only remote_ip_prefix or remote_group_id may be provided.", "SecurityGroupRemoteGroupAndRemoteIpPrefix"
        )
    prefix = rules.prefix_of(new.remote_ip_prefix, ethertype)
    if new.remote_group_id is not None:
        unwritten.write(call, new.remote_group_id)
        listing.load_within_reach(call, LISTING, new.remote_group_id)
    return SecurityGroupRule(
        group_id=new.security_group_id,
        direction=new.direction,
        ethertype=ethertype,
        protocol=protocol,
        port_min=low,
        port_max=high,
        prefix=new.remote_ip_prefix and spellings.interface(new.remote_ip_prefix),
        normal_prefix=prefix,
        remote_group_id=new.remote_group_id,
        description=new.description or "",
    )


def _number(value: int | str | None) -> int | None:
    return None if value is None else int(value)


def index_rules(call: Call[NetworkContext]) -> Listed[RuleView]:
    return listing.index(call, RULE_LISTING)


def show_rule(call: Call[NetworkContext], rule_id: str) -> RuleView:
    return listing.show(call, RULE_LISTING, rule_id)


def delete_rule(call: Call[NetworkContext], rule_id: str) -> None:
    unwritten.write(call, rule_id)
    operations.remove_rule(call.tx, call.deps, listing.load(call, RULE_LISTING, rule_id))


_AT = "/v2.0/security-groups"
_ONE = _AT + "/{group_id}"
_RULES_AT = "/v2.0/security-group-rules"
_ONE_RULE = _RULES_AT + "/{rule_id}"
ROUTES = (
    Route("GET", _AT, index, "get_security_group", envelope="security_groups", query=LISTING.query()),
    Route("POST", _AT, create, "create_security_group", 201, body=Document, described=CreateGroup, target="handler"),
    Route("GET", _ONE, show, "get_security_group", envelope="security_group", query=listing.FIELDS),
    Route(
        "PUT",
        _ONE,
        update,
        "update_security_group",
        body=GroupChanges,
        envelope="security_group",
        target="handler",
        also=(412,),
    ),
    Route("DELETE", _ONE, delete, "delete_security_group", 204, target="handler", also=(412,)),
    Route(
        "GET",
        _RULES_AT,
        index_rules,
        "get_security_group_rule",
        envelope="security_group_rules",
        query=RULE_LISTING.query(),
    ),
    Route(
        "POST",
        _RULES_AT,
        create_rule,
        "create_security_group_rule",
        201,
        body=Document,
        described=CreateRule,
        target="handler",
    ),
    Route("GET", _ONE_RULE, show_rule, "get_security_group_rule", envelope="security_group_rule", query=listing.FIELDS),
    Route("DELETE", _ONE_RULE, delete_rule, "delete_security_group_rule", 204, target="handler", also=(412,)),
)
