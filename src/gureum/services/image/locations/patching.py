"""Changing an image's list of locations by PATCH, where the operator shows them (`[image] show_locations`).

A client adds URLs of the web store only: names of data in our own stores are the cloud's to give. What the other side
says of its size is asked before the transaction and kept in the change.
Source: image API reference v2, "Update image" (locations, since 2.4; validation_data, since 2.7).
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from gureum.drivers.image.errors import ImageStoreError
from gureum.drivers.image.stores import NamedStore
from gureum.foundation.errors import BadRequest, Conflict, Forbidden
from gureum.foundation.http.call import Call
from gureum.foundation.http.views import JsonValue
from gureum.foundation.shapes import converted
from gureum.services.image.access import find, target_of
from gureum.services.image.deps import ImageDeps
from gureum.services.image.events import ImageActivated
from gureum.services.image.images.lifecycle import remove_data
from gureum.services.image.images.model import Image
from gureum.services.image.images.patch import Change
from gureum.services.image.images.views import url_of
from gureum.services.image.imports.hashing import ALGORITHMS
from gureum.services.image.locations.model import attach, detach, locations_of
from gureum.services.image.locations.reading import asking_outside

MAX_LOCATIONS = 10


class Promise(Struct, forbid_unknown_fields=True):
    """What the client says of the data's hashes."""

    os_hash_algo: Annotated[str, Meta(max_length=64)]
    os_hash_value: Annotated[str, Meta(max_length=128)]
    checksum: Annotated[str, Meta(min_length=32, max_length=32)] | None = None


class Place(Struct, forbid_unknown_fields=True):
    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    metadata: dict[str, Any]
    validation_data: Promise | None = None


def with_sizes(call: Call[ImageDeps], image_id: str, changes: list[Change]) -> list[Change]:
    """Look at every place that is added, for a caller who may add some to the image.

    Raises NotFound, Forbidden, Unavailable, and BadRequest for too many or for one that is not allowed or is silent.
    """
    added = sum(_adds_place(change) for change in changes)
    if not added:
        return changes
    with call.database.read() as tx:
        call.tx = tx
        call.enforce("set_image_location", **target_of(find(call, image_id)))
    if added > MAX_LOCATIONS:
        raise _too_many()
    project_id = call.caller.project_id or ""
    return [
        dataclasses.replace(change, size=looked_at(call.deps, _place(change.value).url, project_id))
        if _adds_place(change)
        else change
        for change in changes
    ]


def _adds_place(change: Change) -> bool:
    return change.name == "locations" and change.op == "add"


def _too_many() -> BadRequest:
    return BadRequest(f"An image has at most {MAX_LOCATIONS} locations.")


def web_store(deps: ImageDeps) -> NamedStore:
    store = deps.stores.of_kind("web")
    if store is None:
        raise BadRequest("Invalid location: this cloud has no store for outside locations.")
    return store


def looked_at(deps: ImageDeps, url: str, project_id: str) -> int | None:
    """The size of the data at a URL, for a request of a project. Raises BadRequest, Unavailable."""
    store = web_store(deps)
    try:
        deps.fetcher.check(url)
        with asking_outside(project_id):
            return store.engine.size(url)
    except ImageStoreError as error:
        raise BadRequest(f"Invalid location: the URL does not pass filtering or gives no data: {error}") from error


def _place(value: JsonValue) -> Place:
    try:
        return converted(value, Place)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid location: {error}") from error


def change_locations(call: Call[ImageDeps], image: Image, change: Change) -> None:
    """Raises BadRequest, Conflict, Forbidden."""
    if change.op == "remove":
        _remove(call, image, int(change.place or 0))
        return
    call.enforce("set_image_location", **target_of(image))
    if change.op == "replace":
        _replace(call, image, change.value)
        return
    _add(call, image, _place(change.value), change.size)


def _add(call: Call[ImageDeps], image: Image, place: Place, size: int | None) -> None:
    if image.status not in ("queued", "active") or image.import_task_id is not None:
        raise Conflict("It's not allowed to add locations to an image in this status.")
    there = locations_of(call.tx, image.id)
    if any(row.location == place.url for row in there):
        raise BadRequest("Invalid location: it is one of the image's already.")
    if len(there) >= MAX_LOCATIONS:
        raise _too_many()
    _believe(image, place.validation_data)
    facts = {name: value for name, value in place.metadata.items() if name != "store"}
    attach(call.tx, image, web_store(call.deps).name, place.url, facts)
    if image.status == "queued":
        image.status = "active"
        image.size_bytes = size
        call.deps.events.emit(call.tx, ImageActivated(image.id, image.owner, size))


def _believe(image: Image, promise: Promise | None) -> None:
    """Give the image the promised hashes. Raises Conflict when it has other ones, BadRequest for what is no hash."""
    if promise is None:
        return
    promised = (promise.checksum, promise.os_hash_algo, promise.os_hash_value)
    if image.hash_value is not None:
        if promised != (image.md5 if promise.checksum else None, image.hash_algorithm, image.hash_value):
            raise Conflict("The validation data differs from what the image has.")
        return
    require_hash(promise.os_hash_algo, promise.os_hash_value)
    image.md5, image.hash_algorithm, image.hash_value = promised


def require_hash(algorithm: str, value: str) -> None:
    """Raises BadRequest for a hash that cannot be one."""
    if algorithm not in ALGORITHMS:
        raise BadRequest(f"os_hash_algo must be one of {', '.join(ALGORITHMS)}.")
    digits = ALGORITHMS[algorithm]
    if len(value) != digits or not set(value.lower()) <= set("0123456789abcdef"):
        raise BadRequest(f"os_hash_value of {algorithm} is {digits} hexadecimal digits.")


def _replace(call: Call[ImageDeps], image: Image, value: JsonValue) -> None:
    """The same places with other facts about them; places come and go one by one."""
    if not isinstance(value, list):
        raise BadRequest("Invalid locations: a list is expected.")
    places = [_place(entry) for entry in value]
    rows = locations_of(call.tx, image.id)
    if [place.url for place in places] != [url_of(call.deps.stores, row) for row in rows]:
        raise BadRequest("Original locations are not empty: places are added and removed one at a time.")
    for row, place in zip(rows, places, strict=True):
        row.facts = {name: fact for name, fact in place.metadata.items() if name != "store"}


def _remove(call: Call[ImageDeps], image: Image, place: int) -> None:
    call.enforce("delete_image_location", **target_of(image))
    rows = locations_of(call.tx, image.id)
    if len(rows) == 1:
        raise Forbidden("Cannot delete the only location of an image.")
    if place >= len(rows):
        raise BadRequest("Invalid position for removing a location.")
    row = rows[place]
    detach(call.tx, image, row)
    remove_data(call.deps.tasks, call.tx, image, row.store, row.location)
