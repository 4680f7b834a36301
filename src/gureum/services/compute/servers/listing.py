"""Filters and pages of server lists, the project predicate included.

Source: compute API reference, "List servers", "Filtering, sorting and pagination".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, Text, and_, cast, or_
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.errors import BadRequest, Forbidden
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.paging import paging_of
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.pages import check_paging
from gureum.services.compute.servers.model import STATUSES, UNKNOWN, Server, in_status
from gureum.services.compute.servers.patterns import MAX_PATTERN, BadPattern, literal, matching
from gureum.services.compute.servers.seen import EVERY_SERVER, SeenServer

MAX_PAGE = 1000
ALL_FILTERS = "os_compute_api:servers:allow_all_filters"
MAX_NAMES = 20_000
"""So many different names a regular expression is tried on: below what SQLite and PostgreSQL take in one list."""


def _lower(_name: str, value: str) -> str:
    """As ids and states are stored."""
    return value.lower()


def _address(_name: str, value: str) -> str:
    """As addresses are stored; what is none equals no stored one."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return value


_SORTABLE = {
    "access_ip_v4": Server.access_ip_v4,
    "access_ip_v6": Server.access_ip_v6,
    "availability_zone": Server.zone,
    "config_drive": Server.config_drive,
    "created_at": Server.created_at,
    "display_description": Server.description,
    "display_name": Server.name,
    "hostname": Server.hostname,
    "image_ref": Server.image_id,
    "instance_type_id": Server.flavor_id,
    "key_name": Server.key_name,
    "launch_index": Server.launch_index,
    "launched_at": Server.launched_at,
    "locked_by": Server.locked_by,
    "power_state": Server.power_state,
    "project_id": Server.project_id,
    "task_state": Server.task_state,
    "terminated_at": Server.terminated_at,
    "updated_at": Server.updated_at,
    "user_id": Server.user_id,
    "uuid": Server.id,
    "vm_state": Server.vm_state,
}
_SORTABLE_FOR_ADMIN = {"host": Server.host, "node": Server.host}
_EQUAL: dict[str, tuple[InstrumentedAttribute[Any], filters.Convert]] = {
    "image": (Server.image_id, _lower),
    "image_ref": (Server.image_id, _lower),
    "description": (Server.description, filters.text),
    "display_description": (Server.description, filters.text),
    "launch_index": (Server.launch_index, filters.integer),
    "flavor": (Server.flavor_id, filters.text),
    "reservation_id": (Server.reservation_id, filters.text),
    "key_name": (Server.key_name, filters.text),
    "hostname": (Server.hostname, filters.text),
    "availability_zone": (Server.zone, filters.text),
    "uuid": (Server.id, _lower),
    "config_drive": (Server.config_drive, filters.boolean),
    "locked": (Server.locked, filters.boolean),
    "user_id": (Server.user_id, filters.text),
    "vm_state": (Server.vm_state, _lower),
    "task_state": (Server.task_state, _lower),
    "power_state": (Server.power_state, filters.integer),
    "access_ip_v4": (Server.access_ip_v4, _address),
    "access_ip_v6": (Server.access_ip_v6, _address),
}
_EQUAL_FOR_ADMIN = {
    "host": (Server.host, filters.text),
    "node": (Server.host, filters.text),
}
_PROJECT = {
    "project_id": (Server.project_id, filters.text),
    "tenant_id": (Server.project_id, filters.text),
}

_SINCE = {"ip6": (2, 5), **dict.fromkeys(("tags", "tags-any", "not-tags", "not-tags-any"), (2, 26))}
_SINCE |= {"changes-before": (2, 66), "locked": (2, 73)}
"""Filters that mean nothing before a version."""
_NEVER_EMPTY = ("changes-since", "changes-before", "name", "display_name", "flavor", "tags", "tags-any")
_NOT_SORTED = frozenset(
    {
        *("architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted"),
        *("deleted_at", "disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on"),
        *("memory_mb", "os_type", "reservation_id", "root_gb", "shutdown_terminate", "user_data", "vcpus", "vm_mode"),
        "locked",
    }
)
_TAGS = ("tags", "tags-any", "not-tags", "not-tags-any")
PARAMETERS = (
    *("limit", "marker", "sort_key", "sort_dir", "all_tenants", "deleted", "changes-since", "changes-before"),
    *("name", "display_name", "status", "ip", "ip6", *_TAGS, *_EQUAL, *_EQUAL_FOR_ADMIN, *_PROJECT),
    *("auto_disk_config", "created_at", "kernel_id", "launched_at", "locked_by", "progress", "ramdisk_id"),
    *("root_device_name", "soft_deleted", "terminated_at"),
)
"""The last two lines narrow nothing: the reference takes them, for none but administrators."""


def page_of(call: Call[ComputeDeps]) -> tuple[Sequence[Any], bool]:
    """One page of the servers that the caller may see, as `seen.py` reads them, and whether more follow."""
    call.query = [(name, value) for name, value in call.query if call.version >= _SINCE.get(name, (2, 1))]
    check_paging(call, "created_at")
    _check_filters(call)
    call.query = [(name, value) for name, value in call.query if name != "sort_key" or not _is_ignored(call, value)]
    statement = _visible(call)
    statement = _narrow(call, statement)
    default = [("created_at", True)]
    columns = _sortable(call)
    paging = paging_of(call, columns, unique=Server.id, default=default, maximum=MAX_PAGE, direction="desc")

    def marker(server_id: str) -> Any:
        return call.tx.execute(_visible(call).where(Server.id == server_id)).one_or_none()

    rows, more = paging.cut(call.tx.execute(paging.page(statement, marker)).all())
    return [SeenServer(*row) for row in rows], more


