"""Routes of stores. Source: image API reference v2, "Image service info (discovery)" and "Stores"."""

from __future__ import annotations

from typing import Any

from gureum.foundation.errors import Conflict, Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.services.image.access import find
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.lifecycle import remove_data
from gureum.services.image.locations.model import detach, locations_of

RULES = (
    Rule("stores_info_detail", "rule:admin or role:service", "See the image stores with what they are made of"),
    Rule("delete_image_location", "rule:admin", "Remove an image's data from one store, or one of its locations"),
)


def index(call: Call[ImageDeps]) -> dict[str, Any]:
    return {"stores": [_view(call.deps, store.name) for store in call.deps.stores]}


def detail(call: Call[ImageDeps]) -> dict[str, Any]:
    found = []
    for store in call.deps.stores:
        more = {"type": store.kind, "weight": store.weight, "properties": dict(store.properties)}
        found.append(_view(call.deps, store.name) | more)
    return {"stores": found}


def _view(deps: ImageDeps, name: str) -> dict[str, Any]:
    store = deps.stores.get(name)
    assert store is not None
    view: dict[str, Any] = {"id": name}
    if store.description:
        view["description"] = store.description
    if any(one.weight for one in deps.stores):
        view["weight"] = store.weight
    if store is deps.stores.default:
        view["default"] = "true"
    if store.read_only:
        view["read-only"] = "true"
    return view


def remove(call: Call[ImageDeps], store_id: str, image_id: str) -> None:
    """The last copy stays: an image is deleted by its own call."""
    image = find(call, image_id)
    if image.protected:
        raise Forbidden(f"Image {image_id} is protected and cannot be deleted.")
    if call.deps.stores.get(store_id) is None:
        raise NotFound(f"There is no image store {store_id[:64]!r}.")
    rows = list(locations_of(call.tx, image.id))
    there = [row for row in rows if row.store == store_id]
    if not there:
        raise NotFound(f"Image {image_id} is not stored in store {store_id}")
    if image.status != "active" or image.import_task_id:
        raise Conflict("Only an image that is active and not being imported can lose a copy.")
    if len(there) == len(rows):
        raise Forbidden(
            f"Cannot delete image data from the only store containing it. Consider deleting the image {image_id}."
        )
    for row in there:
        detach(call.tx, image, row)
        remove_data(call.deps.tasks, call.tx, image, row.store, row.location)


ROUTES = (
    Route("GET", "/v2/info/stores", index, "get_image_info", transaction="none"),
    Route("GET", "/v2/info/stores/detail", detail, "stores_info_detail", transaction="none"),
    Route("DELETE", "/v2/stores/{store_id}/{image_id}", remove, "delete_image_location", 204, target="handler"),
)
