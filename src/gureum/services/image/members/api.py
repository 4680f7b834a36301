"""Routes of image members. Source: image API reference v2, "Image sharing"."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from sqlalchemy import func, select

from gureum.foundation import clock
from gureum.foundation.errors import Conflict, Forbidden, NotFound, TooLarge
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.api import MEMBER, READER, find
from gureum.services.image.images.model import Image, ImageMember

RULES = (
    Rule("add_member", MEMBER, "Share an image with a project"),
    Rule("get_member", READER, "Show a member of an image"),
    Rule("get_members", READER, "List the members of an image"),
    Rule("modify_member", MEMBER, "Accept or reject a shared image"),
    Rule("delete_member", MEMBER, "Stop sharing an image with a project"),
)
MAX_MEMBERS = 128


class NewMember(Struct):
    member: Annotated[str, Meta(min_length=1, max_length=255)]


class MemberChange(Struct):
    status: Literal["pending", "accepted", "rejected"]


def _view(row: ImageMember) -> dict[str, Any]:
    return {
        "member_id": row.member_id,
        "image_id": row.image_id,
        "status": row.status,
        "created_at": clock.iso(row.created_at),
        "updated_at": clock.iso(row.updated_at),
        "schema": "/v2/schemas/member",
    }


def _owns(call: Call[ImageDeps], image: Image) -> bool:
    return call.caller.is_admin or image.owner == call.caller.project_id


def _shared(call: Call[ImageDeps], image_id: str) -> Image:
    image = find(call, image_id)
    if image.visibility != "shared":
        raise Forbidden("Only shared images have members.")
    return image


def add(call: Call[ImageDeps], body: NewMember, image_id: str) -> dict[str, Any]:
    image = _shared(call, image_id)
    if not _owns(call, image):
        raise Forbidden("You are not permitted to share this image.")
    if call.tx.get(ImageMember, (image_id, body.member)) is not None:
        raise Conflict(f"Member {body.member} is duplicated for image {image_id}")
    count = select(func.count()).select_from(ImageMember).where(ImageMember.image_id == image_id)
    if (call.tx.scalar(count) or 0) >= MAX_MEMBERS:
        raise TooLarge(f"The maximum number of image members ({MAX_MEMBERS}) has been exceeded.")
    now = clock.utcnow()
    row = ImageMember(image_id=image_id, member_id=body.member, status="pending", created_at=now, updated_at=now)
    call.tx.add(row)
    return _view(row)


def index(call: Call[ImageDeps], image_id: str) -> dict[str, Any]:
    image = _shared(call, image_id)
    statement = select(ImageMember).where(ImageMember.image_id == image_id).order_by(ImageMember.created_at)
    if not _owns(call, image):
        statement = statement.where(ImageMember.member_id == call.caller.project_id)
    return {"members": [_view(row) for row in call.tx.scalars(statement)], "schema": "/v2/schemas/members"}


def _find(call: Call[ImageDeps], image_id: str, member_id: str) -> tuple[Image, ImageMember]:
    image = _shared(call, image_id)
    row = call.tx.get(ImageMember, (image_id, member_id))
    if row is None or not (_owns(call, image) or member_id == call.caller.project_id):
        raise NotFound(f"{member_id} not found in the member list of the image {image_id}.")
    return image, row


def show(call: Call[ImageDeps], image_id: str, member_id: str) -> dict[str, Any]:
    return _view(_find(call, image_id, member_id)[1])


def update(call: Call[ImageDeps], body: MemberChange, image_id: str, member_id: str) -> dict[str, Any]:
    """Only the member says whether it accepts."""
    _, row = _find(call, image_id, member_id)
    if member_id != call.caller.project_id and not call.caller.is_admin:
        raise Forbidden("You are not permitted to change the status of another project's membership.")
    row.status, row.updated_at = body.status, clock.utcnow()
    return _view(row)


def remove(call: Call[ImageDeps], image_id: str, member_id: str) -> None:
    image, row = _find(call, image_id, member_id)
    if not _owns(call, image):
        raise Forbidden("You cannot delete image member.")
    call.tx.delete(row)


_ALL = "/v2/images/{image_id}/members"
_ONE = _ALL + "/{member_id}"
ROUTES = (
    Route("GET", _ALL, index, "get_members"),
    Route("POST", _ALL, add, "add_member", body=NewMember),
    Route("GET", _ONE, show, "get_member"),
    Route("PUT", _ONE, update, "modify_member", body=MemberChange),
    Route("DELETE", _ONE, remove, "delete_member", 204),
)
