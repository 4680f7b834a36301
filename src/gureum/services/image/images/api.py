"""Routes of images. Source: image API reference v2, "Images"."""

from __future__ import annotations

from msgspec import UNSET

from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import Forbidden
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.views import JsonValue, Listed
from gureum.foundation.policy import Rule
from gureum.services.image.access import MEMBER, READER, READER_WHO_SEES, find, target_of
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images import listing, operations
from gureum.services.image.images.fields import Described, check_amounts, split
from gureum.services.image.images.model import Image
from gureum.services.image.images.patch import RFC_6902, Change, Operation, changes_of
from gureum.services.image.images.views import ImageView, view_of, views_of
from gureum.services.image.imports.request import METHODS
from gureum.services.image.locations.patching import with_sizes
from gureum.services.image.usage import checks

RULES = (
    Rule("add_image", MEMBER, "Register an image"),
    Rule("get_image", READER_WHO_SEES, "Show an image"),
    Rule("get_images", READER, "List images"),
    Rule("modify_image", MEMBER, "Change an image"),
    Rule("delete_image", MEMBER, "Delete an image"),
    Rule("publicize_image", "rule:admin", "Make an image public"),
    Rule("communitize_image", MEMBER, "Make an image a community image"),
    Rule("deactivate", MEMBER, "Stop an image's data from being used"),
    Rule("reactivate", MEMBER, "Let an image's data be used again"),
)
_WIDER = {"public": "publicize_image", "community": "communitize_image"}


def create(call: Call[ImageDeps], body: dict[str, JsonValue]) -> Reply[ImageView]:
    new = split(body)
    owner = call.caller.project_id
    for name in new.properties:
        call.deps.protections.require(call.caller, name, "create")
    check_amounts(call.deps.config, new.properties, 0 if new.fields.tags is UNSET else len(set(new.fields.tags)))
    checks.require_count(call.deps, call.tx, owner if new.fields.owner is UNSET else new.fields.owner)
    image = operations.create_image(call.deps.events, call.tx, new, owner)
    if image.owner != owner and not call.caller.is_admin:
        raise Forbidden(f"You are not permitted to create images owned by '{image.owner}'.")
    call.enforce(**target_of(image))
    require_visibility(call, image)
    headers = {
        "Location": f"{call.base_url}/v2/images/{image.id}",
        "OpenStack-image-import-methods": ",".join(METHODS),
        "OpenStack-image-store-ids": ",".join(store.name for store in call.deps.stores.writable),
    }
    return Reply(view_of(call, image), headers=headers)


def require_visibility(call: Call[ImageDeps], image: Image) -> None:
    """Whether the caller may show the image so widely. Raises Forbidden."""
    if image.visibility in _WIDER:
        call.enforce(_WIDER[image.visibility], **target_of(image))


def index(call: Call[ImageDeps]) -> Listed[ImageView]:
    page = listing.page_of(call)
    return listing.IMAGES.listed(call, page, views_of(call, page.rows), schema="/v2/schemas/images")


def show(call: Call[ImageDeps], image_id: str) -> ImageView:
    return view_of(call, find(call, image_id))


def update(call: Call[ImageDeps], body: list[JsonValue], image_id: str) -> ImageView:
    """Places of data that a patch adds are looked at before the transaction: they may answer slowly."""
    changes = changes_of(body, call.headers.get("content-type", ""), locations=call.deps.config.show_locations)
    changes = with_sizes(call, image_id, changes)

    def change(tx: Tx) -> ImageView:
        call.tx = tx
        image = find(call, image_id)
        for entry in changes:
            _authorise(call, image, entry)
        operations.change_image(call, image, changes)
        return view_of(call, image)

    return call.database.write(change)


def _authorise(call: Call[ImageDeps], image: Image, change: Change) -> None:
    if change.name == "owner" and not call.caller.is_admin:
        raise Forbidden("Owner can't be updated by non admin.")
    if change.name == "visibility" and isinstance(change.value, str) and change.value in _WIDER:
        call.enforce(_WIDER[change.value], **target_of(image))


def delete(call: Call[ImageDeps], image_id: str) -> None:
    image = find(call, image_id)
    if image.protected:
        raise Forbidden(f"Image {image_id} is protected and cannot be deleted.")
    operations.delete_image(call.deps, call.tx, image)


def deactivate(call: Call[ImageDeps], image_id: str) -> None:
    operations.switch(find(call, image_id), "active", "deactivated")


def reactivate(call: Call[ImageDeps], image_id: str) -> None:
    operations.switch(find(call, image_id), "deactivated", "active")


_ALL = "/v2/images"
_ONE = _ALL + "/{image_id}"
ROUTES = (
    Route("GET", _ALL, index, "get_images", envelope="images", query=listing.PARAMETERS),
    Route("POST", _ALL, create, "add_image", 201, body=dict[str, JsonValue], target="handler", described=Described),
    Route("GET", _ONE, show, "get_image", target="handler"),
    Route(
        "PATCH",
        _ONE,
        update,
        "modify_image",
        body=list[JsonValue],
        target="handler",
        transaction="none",
        media=RFC_6902,
        described=list[Operation],
    ),
    Route("DELETE", _ONE, delete, "delete_image", 204, target="handler"),
    Route("POST", _ONE + "/actions/deactivate", deactivate, "deactivate", 204, target="handler"),
    Route("POST", _ONE + "/actions/reactivate", reactivate, "reactivate", 204, target="handler"),
)
