"""Which images a list shows, in which order: filters, sort keys and pages of GET /v2/images.

Parameters that are no field of the API are filters on the images' own properties.
Source: image API reference v2, "List images".
"""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, Select, bindparam, false, select
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.caller import Caller
from gureum.foundation.db.paging import SortKey, ordered
from gureum.foundation.db.prepared import Prepared
from gureum.foundation.errors import BadRequest
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.paging import paging_of
from gureum.services.image.images.fields import VISIBILITIES
from gureum.services.image.images.model import Image, ImageProperty, ImageTag, listed
from gureum.services.image.images.views import COLUMNS, Document
from gureum.services.image.members.model import STATUSES

DEFAULT_PAGE, LONGEST_PAGE = 25, 1000

_SORT_KEYS: dict[str, InstrumentedAttribute[Any]] = {
    "name": Image.name,
    "status": Image.status,
    "container_format": Image.container_format,
    "disk_format": Image.disk_format,
    "size": Image.size_bytes,
    "id": Image.id,
    "created_at": Image.created_at,
    "updated_at": Image.updated_at,
}


def page_of(call: Call[Any]) -> tuple[list[Document], bool]:
    """The page's documents, and whether more follow. Raises BadRequest that names the parameter."""
    if not {name for name, _ in call.query} - {"limit", "visibility"}:
        return _first_page(call)
    if call.param("sort") and (call.param("sort_key") or call.param("sort_dir")):
        raise BadRequest("Old and new sorting syntax cannot be combined")
    paging = paging_of(
        call, _SORT_KEYS, unique=Image.id, default=(("created_at", True),), maximum=LONGEST_PAGE, direction="desc"
    )
    if not call.param("limit"):
        paging = dataclasses.replace(paging, limit=DEFAULT_PAGE)
    within = _within_reach(call)
    statement = paging.page(_narrowed(call, within), lambda marker: call.tx.scalar(within.where(Image.id == marker)))
    rows, more = paging.cut(call.tx.execute(statement.with_only_columns(*COLUMNS)).all())
    return [Document(*row) for row in rows], more and bool(rows)


def _first_page(call: Call[Any]) -> tuple[list[Document], bool]:
    """The newest images, at most of one visibility: the same few statements for everyone, made once."""
    text = call.param("limit")
    limit = min(filters.integer("limit", text), LONGEST_PAGE) if text else DEFAULT_PAGE
    caller = call.caller
    project = "" if caller.is_admin and not caller.project_id else caller.project_id or ""
    statement = _newest(caller.is_admin, bool(project), _visibility(call))
    rows = statement.all(call.tx, project=project, most=limit + 1)
    return rows[:limit], len(rows) > limit > 0


@cache
def _newest(admin: bool, scoped: bool, visibility: str | None) -> Prepared[Document]:
    """For an administrator or not, in a project or not."""
    kind = Caller(roles=("admin",) if admin else (), project_id="-" if scoped else None)
    statement = listed(kind, visibility=visibility, member_status="accepted", project=bindparam("project"))
    statement = statement.where(Image.hidden.is_(False))
    return Prepared(
        ordered(statement, (SortKey(Image.created_at, True), SortKey(Image.id, True)))
        .limit(bindparam("most"))
        .with_only_columns(*COLUMNS),
        Document,
    )


def links(call: Call[Any], last: str | None) -> dict[str, str]:
    """`first`, and `next` when the page ended at `last` with more to come; relative to the endpoint."""
    kept = [(name, value) for name, value in call.query if name != "marker"]
    found = {"first": "/v2/images" + (f"?{urlencode(kept)}" if kept else "")}
    if last is not None:
        found["next"] = f"/v2/images?{urlencode([*kept, ('marker', last)])}"
    return found


def _visibility(call: Call[Any]) -> str | None:
    """What a list asks for: one of those that there are, "all" or nothing. Raises BadRequest."""
    visibility = call.param("visibility")
    if visibility not in (None, "all", *VISIBILITIES):
        raise BadRequest(f"Invalid visibility value: {visibility[:32]}")
    return visibility


def _within_reach(call: Call[Any]) -> Select[Image]:
    visibility = _visibility(call)
    member_status = call.param("member_status") or "accepted"
    if member_status not in ("all", *STATUSES):
        raise BadRequest(f"Invalid status: {member_status[:32]}")
    return listed(call.caller, visibility=visibility, member_status=member_status)


