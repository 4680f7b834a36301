"""Routes of security groups and their rules. Source: network API reference, the two chapters of these names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import ColumnElement, or_, select

from gureum.foundation import clock
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.services.network import errors, listing
from gureum.services.network.listing import Listing
from gureum.services.network.networks.api import MEMBER
from gureum.services.network.quotas.rules import refuse_overrun
from gureum.services.network.security_groups import operations, rules
from gureum.services.network.security_groups.model import DEFAULT, SecurityGroup, SecurityGroupRule
from gureum.services.network.standard import AddressText, IdText, NameText, ProjectText, standard_view, touch

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
_BEGINNING = datetime(2026, 1, 1)  # noqa: DTZ001 database times are naive UTC


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


class UpdateGroup(Struct, forbid_unknown_fields=True):
    security_group: GroupChanges


PortNumber = int | Annotated[str, Meta(pattern=r"^-?[0-9]{1,6}\Z")] | None


class NewRule(Struct, forbid_unknown_fields=True):
    security_group_id: IdText
    direction: Literal["ingress", "egress"]
    ethertype: Annotated[str, Meta(max_length=16)] | None = "IPv4"
    protocol: int | Annotated[str, Meta(max_length=64)] | None = None
    port_range_min: PortNumber = None
    port_range_max: PortNumber = None
    remote_ip_prefix: AddressText | None = None
    remote_group_id: IdText | None = None
    remote_address_group_id: None = None
    description: NameText | None = ""
    project_id: ProjectText = ""
    tenant_id: ProjectText = ""


class CreateRule(Struct, forbid_unknown_fields=True):
    security_group_rule: NewRule | UnsetType = UNSET
    security_group_rules: Annotated[list[NewRule], Meta(min_length=1, max_length=1000)] | UnsetType = UNSET


def views(call: Call[Any], rows: Sequence[Any]) -> list[dict[str, Any]]:
    allowed: dict[str, list[Any]] = {row.id: [] for row in rows}
    if rows:
        found = select(*RULE_LISTING.columns()).where(SecurityGroupRule.group_id.in_(allowed))
        for rule in call.tx.execute(found.order_by(SecurityGroupRule.created_at, SecurityGroupRule.id)):
            allowed[rule.group_id].append(rule)
    return [_view(row, getattr(row, "unwritten", None) or allowed[row.id]) for row in rows]


def _view(row: Any, allowed: Sequence[Any]) -> dict[str, Any]:
    return standard_view(row) | {
        "stateful": row.stateful,
        "shared": False,
        "security_group_rules": [_rule_view(rule) for rule in allowed],
    }


def _rule_views(_call: Call[Any], rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [_rule_view(row) for row in rows]


def _rule_view(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "tenant_id": row.project_id,
        "project_id": row.project_id,
        "security_group_id": row.group_id,
        "direction": row.direction,
        "ethertype": row.ethertype,
        "protocol": row.protocol,
        "port_range_min": row.port_min,
        "port_range_max": row.port_max,
        "remote_ip_prefix": row.prefix,
        "normalized_cidr": row.normal_prefix,
        "remote_group_id": row.remote_group_id,
        "remote_address_group_id": None,
        "description": row.description,
        "tags": [],
        "revision_number": row.revision,
        "created_at": clock.iso(row.created_at),
        "updated_at": clock.iso(row.updated_at),
    }


def _project_shown(call: Call[Any]) -> str | None:
    """The project whose default group is looked for: the one that an administrator asks for, else the caller's."""
    asked = call.param("project_id") or call.param("tenant_id")
    return asked if asked and call.caller.is_admin else call.caller.project_id


def _unwritten_default(call: Call[Any]) -> list[Any]:
    """A project's default group when it is not written yet and the query does not exclude it."""
    project_id = _project_shown(call)
    if not project_id:
        return []
    shown = {
        "id": operations.default_id(project_id),
        "name": DEFAULT,
        "project_id": project_id,
        "tenant_id": project_id,
    }
    shown |= {"description": "Default security group", "stateful": "true", "shared": "false", "revision_number": "1"}
    wanted: dict[str, set[str]] = {}
    for name, value in call.query:
        if name in ("tags", "tags-any", "marker"):
            return []
        if name in shown:
            wanted.setdefault(name, set()).add(value.lower() if name in ("stateful", "shared") else value)
    if any(shown[name] not in values for name, values in wanted.items()):
        return []
    if call.tx.scalar(select(SecurityGroup.id).where(SecurityGroup.id == shown["id"])) is not None:
        return []
    made = [_dated(rule) for rule in operations.default_rules(project_id)]
    group = SecurityGroup(id=shown["id"], project_id=project_id, name=DEFAULT, description=shown["description"])
    group.stateful, group.tags, group.revision = True, [], 1
    return [SimpleNamespace(**_columns(_dated(group)), unwritten=made)]


