"""Default groups that no write has needed yet, as rows to show.

Their ids follow from their project's (`operations.default_id`), and so does everything else: they are as old as their
project. Whoever changes one makes it real first. Invariant: nothing here writes, but `write`.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from sqlalchemy import select

from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.services.network.listing import Listing, is_asked_for
from gureum.services.network.security_groups import operations
from gureum.services.network.security_groups.model import SecurityGroup

_OF_WRITTEN_ROWS = ("tags", "tags-any", "marker")
"""Parameters that only rows of the table can satisfy."""


def groups(call: Call[Any], listing: Listing) -> list[Any]:
    """The unwritten groups that a list is to show."""
    if any(call.params(name) for name in _OF_WRITTEN_ROWS):
        return []
    if any(filters.boolean("shared", value) for value in call.params("shared")):
        return []
    return [row for row in _groups(call, _projects(call, call.params("id"))) if _is_asked_for(call, listing, row)]


def rules(call: Call[Any], listing: Listing) -> list[Any]:
    """The rules of unwritten groups that a list is to show."""
    if call.params("marker"):
        return []
    projects = _projects(call, [*call.params("id"), *call.params("security_group_id")])
    shown = (rule for group in _groups(call, projects) for rule in group.unwritten)
    return [rule for rule in shown if _is_asked_for(call, listing, rule)]


def group(call: Call[Any], group_id: str) -> Any | None:
    """The unwritten group of this id, if it is within the caller's reach."""
    return next((row for row in _groups(call, _projects(call, [group_id])) if row.id == group_id), None)


def rule(call: Call[Any], rule_id: str) -> Any | None:
    """The rule of this id of an unwritten group, if it is within the caller's reach."""
    shown = (one for row in _groups(call, _projects(call, [rule_id])) for one in row.unwritten)
    return next((one for one in shown if one.id == rule_id), None)


def write(call: Call[Any], resource_id: str) -> None:
    """Make the default group real that this is the id of, or of a rule of it; for a write that names it."""
    for project_id in _projects(call, [resource_id]):
        if resource_id in operations.default_ids(project_id):
            operations.materialise(call.tx, call.deps, project_id)
            call.tx.flush()


def _projects(call: Call[Any], ids: Iterable[str]) -> list[str]:
    """The projects whose default groups are meant: the caller's; for an administrator those of the query or the ids."""
    own = [call.caller.project_id] if call.caller.project_id else []
    if not call.caller.is_admin:
        return own
    named = [*call.params("project_id"), *call.params("tenant_id")]
    sought = {one for one in ids if operations.may_be_default(one)}
    if sought:
        every = call.deps.project_ids(call.tx)
        named += [project_id for project_id in every if not sought.isdisjoint(operations.default_ids(project_id))]
    return list(dict.fromkeys(named or own))


def _groups(call: Call[Any], project_ids: Iterable[str]) -> list[Any]:
    """Of these projects, those whose default group is not written. A project that is not there has none."""
    by_id = {operations.default_id(project_id): project_id for project_id in project_ids}
    if not by_id:
        return []
    for group_id in call.tx.scalars(select(SecurityGroup.id).where(SecurityGroup.id.in_(by_id))):
        del by_id[group_id]
    rows = []
    for project_id in by_id.values():
        made = operations.default_group(call.tx, call.deps, project_id)
        if made is not None:
            shown = _columns(made.group) | {"tags": [], "revision": 1, "stateful": True}
            rows.append(SimpleNamespace(**shown, unwritten=made.rules))
    return rows


def _is_asked_for(call: Call[Any], listing: Listing, row: Any) -> bool:
    since = call.param("changed_since")
    if since is not None and row.updated_at < filters.moment("changed_since", since):
        return False
    return is_asked_for(call, listing, row)


def _columns(row: Any) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in type(row).__mapper__.column_attrs}
