"""Security groups and rules, one transaction each, and the default group that every project has.

The default group is shown before it is written: its id and its rules' ids follow from the project's, so that reading
writes nothing. The first write that needs it makes it real under the same ids (`materialise`).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import bindparam, delete, exists, or_, select

from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared
from gureum.services.network import errors
from gureum.services.network.context import NetworkContext
from gureum.services.network.ports.model import PortGroup
from gureum.services.network.security_groups import rules
from gureum.services.network.security_groups.model import DEFAULT, SecurityGroup, SecurityGroupRule
from gureum.services.network.standard import touch

_SPACE = uuid.UUID("5b0f2c5e-3f4e-5d8a-9a55-0f6d2f7d1c11")
_FIRST_RULES = (("egress", "IPv4"), ("egress", "IPv6"), ("ingress", "IPv4"), ("ingress", "IPv6"))


@lru_cache(maxsize=4096)
def default_id(project_id: str) -> str:
    """The id of a project's default group, real or not yet."""
    return str(uuid.uuid5(_SPACE, project_id))


@lru_cache(maxsize=4096)
def default_ids(project_id: str) -> frozenset[str]:
    """The ids of a project's default group and of its first rules."""
    return frozenset((default_id(project_id), *(_rule_id(project_id, *kind) for kind in _FIRST_RULES)))


def may_be_default(resource_id: str) -> bool:
    """Whether an id is made as those of default groups are; all other ids are random."""
    return ids.is_uuid(resource_id) and uuid.UUID(resource_id).version == 5


def _rule_id(project_id: str, direction: str, ethertype: str) -> str:
    return str(uuid.uuid5(_SPACE, f"{project_id}/{direction}/{ethertype}"))


def default_rules(project_id: str, created_at: datetime) -> list[SecurityGroupRule]:
    """All may leave; members of the group may enter. In the order of their ids, as a group shows them."""
    group_id = default_id(project_id)
    rules_of_group = [
        SecurityGroupRule(
            id=_rule_id(project_id, direction, ethertype),
            project_id=project_id,
            group_id=group_id,
            direction=direction,
            ethertype=ethertype,
            remote_group_id=group_id if direction == "ingress" else None,
            description="",
            revision=0,
            created_at=created_at,
            updated_at=created_at,
        )
        for direction, ethertype in _FIRST_RULES
    ]
    return sorted(rules_of_group, key=lambda rule: rule.id)


@dataclass(frozen=True, slots=True)
class DefaultGroup:
    """A project's default group with its rules, not written."""

    group: SecurityGroup
    rules: list[SecurityGroupRule]


def default_group(tx: Tx, ctx: NetworkContext, project_id: str) -> DefaultGroup | None:
    """What a project's default group is before anything changed it: as old as the project. None without the project."""
    created_at = ctx.project_created_at(tx, project_id)
    return None if created_at is None else _default_group(project_id, created_at)


def _default_group(project_id: str, created_at: datetime) -> DefaultGroup:
    group = SecurityGroup(
        id=default_id(project_id),
        project_id=project_id,
        name=DEFAULT,
        description="Default security group",
        created_at=created_at,
        updated_at=created_at,
    )
    return DefaultGroup(group, default_rules(project_id, created_at))


FIRST_RULES = 2
"""So many rules a new group has."""


def egress_rules(group: SecurityGroup) -> list[SecurityGroupRule]:
    """What a new group allows: all that leaves."""
    return [
        SecurityGroupRule(project_id=group.project_id, group_id=group.id, direction="egress", ethertype=ethertype)
        for ethertype in ("IPv4", "IPv6")
    ]


_WRITTEN = Prepared(select(SecurityGroup.id).where(SecurityGroup.id == bindparam("wanted")))


def materialise(tx: Tx, ctx: NetworkContext, project_id: str) -> str:
    """Make the project's default group real unless it is; returns its id."""
    group_id = default_id(project_id)
    if _WRITTEN.first(tx, wanted=group_id) is None:
        write_default(tx, ctx, project_id)
    return group_id


def write_default(tx: Tx, ctx: NetworkContext, project_id: str) -> None:
    """Make the project's default group real, which it is not.

    An administrator may own things to a project that identity does not know; its group is as old as they are.
    """
    made = _default_group(project_id, ctx.project_created_at(tx, project_id) or clock.utcnow())
    tx.add(made.group)
    tx.add_all(made.rules)
    ctx.changes.mark(tx, "security_group", (made.group.id,))


