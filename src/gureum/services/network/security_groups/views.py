"""What clients are shown of security groups and their rules. Source: network API reference, the chapters of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam, select

from gureum.foundation.db.prepared import Prepared, columns_of
from gureum.foundation.http.call import Call
from gureum.foundation.http.views import View
from gureum.services.network.context import NetworkContext
from gureum.services.network.security_groups.model import (
    GroupRow,
    RuleRow,
    SecurityGroup,
    SecurityGroupRule,
    UnwrittenGroup,
)
from gureum.services.network.views import OwnedView, StandardView, owned, standard


class RuleView(OwnedView):
    """A rule has no tags of its own."""

    security_group_id: str
    direction: str
    ethertype: str
    protocol: str | None
    port_range_min: int | None
    port_range_max: int | None
    remote_ip_prefix: str | None
    normalized_cidr: str | None
    remote_group_id: str | None
    remote_address_group_id: None = None


class GroupView(StandardView):
    stateful: bool
    security_group_rules: list[RuleView]
    shared: Literal[False] = False


class NewGroups(View):
    """One group or several, as they were asked for."""

    security_group: GroupView | UnsetType = UNSET
    security_groups: list[GroupView] | UnsetType = UNSET


class NewRules(View):
    """One rule or several, as they were asked for."""

    security_group_rule: RuleView | UnsetType = UNSET
    security_group_rules: list[RuleView] | UnsetType = UNSET


def group_views(call: Call[NetworkContext], rows: Sequence[SecurityGroup | GroupRow]) -> list[GroupView]:
    rules: dict[str, list[RuleRow]] = {row.id: [] for row in rows}
    if rows:
        for rule in _RULES_OF.all(call.tx, groups=list(rules)):
            rules[rule.group_id].append(rule)
    return [_group_view(row, row.rules if isinstance(row, UnwrittenGroup) else rules[row.id]) for row in rows]


_RULES_OF = Prepared(
    select(*columns_of(SecurityGroupRule, RuleRow))
    .where(SecurityGroupRule.group_id.in_(bindparam("groups", expanding=True)))
    .order_by(SecurityGroupRule.created_at, SecurityGroupRule.id),
    RuleRow,
)


def _group_view(row: SecurityGroup | GroupRow, rules: Sequence[RuleRow]) -> GroupView:
    return GroupView(*standard(row), stateful=row.stateful, security_group_rules=[_rule_view(rule) for rule in rules])


def rule_views(_call: Call[NetworkContext], rows: Sequence[SecurityGroupRule | RuleRow]) -> list[RuleView]:
    return [_rule_view(row) for row in rows]


def _rule_view(row: SecurityGroupRule | RuleRow) -> RuleView:
    return RuleView(
        *owned(row, []),
        security_group_id=row.group_id,
        direction=row.direction,
        ethertype=row.ethertype,
        protocol=row.protocol,
        port_range_min=row.port_min,
        port_range_max=row.port_max,
        remote_ip_prefix=row.prefix,
        normalized_cidr=row.normal_prefix,
        remote_group_id=row.remote_group_id,
    )
