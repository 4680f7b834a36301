"""Filters and pages of server lists, the project predicate included.

Source: compute API reference, "List servers", "Filtering, sorting and pagination".
"""

from __future__ import annotations

import ipaddress
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, true
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.errors import BadRequest, Forbidden
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import (
    Collection,
    Condition,
    Filter,
    Page,
    Pages,
    Reach,
    Viewer,
    links,
    tags,
)
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.pages import check_paging
from gureum.services.compute.servers.model import STATUSES, UNKNOWN, Server, ServerRecord, in_status
from gureum.services.compute.servers.patterns import MAX_PATTERN, BadPattern, literal, matching
from gureum.services.compute.servers.seen import EVERY_SERVER

MAX_PAGE = 1000
ALL_FILTERS = "os_compute_api:servers:allow_all_filters"
MAX_NAMES = 20_000
"""So many different names a regular expression is tried on: below what SQLite and PostgreSQL take in one list."""


def _lower(_name: str, value: str) -> str:
    """As ids and states are stored."""
    return value.lower()


def _address(_name: str, value: str) -> str:
    """An address as it is stored. Text that is no address is unchanged, and equals no stored one."""
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
_FILTERS: dict[str, Filter] = {
    "image": (Server.image_id, _lower),
    "image_ref": (Server.image_id, _lower),
    "description": Server.description,
    "display_description": Server.description,
    "launch_index": Server.launch_index,
    "flavor": Server.flavor_id,
    "reservation_id": Server.reservation_id,
    "key_name": Server.key_name,
    "hostname": Server.hostname,
    "availability_zone": Server.zone,
    "uuid": (Server.id, _lower),
    "config_drive": Server.config_drive,
    "locked": Server.locked,
    "user_id": Server.user_id,
    "vm_state": (Server.vm_state, _lower),
    "task_state": (Server.task_state, _lower),
    "power_state": Server.power_state,
    "access_ip_v4": (Server.access_ip_v4, _address),
    "access_ip_v6": (Server.access_ip_v6, _address),
    "host": Server.host,
    "node": Server.host,
    "project_id": Server.project_id,
    "tenant_id": Server.project_id,
}
_FOR_ADMIN = ("host", "node")
_OF_PROJECTS = ("project_id", "tenant_id")
_SINCE = {"ip6": (2, 5), **dict.fromkeys(tags.PARAMETERS, (2, 26))}
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
PARAMETERS = (
    *("limit", "marker", "sort_key", "sort_dir", "all_tenants", "deleted", "changes-since", "changes-before"),
    *("name", "display_name", "status", "ip", "ip6", *tags.PARAMETERS, *_FILTERS),
    *("auto_disk_config", "created_at", "kernel_id", "launched_at", "locked_by", "progress", "ramdisk_id"),
    *("root_device_name", "soft_deleted", "terminated_at"),
)
"""The last two lines narrow nothing: the reference takes them, for none but administrators."""


def page_of(call: Call[ComputeDeps]) -> Page[ServerRecord]:
    """One page of the servers that the caller may see, as `seen.py` reads them."""
    call.query = [(name, value) for name, value in call.query if call.version >= _SINCE.get(name, (2, 1))]
    check_paging(call, "created_at")
    _check_filters(call)
    call.query = [(name, value) for name, value in call.query if name != "sort_key" or not _is_ignored(call, value)]
    if _everywhere(call):
        call.enforce(f"{call.route.policy}:get_all_tenants", **call.own_target())
    if _statuses(call) == ["DELETED"] and not call.caller.is_admin:
        raise Forbidden("Only administrators may list deleted instances")
    return SERVERS.page(call)


def _check_filters(call: Call[ComputeDeps]) -> None:
    """Raises BadRequest for a filter without a value where one is needed, and for changes between no two times."""
    for name, value in call.query:
        if name in _NEVER_EMPTY and not value:
            raise BadRequest(f"Invalid input for query parameter {name}: it must not be empty.")
    since, before = (_moment(call, name) for name in ("changes-since", "changes-before"))
    if since is not None and before is not None and since > before:
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")


def _is_ignored(call: Call[ComputeDeps], sort_key: str) -> bool:
    """Whether the reference takes a sort key and sorts by nothing, as it did before 2.75."""
    known_since = (2, 73) if sort_key == "locked" else (2, 75)
    return call.version < known_since and sort_key in _NOT_SORTED


