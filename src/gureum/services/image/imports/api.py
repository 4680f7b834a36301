"""Routes of imports. Source: image API reference v2, "Interoperable image import"."""

from __future__ import annotations

from gureum.foundation.errors import Conflict, Forbidden
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.policy import Rule
from gureum.services.image.access import find, target_of
from gureum.services.image.data.claim import require_formats
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image
from gureum.services.image.imports.request import ImportRequest, checked_method, wanted_stores
from gureum.services.image.imports.starting import start_import
from gureum.services.image.usage import checks
from gureum.services.image.usage.checks import Coming
from gureum.services.image.usage.quotas import SIZE, STAGED

RULES = (Rule("copy_image", "rule:admin", "Copy an image's data to other stores"),)

_NEEDED_STATUS = {
    "glance-direct": "uploading",
    "web-download": "queued",
    "glance-download": "queued",
    "copy-image": "active",
}


def begin(call: Call[ImageDeps], body: ImportRequest, image_id: str) -> Reply[None]:
    checked_method(body, call.deps.fetcher)
    image = find(call, image_id)
    method = body.method.name
    if method == "copy-image":
        call.enforce("copy_image", **target_of(image))
    stores = wanted_stores(body, call.deps.stores, call.headers.get("x-image-meta-store", ""))
    _require_status(image, method)
    if method == "copy-image":
        stores = _missing(image, stores, all_stores=body.all_stores)
    else:
        require_formats(image)
    room = _room(call, image, method, len(stores))
    start_import(call, image, body, stores, room)
    headers = {"Location": f"{call.base_url}/v2/images/{image.id}"}
    return Reply(status=202, headers=headers)


def _room(call: Call[ImageDeps], image: Image, method: str, copies: int) -> int:
    """How large the image may become. Raises TooLarge. A staged image counts as being uploaded already."""
    known = {"copy-image": image.size_bytes, "glance-direct": image.staged_bytes}.get(method)
    if method != "glance-direct" and copies:
        checks.require_upload(call.deps, call.tx, image.owner)
    room = checks.room_bytes(call.deps, call.tx, image.owner, SIZE, Coming(image.id, known, copies))
    if method in ("web-download", "glance-download"):
        on_stage = checks.room_bytes(call.deps, call.tx, image.owner, STAGED, Coming(image.id))
        return min(room, on_stage)
    return room


def _require_status(image: Image, method: str) -> None:
    needed = _NEEDED_STATUS[method]
    if image.import_task_id is not None:
        raise Conflict(f"Image {image.id} is being imported already, by task {image.import_task_id}.")
    if image.status != needed or (method == "glance-direct" and image.staged is None):
        raise Conflict(f"'{image.status}' is not a status that the import method {method} starts from: it is {needed}.")
    if method == "copy-image" and not image.stores:
        raise Conflict("There is no data to copy.")


def _missing(image: Image, stores: list[str], *, all_stores: bool) -> list[str]:
    """The stores that do not hold the image yet. Raises Forbidden for one asked for by name that does."""
    there = set(image.stores.split(","))
    if not all_stores and there.intersection(stores):
        raise Forbidden(f"Image is already present at stores {', '.join(sorted(there.intersection(stores)))}.")
    return [name for name in stores if name not in there]


ROUTES = (
    Route("POST", "/v2/images/{image_id}/import", begin, "modify_image", 202, body=ImportRequest, target="handler"),
)
