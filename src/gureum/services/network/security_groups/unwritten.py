"""Default groups that no write has needed yet, as records to show.

Their ids follow from their project's (`operations.default_id`), and so does everything else: they are as old as their
project. Whoever changes one makes it real first. Invariant: nothing here writes, but `write`.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.services.network.context import NetworkContext
from gureum.services.network.listing import Listing, Model, Record, Shown, is_asked_for
from gureum.services.network.security_groups import operations
from gureum.services.network.security_groups.model import (
    GroupRow,
    RuleRow,
    SecurityGroup,
    SecurityGroupRule,
    UnwrittenGroup,
)
from gureum.services.network.security_groups.views import GroupView, RuleView

_OF_WRITTEN_ROWS = ("tags", "tags-any", "marker")
"""Parameters that only rows of the table can satisfy."""


def groups(call: Call[NetworkContext], listing: Listing[SecurityGroup, GroupRow, GroupView]) -> list[UnwrittenGroup]:
    """The unwritten groups that a list is to show."""
    if any(call.params(name) for name in _OF_WRITTEN_ROWS):
        return []
    if any(filters.boolean("shared", value) for value in call.params("shared")):
        return []
    return [row for row in _groups(call, _projects(call, call.params("id"))) if _is_asked_for(call, listing, row)]


def rules(call: Call[NetworkContext], listing: Listing[SecurityGroupRule, RuleRow, RuleView]) -> list[RuleRow]:
    """The rules of unwritten groups that a list is to show."""
    if call.params("marker"):
        return []
    projects = _projects(call, [*call.params("id"), *call.params("security_group_id")])
    shown = (rule for group in _groups(call, projects) for rule in group.rules)
    return [rule for rule in shown if _is_asked_for(call, listing, rule)]


def group(call: Call[NetworkContext], group_id: str) -> UnwrittenGroup | None:
    """The unwritten group of this id, if it is within the caller's reach."""
    return next((row for row in _groups(call, _projects(call, [group_id])) if row.id == group_id), None)


def rule(call: Call[NetworkContext], rule_id: str) -> RuleRow | None:
    """The rule of this id of an unwritten group, if it is within the caller's reach."""
    shown = (record for row in _groups(call, _projects(call, [rule_id])) for record in row.rules)
    return next((record for record in shown if record.id == rule_id), None)


def write(call: Call[NetworkContext], resource_id: str) -> None:
    """Make the default group real that this is the id of, or of a rule of it; for a write that names it."""
    for project_id in _projects(call, [resource_id]):
        if resource_id in operations.default_ids(project_id):
            operations.materialise(call.tx, call.deps, project_id)
            call.tx.flush()


def _projects(call: Call[NetworkContext], ids: Iterable[str]) -> list[str]:
    """The projects whose default groups are meant: the caller's; for an administrator those of the query or the ids."""
    own = [call.caller.project_id] if call.caller.project_id else []
    if not call.caller.is_admin:
        return own
    named = [*call.params("project_id"), *call.params("tenant_id")]
    sought = {id_ for id_ in ids if operations.may_be_default(id_)}
    if sought:
        every = call.deps.project_ids(call.tx)
        named += [project_id for project_id in every if not sought.isdisjoint(operations.default_ids(project_id))]
    return list(dict.fromkeys(named or own))


def _groups(call: Call[NetworkContext], project_ids: Iterable[str]) -> list[UnwrittenGroup]:
    """Of these projects, those whose default group is not written. A project that is not there has none."""
    by_id = {operations.default_id(project_id): project_id for project_id in project_ids}
    if not by_id:
        return []
    for group_id in call.tx.scalars(select(SecurityGroup.id).where(SecurityGroup.id.in_(by_id))):
        del by_id[group_id]
    made = (operations.default_group(call.tx, call.deps, project_id) for project_id in by_id.values())
    return [_record(default) for default in made if default is not None]


def _record(default: operations.DefaultGroup) -> UnwrittenGroup:
    group = default.group
    return UnwrittenGroup(
        id=group.id,
        project_id=group.project_id,
        description=group.description,
        revision=1,
        created_at=group.created_at,
        updated_at=group.updated_at,
        tags=[],
        name=group.name,
        stateful=True,
        rules=[RuleRow(*(getattr(rule, name) for name in RuleRow.__struct_fields__)) for rule in default.rules],
    )


def _is_asked_for(call: Call[NetworkContext], listing: Listing[Model, Record, Shown], row: Record) -> bool:
    since = call.param("changed_since")
    if since is not None and row.updated_at < filters.moment("changed_since", since):
        return False
    return is_asked_for(call, listing, row)
