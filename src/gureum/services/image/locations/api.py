"""Routes of locations. Source: image API reference v2.17, "Locations".

Reading them is for services: where data lies is not the tenants' business.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from gureum.drivers.image.errors import ImageStoreError
from gureum.foundation import ids
from gureum.foundation.errors import BadRequest, Conflict, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.views import JsonValue
from gureum.foundation.policy import Rule
from gureum.services.image.access import MEMBER, READER, find, target_of
from gureum.services.image.data.claim import require_formats
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image, living
from gureum.services.image.images.views import LocationView, places_of
from gureum.services.image.imports.operations import Job
from gureum.services.image.imports.starting import start
from gureum.services.image.locations.model import attach, detach, locations_of
from gureum.services.image.locations.patching import require_hash, web_store
from gureum.services.image.usage import checks
from gureum.services.image.usage.checks import Coming
from gureum.services.image.usage.quotas import SIZE

RULES = (
    Rule("get_image_location", READER, "See where an image's data is, where the operator shows it"),
    Rule("set_image_location", MEMBER, "Add a location to an image by changing it"),
    Rule("fetch_image_location", "rule:admin or role:service", "Read where an image's data is"),
    Rule("add_image_location", f"{MEMBER} or role:service", "Add a location to an image without data"),
)


class Validation(Struct, forbid_unknown_fields=True):
    os_hash_algo: Annotated[str, Meta(max_length=64)] | None = None
    os_hash_value: Annotated[str, Meta(max_length=128)] | None = None


class NewLocation(Struct, forbid_unknown_fields=True):
    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    validation_data: Validation | None = None


def index(call: Call[ImageDeps], image_id: str) -> list[LocationView]:
    return places_of(call.deps.stores, locations_of(call.tx, _found(call, image_id).id))


def _found(call: Call[ImageDeps], image_id: str) -> Image:
    """Services reach the images of every project."""
    if "service" not in call.caller.roles:
        return find(call, image_id)
    image = call.tx.scalar(living().where(Image.id == image_id.lower())) if ids.is_uuid(image_id) else None
    if image is None:
        raise NotFound(f"No image found with ID {image_id[:64]}")
    call.enforce(**target_of(image))
    return image


def add(call: Call[ImageDeps], body: NewLocation, image_id: str) -> Reply[None]:
    promise = body.validation_data or Validation()
    if (promise.os_hash_algo is None) != (promise.os_hash_value is None):
        raise BadRequest("os_hash_algo and os_hash_value are given together or not at all.")
    algorithm, value = promise.os_hash_algo or "", promise.os_hash_value or ""
    if algorithm:
        require_hash(algorithm, value)
    image = _found(call, image_id)
    store = web_store(call.deps)
    try:
        call.deps.fetcher.check(body.url)
    except ImageStoreError as error:
        raise BadRequest(f"Invalid location: the URL does not pass filtering: {error}") from error
    if image.status != "queued":
        raise Conflict("A location is added only to an image that is queued.")
    require_formats(image)
    room = checks.room_bytes(call.deps, call.tx, image.owner, SIZE, Coming(image.id))
    for row in locations_of(call.tx, image.id):
        detach(call.tx, image, row)
    attach(call.tx, image, store.name, body.url)
    verified_first = bool(value) and call.deps.config.secure_hash
    job = Job(
        image.id,
        "hash" if verified_first else "publish",
        [],
        uri=body.url,
        room_bytes=room,
        hash_algorithm=algorithm,
        hash_value=value.lower(),
    )
    shown_input: dict[str, JsonValue] = {
        "image_id": image.id,
        "loc_url": body.url,
        "validation_data": {"os_hash_algo": algorithm, "os_hash_value": value},
    }
    start(call, image, "location_import", shown_input, job)
    return Reply(status=202)


_ALL = "/v2/images/{image_id}/locations"
ROUTES = (
    Route("GET", _ALL, index, "fetch_image_location", target="handler"),
    Route("POST", _ALL, add, "add_image_location", 202, body=NewLocation, target="handler"),
)
