"""Routes of images. Source: image API reference v2, "Images", "Image tags"."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from sqlalchemy import Select, Text, cast, select

from gureum.foundation import clock, ids
from gureum.foundation.errors import BadRequest, Conflict, Forbidden, NotFound
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.paging import paging_of
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.policy import Rule
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images import bodies
from gureum.services.image.images.lifecycle import KIND
from gureum.services.image.images.model import Image, ImageMember, visible
from gureum.services.image.images.views import view_of

MEMBER = "rule:project_member_or_admin"
READER = "rule:project_reader_or_admin"
RULES = (
    Rule("add_image", MEMBER, "Register an image"),
    Rule("get_image", READER, "Show an image"),
    Rule("get_images", READER, "List images"),
    Rule("modify_image", MEMBER, "Change an image"),
    Rule("delete_image", MEMBER, "Delete an image"),
    Rule("publicize_image", "rule:admin", "Make an image public"),
    Rule("communitize_image", MEMBER, "Make an image a community one"),
    Rule("deactivate", "rule:admin", "Stop an image from being used"),
    Rule("reactivate", "rule:admin", "Let an image be used again"),
)
PAGE, MAX_PAGE = 25, 1000

_SORTABLE = {
    "name": Image.name,
    "status": Image.status,
    "container_format": Image.container_format,
    "disk_format": Image.disk_format,
    "size": Image.size_bytes,
    "id": Image.id,
    "created_at": Image.created_at,
    "updated_at": Image.updated_at,
}


def find(call: Call[ImageDeps], image_id: str, *, own: bool = False) -> Image:
    """An image that the caller sees; with `own`, one that it may change. Raises NotFound, Forbidden."""
    row = call.tx.scalar(visible(call.caller).where(Image.id == image_id))
    if row is None:
        raise NotFound(f"Failed to find image {image_id}")
    if own and not call.caller.is_admin and row.owner != call.caller.project_id:
        raise Forbidden("You are not permitted to modify this image.")
    return row


def create(call: Call[ImageDeps], body: dict[str, Any]) -> Reply:
    row = Image(id=ids.new_uuid(), status="queued", visibility="shared", properties={}, tags=[])
    row.owner = call.caller.project_id
    row.min_disk_gib = row.min_ram_mib = 0
    row.hidden = row.protected = False
    for name, value in body.items():
        bodies.set_property(row, name, value)
    if row.owner != call.caller.project_id and not call.caller.is_admin:
        raise Forbidden(f"You are not permitted to create images owned by '{row.owner}'.")
    _check_visibility(call, row)
    if call.tx.scalar(select(Image.id).where(Image.id == row.id)):
        raise Conflict(f"Image ID {row.id} already exists!")
    row.created_at = row.updated_at = clock.utcnow()
    call.tx.add(row)
    call.tx.flush()
    headers = {
        "Location": f"{call.base_url}/v2/images/{row.id}",
        "OpenStack-image-import-methods": "",
    }
    return Reply(view_of(row), headers=headers)


def _check_visibility(call: Call[Any], row: Image) -> None:
    if row.visibility == "public":
        call.enforce("publicize_image", **call.own_target())
    elif row.visibility == "community":
        call.enforce("communitize_image", **call.own_target())


def index(call: Call[ImageDeps]) -> dict[str, Any]:
    statement = _narrowed(call, _base(call))
    paging = paging_of(
        call, _SORTABLE, unique=Image.id, default=[("created_at", True)], maximum=MAX_PAGE, direction="desc"
    )
    if call.param("limit") is None:
        object.__setattr__(paging, "limit", PAGE)
    found = call.tx.scalars(paging.page(statement, lambda id_: call.tx.scalar(_base(call).where(Image.id == id_)))).all()
    rows, more = paging.cut(found)
    kept = [(key, value) for key, value in call.query if key != "marker"]
    first = "/v2/images" + (f"?{urlencode(kept)}" if kept else "")
    view = {"images": [view_of(row) for row in rows], "schema": "/v2/schemas/images", "first": first}
    if more:
        view["next"] = f"/v2/images?{urlencode([*kept, ('marker', rows[-1].id)])}"
    return view


def _base(call: Call[ImageDeps]) -> Select[Any]:
    caller = call.caller
    visibility = call.param("visibility")
    if visibility not in (None, "all", "public", "private", "shared", "community"):
        raise BadRequest(f"Invalid visibility value: {visibility[:32]}")
    member = call.param("member_status")
    if member not in (None, "all", "pending", "accepted", "rejected"):
        raise BadRequest(f"Invalid member_status value: {member[:32]}")
    if visibility in ("community", "all"):
        return visible(caller)
    if member is not None and visibility == "shared":
        mine = select(ImageMember.image_id).where(ImageMember.member_id == caller.project_id)
        mine = mine if member == "all" else mine.where(ImageMember.status == member)
        return select(Image).where(Image.deleted_at.is_(None), Image.visibility == "shared", Image.id.in_(mine))
    return visible(caller, listed=True)


_EQUAL = {
    "id": (Image.id, filters.text),
    "owner": (Image.owner, filters.text),
    "status": (Image.status, filters.text),
    "name": (Image.name, filters.text),
    "disk_format": (Image.disk_format, filters.text),
    "container_format": (Image.container_format, filters.text),
    "checksum": (Image.md5, filters.text),
    "os_hash_value": (Image.sha512, filters.text),
    "protected": (Image.protected, filters.boolean),
    "min_disk": (Image.min_disk_gib, filters.integer),
    "min_ram": (Image.min_ram_mib, filters.integer),
}
_MOMENTS = {"created_at": Image.created_at, "updated_at": Image.updated_at}
_COMPARISONS = {
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "eq": lambda column, value: column == value,
    "neq": lambda column, value: column != value,
}
_PAGING = {
    "limit", "marker", "sort", "sort_key", "sort_dir", "visibility", "member_status", "os_hidden", "tag", "size_min",
    "size_max", "os_hash_algo",
}  # fmt: skip


def _narrowed(call: Call[Any], statement: Select[Any]) -> Select[Any]:
    hidden = call.param("os_hidden")
    statement = statement.where(Image.hidden.is_(hidden is not None and filters.boolean("os_hidden", hidden)))
    if (visibility := call.param("visibility")) not in (None, "all"):
        statement = statement.where(Image.visibility == visibility)
    for name, value in call.query:
        statement = _one_filter(statement, name, value)
    return statement


def _one_filter(statement: Select[Any], name: str, value: str) -> Select[Any]:
    if name == "tag":
        return statement.where(cast(Image.tags, Text).contains(f'"{value}"', autoescape=True))
    if name in ("size_min", "size_max"):
        number = filters.integer(name, value, maximum=2**62)
        return statement.where(Image.size_bytes >= number if name == "size_min" else Image.size_bytes <= number)
    if name in _MOMENTS:
        operator, _, moment = value.partition(":")
        if operator not in _COMPARISONS:
            operator, moment = "eq", value
        return statement.where(_COMPARISONS[operator](_MOMENTS[name], filters.moment(name, moment)))
    if name in _EQUAL:
        column, convert = _EQUAL[name]
        if value.startswith("in:"):
            parts = [part.strip('"') for part in value.removeprefix("in:").split(",")]
            return statement.where(column.in_([convert(name, part) for part in parts]))
        return statement.where(column == convert(name, value))
    if name in _PAGING:
        return statement
    pair = f"{msgspec.json.encode(name).decode()}:{msgspec.json.encode(value).decode()}"
    return statement.where(cast(Image.properties, Text).contains(pair, autoescape=True))


def show(call: Call[ImageDeps], image_id: str) -> dict[str, Any]:
    return view_of(find(call, image_id))


def update(call: Call[ImageDeps], body: list[Any], image_id: str) -> dict[str, Any]:
    row = find(call, image_id, own=True)
    before = row.visibility, row.owner
    bodies.apply_patch(row, body)
    if row.owner != before[1] and not call.caller.is_admin:
        raise Forbidden("The owner of an image may not be changed.")
    if row.visibility != before[0]:
        _check_visibility(call, row)
    row.updated_at = clock.utcnow()
    return view_of(row)


def delete(call: Call[ImageDeps], image_id: str) -> None:
    """The row is gone at once, its data by a task; the id stays taken."""
    row = find(call, image_id, own=True)
    if row.protected:
        raise Forbidden(f"Image {image_id} is protected and cannot be deleted.")
    row.status, row.deleted_at, row.updated_at = "deleted", clock.utcnow(), clock.utcnow()
    location, row.location = row.location, None
    if location:
        call.deps.tasks.create(call.tx, KIND, row.id, "delete_blob", {"location": location}, row.owner or "-")


def deactivate(call: Call[ImageDeps], image_id: str) -> None:
    _switch(call, image_id, "active", "deactivated")


def reactivate(call: Call[ImageDeps], image_id: str) -> None:
    _switch(call, image_id, "deactivated", "active")


def _switch(call: Call[ImageDeps], image_id: str, before: str, after: str) -> None:
    row = find(call, image_id)
    if row.status not in (before, after):
        raise Forbidden(f"Not allowed to turn image {image_id} from {row.status} to {after}.")
    row.status, row.updated_at = after, clock.utcnow()


def add_tag(call: Call[ImageDeps], image_id: str, tag: str) -> None:
    row = find(call, image_id, own=True)
    row.tags = bodies.checked_tags([*row.tags, tag])
    row.updated_at = clock.utcnow()


def remove_tag(call: Call[ImageDeps], image_id: str, tag: str) -> None:
    row = find(call, image_id, own=True)
    if tag not in row.tags:
        raise NotFound(f"Tag {tag[:64]} of image {image_id} could not be found.")
    row.tags = [name for name in row.tags if name != tag]
    row.updated_at = clock.utcnow()


_ALL = "/v2/images"
_ONE = _ALL + "/{image_id}"
ROUTES = (
    Route("GET", _ALL, index, "get_images"),
    Route("POST", _ALL, create, "add_image", 201, body=dict[str, Any]),
    Route("GET", _ONE, show, "get_image"),
    Route("PATCH", _ONE, update, "modify_image", body=list[Any]),
    Route("DELETE", _ONE, delete, "delete_image", 204),
    Route("POST", _ONE + "/actions/deactivate", deactivate, "deactivate", 204),
    Route("POST", _ONE + "/actions/reactivate", reactivate, "reactivate", 204),
    Route("PUT", _ONE + "/tags/{tag}", add_tag, "modify_image", 204),
    Route("DELETE", _ONE + "/tags/{tag}", remove_tag, "modify_image", 204),
)