def _sortable(call: Call[ComputeDeps]) -> dict[str, InstrumentedAttribute[Any]]:
    """The keys that the caller may sort by: an order reveals the values that it sorts."""
    mine = {**_SORTABLE, "locked": Server.locked} if call.at_least(2, 73) else _SORTABLE
    if call.caller.is_admin:
        return {**mine, **_SORTABLE_FOR_ADMIN}
    for key in call.params("sort_key"):
        if key in _SORTABLE_FOR_ADMIN:
            raise Forbidden(f"Only administrators may sort servers by {key}.")
    return mine


def _deleted(call: Call[ComputeDeps]) -> bool | None:
    """Whether the list is of deleted servers or of living ones, or of both (None)."""
    if _statuses(call) == ["DELETED"]:
        return True
    if call.param("changes-since") or call.param("changes-before"):
        return None
    deleted = call.param("deleted")
    return bool(deleted) and call.caller.is_admin and filters.boolean("deleted", deleted or "")


def _reach(call: Call[ComputeDeps], viewer: Viewer) -> list[Condition]:
    own = [] if _everywhere(call) else [Server.project_id == viewer.project_id]
    deleted = _deleted(call)
    if deleted is None:
        return own
    return [*own, Server.deleted_at.isnot(None) if deleted else Server.deleted_at.is_(None)]


def _statuses(call: Call[ComputeDeps]) -> list[str]:
    return [value.upper() for value in call.params("status")]


def _everywhere(call: Call[ComputeDeps]) -> bool:
    all_tenants = call.param("all_tenants")
    return all_tenants is not None and (all_tenants == "" or filters.boolean("all_tenants", all_tenants))


def _admits(call: Call[ComputeDeps], name: str) -> bool:
    if name in _FOR_ADMIN:
        return call.allows(ALL_FILTERS, **call.own_target())
    return name not in _OF_PROJECTS or _everywhere(call)


def _moment(call: Call[ComputeDeps], name: str) -> datetime | None:
    text = call.param(name)
    return filters.moment(name, text) if text else None


def _named(call: Call[ComputeDeps], text: str) -> Condition:
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
    within = (*_reach(call, Viewer.of(call.caller)), *SERVERS.compared(call))
    names = call.tx.execute(select(Server.name).where(*within).distinct().limit(MAX_NAMES + 1)).scalars().all()
    if len(names) > MAX_NAMES:
        raise BadRequest(f"More than {MAX_NAMES} names to compare: ask with a plain part of the name, or more filters.")
    try:
        return Server.name.in_(matching(text, names))
    except BadPattern as error:
        raise BadRequest(f"Invalid input for query parameter name: {error}.") from error


def _in_status(call: Call[ComputeDeps], statuses: list[str]) -> Condition:
    """Servers in any of the statuses. Those that do not exist match nothing; alone they are refused since 2.38."""
    known = [status for status in statuses if status in STATUSES or status == UNKNOWN]
    if not known and call.at_least(2, 38):
        raise BadRequest(f"Invalid status value: {', '.join(statuses)[:64]}")
    return or_(*(in_status(status) for status in known)) if known else Server.id.is_(None)


def _with_address(call: Call[ComputeDeps]) -> Condition:
    addresses = call.params("ip") + call.params("ip6")
    return Server.id.in_(call.deps.network.servers_with_address(call.tx, addresses))


SERVERS = Collection(
    name="servers",
    model=Server,
    reach=Reach(_reach, lambda call: (_everywhere(call), _deleted(call)), frozenset({"all_tenants", "deleted"})),
    filters=_FILTERS,
    special={
        "name": lambda call, values: _named(call, values[-1]),
        "display_name": lambda call, values: true() if call.param("name") else _named(call, values[-1]),
        "status": lambda call, _values: _in_status(call, _statuses(call)),
        "changes-since": lambda _call, values: filters.shown_since(
            Server.updated_at, filters.moment("changes-since", values[-1])
        ),
        "changes-before": lambda _call, values: filters.shown_until(
            Server.updated_at, filters.moment("changes-before", values[-1])
        ),
        "ip": lambda call, _values: _with_address(call),
        "ip6": lambda call, _values: _with_address(call),
    },
    admits=_admits,
    tagged=Server.tags,
    tag_values=tags.last,
    sort_keys=_sortable,
    order=(("created_at", True),),
    pages=Pages(most=MAX_PAGE, direction="desc"),
    links=links.next_in("servers_links"),
    source=EVERY_SERVER,
    record=ServerRecord,
)
