"""Which images a list shows, in which order: filters, sort keys and pages of GET /v2/images.

Parameters that are no field of the API are filters on the images' own properties.
Source: image API reference v2, "List images".
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from sqlalchemy import false, select
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.errors import BadRequest
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection, Condition, Page, Pages, Reach, Viewer, links
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.fields import VISIBILITIES
from gureum.services.image.images.model import Image, ImageProperty, ImageTag, listed
from gureum.services.image.images.views import COLUMNS, Document
from gureum.services.image.members.model import STATUSES

_NOT_FILTERS = frozenset(
    {"limit", "marker", "sort", "sort_key", "sort_dir", "visibility", "member_status", "os_hidden"}
)
_EQUAL: dict[str, Callable[[str], Condition]] = {
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
_COMPARED: dict[str, Callable[[Any, Any], Condition]] = {
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


def _condition(call: Call[ImageDeps], name: str, value: str) -> Condition:
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


def _by_property(name: str, value: str) -> Condition:
    own = select(ImageProperty.image_id).where(ImageProperty.name == name, ImageProperty.value == value)
    return Image.id.in_(own)


def _by_size(name: str, value: str) -> Condition:
    if len(value) > 19 or not value.isascii() or not value.isdigit() or int(value) > _MAX_BYTES:
        raise BadRequest(f"Invalid input for query parameter {name}: {value[:64]!r} is not a size in bytes.")
    operator = {"size_min": "gte", "size_max": "lte", "size": "eq"}[name]
    return _COMPARED[operator](Image.size_bytes, int(value))


def _split(value: str) -> tuple[str, str]:
    found = _OPERATOR.fullmatch(value)
    return (found[1], found[2]) if found else ("eq", value)


def _one_or_some(name: str, value: str) -> Condition:
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


# -- the list --------------------------------------------------------------------------------------------


def _visibility(call: Call[ImageDeps]) -> str | None:
    """What a list asks for: one of those that there are, "all" or nothing. Raises BadRequest."""
    visibility = call.param("visibility")
    if visibility not in (None, "all", *VISIBILITIES):
        raise BadRequest(f"Invalid visibility value: {visibility[:32]}")
    return visibility


def _member_status(call: Call[ImageDeps]) -> str:
    """Of which shared images a list asks. Raises BadRequest."""
    status = call.param("member_status") or "accepted"
    if status not in ("all", *STATUSES):
        raise BadRequest(f"Invalid status: {status[:32]}")
    return status


def _hidden(call: Call[ImageDeps]) -> bool:
    return filters.boolean("os_hidden", call.param("os_hidden") or "false")


def _reach(call: Call[ImageDeps], viewer: Viewer) -> Iterator[Condition]:
    return listed(call.caller, viewer.project_id, visibility=_visibility(call), member_status=_member_status(call))


def _kind(call: Call[ImageDeps]) -> Hashable:
    caller = call.caller
    return caller.is_admin, bool(caller.project_id), _visibility(call), _member_status(call), _hidden(call)


_SOURCE: Any = select(*COLUMNS)
IMAGES = Collection(
    name="images",
    model=Image,
    reach=Reach(_reach, _kind, frozenset({"visibility", "member_status", "os_hidden"})),
    shown=lambda call, _viewer: (Image.hidden.is_(_hidden(call)),),
    other=lambda call, name, value: None if name in _NOT_FILTERS else _condition(call, name, value),
    sort_keys={
        "name": Image.name,
        "status": Image.status,
        "container_format": Image.container_format,
        "disk_format": Image.disk_format,
        "size": Image.size_bytes,
        "id": Image.id,
        "created_at": Image.created_at,
        "updated_at": Image.updated_at,
    },
    order=(("created_at", True),),
    pages=Pages(usual=25, most=1000, direction="desc"),
    links=links.first_and_next_at("/v2/images"),
    source=_SOURCE,
    record=Document,
)


def page_of(call: Call[ImageDeps]) -> Page[Document]:
    """The page's documents. Raises BadRequest that names the parameter."""
    if call.param("sort") and (call.param("sort_key") or call.param("sort_dir")):
        raise BadRequest("Old and new sorting syntax cannot be combined")
    return IMAGES.page(call)
