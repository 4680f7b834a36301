"""The body of an import: its method, its stores, and what the method needs. Pure.

Source: image API reference v2, "Import an image"; image service administration guide on glance-download.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gureum.drivers.image.errors import ImageStoreError
from gureum.drivers.image.interface import Fetcher
from gureum.drivers.image.stores import Stores
from gureum.foundation import ids
from gureum.foundation.errors import BadRequest, Conflict
from gureum.foundation.http.views import JsonValue

METHODS = ("glance-direct", "web-download", "copy-image", "glance-download")
Text255 = Annotated[str, Meta(max_length=255)]


class Method(Struct, forbid_unknown_fields=True):
    """`uri` belongs to web-download, the other three to glance-download."""

    name: Annotated[str, Meta(max_length=64)]
    uri: Annotated[str, Meta(max_length=2048)] | None = None
    glance_image_id: Text255 | None = None
    glance_region: Text255 | None = None
    glance_service_interface: Text255 = "public"


class ImportRequest(Struct):
    method: Method
    stores: list[Text255] | None = None
    all_stores: bool = False
    all_stores_must_succeed: bool = True


def checked_method(request: ImportRequest, fetcher: Fetcher) -> None:
    """Raises BadRequest for a method that is unknown or lacks what it needs, and for a URI that is not allowed."""
    method = request.method
    if method.name not in METHODS:
        raise BadRequest(f"Unknown import method name '{method.name}'.")
    if method.name == "web-download":
        if not method.uri:
            raise BadRequest("'uri' is required for the import method web-download.")
        try:
            fetcher.check(method.uri)
        except ImageStoreError as error:
            raise BadRequest(f"URI for web-download does not pass filtering: {error}") from error
    if method.name == "glance-download":
        if not method.glance_image_id or not method.glance_region:
            raise BadRequest(
                "'glance_image_id' and 'glance_region' are required for the import method glance-download."
            )
        if not ids.is_uuid(method.glance_image_id):
            raise BadRequest("The remote glance image id does not look like a UUID.")


def wanted_stores(request: ImportRequest, stores: Stores, header: str) -> list[str]:
    """The stores that the data goes to. Raises BadRequest, Conflict for a store that is not known."""
    if request.stores is not None and request.all_stores:
        raise BadRequest("all_stores parameter can't be used with x-image-meta-store header or stores parameter")
    if request.all_stores:
        return [store.name for store in stores.writable]
    names = list(dict.fromkeys(request.stores or ([header] if header else [])))
    writable = {store.name for store in stores.writable}
    for name in names:
        if name not in writable:
            raise Conflict(f"The image store {name[:64]!r} is not known or takes no data.")
    if not names and request.method.name == "copy-image":
        raise BadRequest("copy-image needs the stores to copy to, or all_stores.")
    return names or [stores.default.name]


def as_input(image_id: str, request: ImportRequest, stores: list[str]) -> dict[str, JsonValue]:
    """What the task shows as its input."""
    method = {name: value for name, value in msgspec.structs.asdict(request.method).items() if value is not None}
    if request.method.name != "glance-download":
        method.pop("glance_service_interface", None)
    body: dict[str, JsonValue] = {"method": method, "all_stores_must_succeed": request.all_stores_must_succeed}
    if request.all_stores:
        body["all_stores"] = True
    if request.stores is not None:
        body["stores"] = list(request.stores)
    return {"image_id": image_id, "import_req": body, "backend": stores}