def resolve(tx: Tx, ctx: NetworkContext, project_id: str, wanted: Sequence[str], *, any_project: bool) -> list[str]:
    """The ids of groups that a port of `project_id` may have, the default one made real when it is among them.

    Raises NotFound for an id that is not the project's (or, with `any_project`, nobody's), and Conflict for stateful
    and stateless groups together, which no port can have.
    """
    unique = list(dict.fromkeys(wanted))
    if not unique:
        return []
    if default_id(project_id) in unique:
        materialise(tx, ctx, project_id)
    found = select(SecurityGroup.id, SecurityGroup.stateful).where(SecurityGroup.id.in_(unique))
    if not any_project:
        found = found.where(SecurityGroup.project_id == project_id)
    known = {row.id: row.stateful for row in tx.execute(found)}
    for group_id in unique:
        if group_id not in known:
            raise errors.missing("security_group", group_id)
    if len(set(known.values())) > 1:
        raise errors.conflict("SecurityGroupConflict", "A port's security groups are all stateful or all stateless.")
    return unique


def create_group(tx: Tx, ctx: NetworkContext, group: SecurityGroup) -> list[SecurityGroupRule]:
    """Add a group with its first rules. Raises Conflict for the name of the default group, in whatever case."""
    if group.name.lower() == DEFAULT:
        raise errors.conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
    tx.add(group)
    tx.flush()
    made = egress_rules(group)
    tx.add_all(made)
    ctx.changes.mark(tx, "security_group", (group.id,))
    return made


def rename_group(group: SecurityGroup, name: str) -> None:
    if group.name == DEFAULT and name != DEFAULT:
        raise errors.conflict("SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
    if group.name != DEFAULT and name.lower() == DEFAULT:
        raise errors.conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
    group.name = name


def set_stateful(tx: Tx, group: SecurityGroup, stateful: bool) -> None:
    if group.stateful != stateful and _in_use(tx, group.id):
        raise errors.conflict("SecurityGroupInUse", f"Security Group {group.id} in use.")
    group.stateful = stateful


def _in_use(tx: Tx, group_id: str) -> bool:
    return bool(tx.scalar(select(exists().where(PortGroup.group_id == group_id))))


def delete_group(tx: Tx, ctx: NetworkContext, group: SecurityGroup, *, force_default: bool) -> None:
    """Delete a group, its rules, and the rules of others that name it. Raises Conflict while a port has it."""
    if group.name == DEFAULT and not force_default:
        raise errors.conflict(
            "SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group."
        )
    if _in_use(tx, group.id):
        raise errors.conflict("SecurityGroupInUse", f"Security Group {group.id} in use.")
    naming = select(SecurityGroupRule.group_id).where(
        SecurityGroupRule.remote_group_id == group.id, SecurityGroupRule.group_id != group.id
    )
    others = tx.scalars(select(SecurityGroup).where(SecurityGroup.id.in_(naming))).all()
    for other in others:
        touch(tx, ctx.changes, "security_group", other)
    gone = or_(SecurityGroupRule.group_id == group.id, SecurityGroupRule.remote_group_id == group.id)
    tx.execute(delete(SecurityGroupRule).where(gone))
    ctx.changes.mark(tx, "security_group", (group.id,))
    tx.delete(group)


def allowance_of(rule: SecurityGroupRule) -> rules.Allowance:
    return rules.Allowance(
        rule.direction,
        rule.ethertype,
        rules.number_of(rule.protocol),
        rule.port_min,
        rule.port_max,
        None if rule.normal_prefix in rules.EVERYWHERE else rule.normal_prefix,
        rule.remote_group_id,
    )


def add_rule(tx: Tx, ctx: NetworkContext, group: SecurityGroup, rule: SecurityGroupRule) -> None:
    """Add a checked rule to its group. Raises Conflict when the group allows the very same already."""
    wanted = allowance_of(rule)
    for other in tx.scalars(select(SecurityGroupRule).where(SecurityGroupRule.group_id == group.id)):
        if allowance_of(other) == wanted:
            raise errors.conflict(
                "SecurityGroupRuleExists", f"Security group rule already exists. Rule id is {other.id}."
            )
    tx.add(rule)
    touch(tx, ctx.changes, "security_group", group)


def remove_rule(tx: Tx, ctx: NetworkContext, rule: SecurityGroupRule) -> None:
    group = tx.get(SecurityGroup, rule.group_id)
    tx.delete(rule)
    if group is not None:
        touch(tx, ctx.changes, "security_group", group)
