"""Routes of image members. Source: image API reference v2, "Sharing".

The owner adds and removes members; only the member itself (or an administrator) accepts or rejects; a member sees
no other member.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct
from sqlalchemy import func, select

from gureum.foundation import clock
from gureum.foundation.errors import Conflict, Forbidden, NotFound, TooLarge
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Listed, View
from gureum.foundation.policy import Rule
from gureum.services.image.access import MEMBER, seen, target_of
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image
from gureum.services.image.members.model import ImageMember

_OWNER_OR_MEMBER = "rule:admin or (role:reader and (project_id:%(project_id)s or project_id:%(member_id)s))"
RULES = (
    Rule("add_member", MEMBER, "Share an image with a project"),
    Rule("get_member", _OWNER_OR_MEMBER, "Show a member of an image"),
    Rule("get_members", _OWNER_OR_MEMBER, "List the members of an image"),
    Rule("modify_member", "rule:admin or (role:member and project_id:%(member_id)s)", "Accept or reject an image"),
    Rule("delete_member", MEMBER, "Stop sharing an image with a project"),
)


class NewMember(Struct):
    member: Annotated[str, Meta(min_length=1, max_length=255)]


class MemberChange(Struct):
    status: Literal["pending", "accepted", "rejected"]


class MemberView(View):
    member_id: str
    image_id: str
    status: str
    created_at: str
    updated_at: str
    schema: str = "/v2/schemas/member"


def add(call: Call[ImageDeps], body: NewMember, image_id: str) -> MemberView:
    image = _shared(call, image_id)
    call.enforce(**target_of(image))
    if call.tx.get(ImageMember, (image.id, body.member)) is not None:
        raise Conflict(f"Member {body.member} is duplicated for image {image.id}")
    count = select(func.count()).select_from(ImageMember).where(ImageMember.image_id == image.id)
    attempted = (call.tx.scalar(count) or 0) + 1
    if attempted > call.deps.config.max_members >= 0:
        raise TooLarge(
            "The limit has been exceeded on the number of allowed image members for this image. "
            f"Attempted: {attempted}, Maximum: {call.deps.config.max_members}"
        )
    now = clock.utcnow()
    member = ImageMember(image_id=image.id, member_id=body.member, status="pending", created_at=now, updated_at=now)
    call.tx.add(member)
    return _view(member)


def index(call: Call[ImageDeps], image_id: str) -> Listed[MemberView]:
    image = _shared(call, image_id)
    call.enforce(**target_of(image, member_id=call.caller.project_id))
    statement = select(ImageMember).where(ImageMember.image_id == image.id)
    statement = statement.order_by(ImageMember.created_at, ImageMember.member_id)
    if not _is_owners(call, image):
        statement = statement.where(ImageMember.member_id == call.caller.project_id)
    return Listed([_view(member) for member in call.tx.scalars(statement)], {"schema": "/v2/schemas/members"})


def show(call: Call[ImageDeps], image_id: str, member_id: str) -> MemberView:
    return _view(_find(call, image_id, member_id))


def update(call: Call[ImageDeps], body: MemberChange, image_id: str, member_id: str) -> MemberView:
    member = _find(call, image_id, member_id)
    member.status, member.updated_at = body.status, clock.utcnow()
    return _view(member)


def remove(call: Call[ImageDeps], image_id: str, member_id: str) -> None:
    call.tx.delete(_find(call, image_id, member_id))


def _shared(call: Call[ImageDeps], image_id: str) -> Image:
    image = seen(call, image_id)
    if image.visibility != "shared":
        raise Forbidden("Only shared images have members.")
    return image


def _is_owners(call: Call[ImageDeps], image: Image) -> bool:
    return call.caller.is_admin or (image.owner is not None and image.owner == call.caller.project_id)


def _find(call: Call[ImageDeps], image_id: str, member_id: str) -> ImageMember:
    """A membership that the caller may see, if the route's rule allows. Raises NotFound, Forbidden."""
    image = _shared(call, image_id)
    statement = select(ImageMember).where(ImageMember.image_id == image.id, ImageMember.member_id == member_id)
    if not _is_owners(call, image):
        statement = statement.where(ImageMember.member_id == call.caller.project_id)
    member = call.tx.scalar(statement)
    if member is None:
        raise NotFound(f"{member_id[:255]} not found in the member list of the image {image.id}.")
    call.enforce(**target_of(image, member_id=member.member_id))
    return member


def _view(member: ImageMember) -> MemberView:
    times = clock.iso(member.created_at), clock.iso(member.updated_at)
    return MemberView(member.member_id, member.image_id, member.status, *times)


_ALL = "/v2/images/{image_id}/members"
_ONE = _ALL + "/{member_id}"
ROUTES = (
    Route("GET", _ALL, index, "get_members", target="handler", envelope="members"),
    Route("POST", _ALL, add, "add_member", body=NewMember, target="handler"),
    Route("GET", _ONE, show, "get_member", target="handler"),
    Route("PUT", _ONE, update, "modify_member", body=MemberChange, target="handler"),
    Route("DELETE", _ONE, remove, "delete_member", 204, target="handler"),
)