def _narrowed(call: Call[Any], statement: Select[Image]) -> Select[Image]:
    hidden = filters.boolean("os_hidden", call.param("os_hidden") or "false")
    statement = statement.where(Image.hidden.is_(hidden))
    for name, value in call.query:
        if name not in _NOT_FILTERS:
            statement = statement.where(_condition(call, name, value))
    return statement


_NOT_FILTERS = frozenset(
    {"limit", "marker", "sort", "sort_key", "sort_dir", "visibility", "member_status", "os_hidden"}
)
_EQUAL: dict[str, Callable[[str], ColumnElement[bool]]] = {
    "owner": lambda value: Image.owner == value,
    "checksum": lambda value: Image.md5 == value,
    "os_hash_value": lambda value: Image.hash_value == value,
    "os_hash_algo": lambda value: Image.hash_algorithm == value,
    "protected": lambda value: Image.protected.is_(filters.boolean("protected", value)),
    "min_disk": lambda value: Image.min_disk_gib == filters.integer("min_disk", value),
    "min_ram": lambda value: Image.min_ram_mib == filters.integer("min_ram", value),
}
_ONE_OR_SOME: dict[str, InstrumentedAttribute[Any]] = {
    "id": Image.id,
    "name": Image.name,
    "status": Image.status,
    "disk_format": Image.disk_format,
    "container_format": Image.container_format,
}
_MOMENTS: dict[str, InstrumentedAttribute[Any]] = {"created_at": Image.created_at, "updated_at": Image.updated_at}
_COMPARED: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "eq": lambda column, value: column == value,
    "neq": lambda column, value: column != value,
}
_OPERATOR = re.compile(r"(gt|gte|lt|lte|eq|neq|in):(.*)", re.DOTALL)
_MAX_BYTES = 2**62
PARAMETERS = (*sorted(_NOT_FILTERS), *_EQUAL, *_ONE_OR_SOME, *_MOMENTS, "tag", "size_min", "size_max")
"""Any other is a filter on the images' own properties."""


def _condition(call: Call[Any], name: str, value: str) -> ColumnElement[bool]:
    if name == "tag":
        return Image.id.in_(select(ImageTag.image_id).where(ImageTag.tag == value))
    if name in ("size_min", "size_max", "size"):
        return _by_size(name, value)
    if name in _MOMENTS:
        operator, text = _split(value)
        if operator == "in":
            raise BadRequest(f"Unable to filter by unknown operator 'in' on {name}.")
        return _COMPARED[operator](_MOMENTS[name], filters.moment(name, text))
    if name in _ONE_OR_SOME:
        return _one_or_some(name, value)
    if name == "changes-since":
        raise BadRequest('The "changes-since" filter is no longer available on v2.')
    if name in _EQUAL:
        return _EQUAL[name](value)
    # A filter on a property that the caller may not read would tell its value.
    return _by_property(name, value) if call.deps.protections.allows(call.caller, name, "read") else false()


def _by_property(name: str, value: str) -> ColumnElement[bool]:
    own = select(ImageProperty.image_id).where(ImageProperty.name == name, ImageProperty.value == value)
    return Image.id.in_(own)


def _by_size(name: str, value: str) -> ColumnElement[bool]:
    if len(value) > 19 or not value.isascii() or not value.isdigit() or int(value) > _MAX_BYTES:
        raise BadRequest(f"Invalid input for query parameter {name}: {value[:64]!r} is not a size in bytes.")
    operator = {"size_min": "gte", "size_max": "lte", "size": "eq"}[name]
    return _COMPARED[operator](Image.size_bytes, int(value))


def _split(value: str) -> tuple[str, str]:
    found = _OPERATOR.fullmatch(value)
    return (found[1], found[2]) if found else ("eq", value)


def _one_or_some(name: str, value: str) -> ColumnElement[bool]:
    operator, text = _split(value)
    column = _ONE_OR_SOME[name]
    if operator == "eq":
        return column.in_([text])
    if operator != "in":
        raise BadRequest(f"Unable to filter by unknown operator {operator!r} on {name}.")
    try:
        parts = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise BadRequest(f"Invalid filter value for {name}: a quotation mark is not closed or misplaced.") from error
    return column.in_(parts)