def _check_filters(call: Call[Any]) -> None:
    """Raises BadRequest for a filter without a value where one is needed."""
    for name, value in call.query:
        if name in _NEVER_EMPTY and not value:
            raise BadRequest(f"Invalid input for query parameter {name}: it must not be empty.")


def _is_ignored(call: Call[Any], sort_key: str) -> bool:
    """Whether the reference takes a sort key and sorts by nothing, as it did before 2.75."""
    known_since = (2, 73) if sort_key == "locked" else (2, 75)
    return call.version < known_since and sort_key in _NOT_SORTED


def _sortable(call: Call[Any]) -> dict[str, InstrumentedAttribute[Any]]:
    """The keys that the caller may sort by: an order tells of what it orders."""
    mine = {**_SORTABLE, "locked": Server.locked} if call.at_least(2, 73) else _SORTABLE
    if call.caller.is_admin:
        return {**mine, **_SORTABLE_FOR_ADMIN}
    for key in call.params("sort_key"):
        if key in _SORTABLE_FOR_ADMIN:
            raise Forbidden(f"Only administrators may sort servers by {key}.")
    return mine


def _visible(call: Call[Any]) -> Select[Any]:
    statement = EVERY_SERVER
    if _everywhere(call):
        call.enforce(f"{call.route.policy}:get_all_tenants", **call.own_target())
    else:
        statement = statement.where(Server.project_id == call.caller.project_id)
    if _statuses(call) == ["DELETED"]:
        if not call.caller.is_admin:
            raise Forbidden("Only administrators may list deleted instances")
        return statement.where(Server.deleted_at.isnot(None))
    deleted = call.param("deleted")
    if call.param("changes-since") or call.param("changes-before"):
        return statement
    if deleted and call.caller.is_admin and filters.boolean("deleted", deleted):
        return statement.where(Server.deleted_at.isnot(None))
    return statement.where(Server.deleted_at.is_(None))


def _statuses(call: Call[Any]) -> list[str]:
    return [value.upper() for value in call.params("status")]


def _everywhere(call: Call[Any]) -> bool:
    wanted = call.param("all_tenants")
    return wanted is not None and (wanted == "" or filters.boolean("all_tenants", wanted))


def _narrow(call: Call[Any], statement: Select[Any]) -> Select[Any]:
    every = call.allows(ALL_FILTERS, **call.own_target())
    allowed = {**_EQUAL, **_EQUAL_FOR_ADMIN} if every else dict(_EQUAL)
    if _everywhere(call):
        allowed |= _PROJECT
    statement = filters.equals(statement, call.query, allowed)
    if name := call.param("name") or call.param("display_name"):
        statement = statement.where(_named(call, statement, name))
    if statuses := _statuses(call):
        statement = statement.where(_in_status(call, statuses))
    since, before = (_moment(call, name) for name in ("changes-since", "changes-before"))
    if since is not None and before is not None and since > before:
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    if since is not None:
        statement = statement.where(filters.shown_since(Server.updated_at, since))
    if before is not None:
        statement = statement.where(filters.shown_until(Server.updated_at, before))
    for parameter in _TAGS:
        (tags,) = filters.names(parameter, [call.param(parameter) or ""])
        if tags:
            statement = statement.where(_tagged(parameter, tags))
    if addresses := call.params("ip") + call.params("ip6"):
        ids = call.deps.network.servers_with_address(call.tx, addresses)
        statement = statement.where(Server.id.in_(ids))
    return statement


def _moment(call: Call[Any], name: str) -> datetime | None:
    text = call.param(name)
    return filters.moment(name, text) if text else None


def _named(call: Call[Any], statement: Select[Any], text: str) -> ColumnElement[bool]:
    """A name filter is a regular expression. A plain one is the database's work; for others the names are read."""
    if len(text) > MAX_PATTERN:
        raise BadRequest(f"Invalid input for query parameter name: longer than {MAX_PATTERN} characters.")
    plain = literal(text)
    if plain is not None:
        at_start, wanted, at_end = plain
        if at_start and at_end:
            return Server.name == wanted
        if at_start:
            return Server.name.startswith(wanted, autoescape=True)
        return (Server.name.endswith if at_end else Server.name.contains)(wanted, autoescape=True)
    names = call.tx.execute(statement.with_only_columns(Server.name).distinct().limit(MAX_NAMES + 1)).scalars().all()
    if len(names) > MAX_NAMES:
        raise BadRequest(f"More than {MAX_NAMES} names to compare: ask with a plain part of the name, or more filters.")
    try:
        return Server.name.in_(matching(text, names))
    except BadPattern as error:
        raise BadRequest(f"Invalid input for query parameter name: {error}.") from error


def _in_status(call: Call[Any], statuses: list[str]) -> ColumnElement[bool]:
    """Servers in any of the statuses. Those that do not exist match nothing; alone they are refused since 2.38."""
    known = [status for status in statuses if status in STATUSES or status == UNKNOWN]
    if not known and call.at_least(2, 38):
        raise BadRequest(f"Invalid status value: {', '.join(statuses)[:64]}")
    return or_(*(in_status(status) for status in known)) if known else Server.id.is_(None)


def _tagged(parameter: str, tags: list[str]) -> ColumnElement[bool]:
    """Tags are a JSON list of short texts that hold no quote: a quoted tag in the text is the tag."""
    terms = [cast(Server.tags, Text).contains(msgspec.json.encode(tag).decode(), autoescape=True) for tag in tags]
    found = or_(*terms) if "any" in parameter else and_(*terms)
    return ~found if parameter.startswith("not") else found
