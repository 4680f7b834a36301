"""Routes of stores. Source: image API reference v2, "Image service info (discovery)" and "Stores"."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType, field

from gureum.drivers.image.stores import NamedStore, Stores
from gureum.foundation.errors import Conflict, Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import JsonValue, Listed, View
from gureum.foundation.policy import Rule
from gureum.services.image.access import find
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.lifecycle import remove_data
from gureum.services.image.locations.model import detach, locations_of

RULES = (
    Rule("stores_info_detail", "rule:admin or role:service", "See the image stores with what they are made of"),
    Rule("delete_image_location", "rule:admin", "Remove an image's data from one store, or one of its locations"),
)


class StoreView(View):
    """A store in the list for everybody; what does not apply is left out."""

    id: str
    description: str | UnsetType = UNSET
    weight: int | UnsetType = UNSET
    default: Literal["true"] | UnsetType = UNSET
    read_only: Literal["true"] | UnsetType = field(name="read-only", default=UNSET)


class StoreDetail(StoreView, kw_only=True):
    """A store with what it is made of."""

    type: str
    properties: dict[str, JsonValue]


def index(call: Call[ImageDeps]) -> Listed[StoreView]:
    return Listed([_view(call.deps.stores, store) for store in call.deps.stores])


def detail(call: Call[ImageDeps]) -> Listed[StoreDetail]:
    return Listed([_detail(call.deps.stores, store) for store in call.deps.stores])


def _view(stores: Stores, store: NamedStore) -> StoreView:
    return StoreView(
        store.name,
        store.description or UNSET,
        store.weight if any(other.weight for other in stores) else UNSET,
        "true" if store is stores.default else UNSET,
        "true" if store.read_only else UNSET,
    )


def _detail(stores: Stores, store: NamedStore) -> StoreDetail:
    view = _view(stores, store)
    return StoreDetail(
        view.id,
        view.description,
        store.weight,
        view.default,
        view.read_only,
        type=store.kind,
        properties=dict(store.properties),
    )


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
    Route("GET", "/v2/info/stores", index, "get_image_info", transaction="none", envelope="stores"),
    Route("GET", "/v2/info/stores/detail", detail, "stores_info_detail", transaction="none", envelope="stores"),
    Route("DELETE", "/v2/stores/{store_id}/{image_id}", remove, "delete_image_location", 204, target="handler"),
)