def _dated(row: Any) -> Any:
    row.created_at = row.updated_at = _BEGINNING
    return row


def _columns(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in type(row).__mapper__.column_attrs}


def _unwritten_rules(call: Call[Any]) -> list[Any]:
    """The rules of a project's unwritten default group that the query does not exclude."""
    project_id = _project_shown(call)
    if not project_id:
        return []
    group_id = operations.default_id(project_id)
    if call.tx.scalar(select(SecurityGroup.id).where(SecurityGroup.id == group_id)) is not None:
        return []
    found = []
    for rule in operations.default_rules(project_id):
        shown = _rule_view(_dated(rule))
        asked = {name for name, _ in call.query if name in RULE_LISTING.filters}
        if all(str(shown[name]) in call.params(name) for name in asked):
            found.append(rule)
    return found


LISTING = Listing(
    single="security_group",
    plural="security_groups",
    model=SecurityGroup,
    seen_by=listing.own(SecurityGroup),
    views=views,
    filters=listing.standard_filters(SecurityGroup) | {"stateful": (SecurityGroup.stateful, filters.boolean)},
    special={
        "shared": lambda values: (
            SecurityGroup.id.is_(None) if filters.boolean("shared", values[-1]) else SecurityGroup.id.isnot(None)
        )
    },
    extra_rows=_unwritten_default,
)


def _rules_seen_by(project: Any) -> ColumnElement[bool]:
    """Own rules, and whoever's rules in own groups."""
    own_groups = select(SecurityGroup.id).where(SecurityGroup.project_id == project)
    return or_(SecurityGroupRule.project_id == project, SecurityGroupRule.group_id.in_(own_groups))


RULE_LISTING = Listing(
    single="security_group_rule",
    plural="security_group_rules",
    model=SecurityGroupRule,
    seen_by=_rules_seen_by,
    views=_rule_views,
    filters={
        "id": (SecurityGroupRule.id, filters.text),
        "project_id": (SecurityGroupRule.project_id, filters.text),
        "tenant_id": (SecurityGroupRule.project_id, filters.text),
        "security_group_id": (SecurityGroupRule.group_id, filters.text),
        "direction": (SecurityGroupRule.direction, filters.text),
        "ethertype": (SecurityGroupRule.ethertype, filters.text),
        "protocol": (SecurityGroupRule.protocol, filters.text),
        "port_range_min": (SecurityGroupRule.port_min, filters.integer),
        "port_range_max": (SecurityGroupRule.port_max, filters.integer),
        "remote_ip_prefix": (SecurityGroupRule.prefix, filters.text),
        "remote_group_id": (SecurityGroupRule.remote_group_id, filters.text),
        "description": (SecurityGroupRule.description, filters.text),
        "revision_number": (SecurityGroupRule.revision, filters.integer),
    },
    extra_rows=_unwritten_rules,
)


def written(call: Call[Any], group_id: str) -> None:
    """Make the caller's default group real before a write that names it."""
    project_id = call.caller.project_id
    if project_id and group_id == operations.default_id(project_id):
        operations.materialise(call.tx, call.deps, project_id)


def create(call: Call[Any], body: CreateGroup) -> dict[str, Any]:
    wanted = listing.single_or_bulk(body.security_group, body.security_groups, "security_group")
    rows = []
    for new in wanted:
        project_id = listing.owner_of(call, new.project_id or new.tenant_id, "create_security_group")
        operations.materialise(call.tx, call.deps, project_id)
        refuse_overrun(call.deps, call.tx, "security_group", project_id)
        refuse_overrun(call.deps, call.tx, "security_group_rule", project_id, operations.FIRST_RULES)
        group = SecurityGroup(project_id=project_id, name=new.name, description=new.description, stateful=new.stateful)
        operations.create_group(call.tx, call.deps, group)
        rows.append(group)
    return listing.created(call, LISTING, rows, bulk=body.security_groups is not UNSET)


def index(call: Call[Any]) -> dict[str, Any]:
    return listing.index(call, LISTING)


def show(call: Call[Any], group_id: str) -> dict[str, Any]:
    return listing.show(call, LISTING, group_id)


def update(call: Call[Any], body: UpdateGroup, group_id: str) -> dict[str, Any]:
    written(call, group_id)
    row: SecurityGroup = listing.load(call, LISTING, group_id)
    wanted = body.security_group
    if wanted.name is not UNSET:
        operations.rename_group(row, wanted.name)
    if wanted.stateful is not UNSET:
        operations.set_stateful(call.tx, row, wanted.stateful)
    listing.set_texts(row, wanted)
    touch(call.tx, call.deps.changes, "security_group", row)
    call.tx.flush()
    return {"security_group": views(call, [row])[0]}


def delete(call: Call[Any], group_id: str) -> None:
    written(call, group_id)
    row = listing.load(call, LISTING, group_id)
    operations.delete_group(call.tx, call.deps, row, force_default=call.caller.is_admin)


def create_rule(call: Call[Any], body: CreateRule) -> dict[str, Any]:
    wanted = listing.single_or_bulk(body.security_group_rule, body.security_group_rules, "security_group_rule")
    if len({new.security_group_id for new in wanted}) > 1:
        raise errors.invalid(
            "Only allowed to update rules for one security profile at a time", "SecurityGroupNotSingleGroupRules"
        )
    rows = [_create_rule(call, new) for new in wanted]
    return listing.created(call, RULE_LISTING, rows, bulk=body.security_group_rules is not UNSET)


def _create_rule(call: Call[Any], new: NewRule) -> SecurityGroupRule:
    call.enforce("create_security_group_rule", **call.own_target())
    written(call, new.security_group_id)
    group: SecurityGroup = listing.load_within_reach(call, LISTING, new.security_group_id)
    project_id = listing.owner_of(
        call, new.project_id or new.tenant_id or group.project_id, "create_security_group_rule"
    )
    rule = _checked(call, new)
    rule.project_id = project_id
    refuse_overrun(call.deps, call.tx, "security_group_rule", project_id)
    operations.add_rule(call.tx, call.deps, group, rule)
    return rule


def _checked(call: Call[Any], new: NewRule) -> SecurityGroupRule:
    ethertype = {"ipv4": "IPv4", "ipv6": "IPv6"}.get((new.ethertype or "IPv4").lower())
    if ethertype is None:
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
        written(call, new.remote_group_id)
        listing.load_within_reach(call, LISTING, new.remote_group_id)
    return SecurityGroupRule(
        group_id=new.security_group_id,
        direction=new.direction,
        ethertype=ethertype,
        protocol=protocol,
        port_min=low,
        port_max=high,
        prefix=new.remote_ip_prefix,
        normal_prefix=prefix,
        remote_group_id=new.remote_group_id,
        description=new.description or "",
    )


def _number(value: int | str | None) -> int | None:
    return None if value is None else int(value)


def index_rules(call: Call[Any]) -> dict[str, Any]:
    return listing.index(call, RULE_LISTING)


def show_rule(call: Call[Any], rule_id: str) -> dict[str, Any]:
    return listing.show(call, RULE_LISTING, rule_id)


def delete_rule(call: Call[Any], rule_id: str) -> None:
    project_id = call.caller.project_id
    if project_id and rule_id in {rule.id for rule in operations.default_rules(project_id)}:
        operations.materialise(call.tx, call.deps, project_id)
    operations.remove_rule(call.tx, call.deps, listing.load(call, RULE_LISTING, rule_id))


_AT = "/v2.0/security-groups"
_ONE = _AT + "/{group_id}"
_RULES_AT = "/v2.0/security-group-rules"
_ONE_RULE = _RULES_AT + "/{rule_id}"
ROUTES = (
    Route("GET", _AT, index, "get_security_group", query=LISTING.query()),
    Route("POST", _AT, create, "create_security_group", 201, body=CreateGroup, target="handler"),
    Route("GET", _ONE, show, "get_security_group", query=listing.FIELDS),
    Route("PUT", _ONE, update, "update_security_group", body=UpdateGroup, target="handler", also=(412,)),
    Route("DELETE", _ONE, delete, "delete_security_group", 204, target="handler", also=(412,)),
    Route("GET", _RULES_AT, index_rules, "get_security_group_rule", query=RULE_LISTING.query()),
    Route("POST", _RULES_AT, create_rule, "create_security_group_rule", 201, body=CreateRule, target="handler"),
    Route("GET", _ONE_RULE, show_rule, "get_security_group_rule", query=listing.FIELDS),
    Route("DELETE", _ONE_RULE, delete_rule, "delete_security_group_rule", 204, target="handler", also=(412,)),
)
