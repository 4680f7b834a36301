"""The image as clients see it. Source: image API reference v2, "Show image".

A page costs one statement for each relation; between the row and the answer's bytes stands one `Document`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType, field
from sqlalchemy import BindParameter, bindparam, select, type_coerce

from gureum.drivers.image.stores import Stores
from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared
from gureum.foundation.db.types import IsoSeconds
from gureum.foundation.http.call import Call
from gureum.foundation.http.views import Extended, JsonValue, View
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image, ImageProperty, ImageTag
from gureum.services.image.locations.model import ImageLocation, locations_of, locations_of_all

_PLAIN = (
    Image.id,
    Image.name,
    Image.owner,
    Image.status,
    Image.visibility,
    Image.hidden,
    Image.protected,
    Image.disk_format,
    Image.container_format,
    Image.min_disk_gib,
    Image.min_ram_mib,
    Image.size_bytes,
    Image.virtual_size_bytes,
    Image.md5,
    Image.hash_algorithm,
    Image.hash_value,
)
_MOMENTS = (Image.created_at, Image.updated_at)
_SOMETIMES = (Image.stores, Image.import_task_id, Image.importing_to, Image.failed_import)


class LocationView(View):
    """One place of an image's data. `metadata` has the name of its store, and what a client wrote beside it."""

    url: str
    metadata: dict[str, JsonValue]


class Document(View):
    """An image in the API's fields, made of a row with COLUMNS; what is unset is left out."""

    id: str
    name: str | None
    owner: str | None
    status: str
    visibility: str
    os_hidden: bool
    protected: bool
    disk_format: str | None
    container_format: str | None
    min_disk: int
    min_ram: int
    size: int | None
    virtual_size: int | None
    checksum: str | None
    os_hash_algo: str | None
    os_hash_value: str | None
    created_at: str
    updated_at: str
    stores: str | UnsetType = UNSET
    os_glance_import_task: str | None | UnsetType = UNSET
    os_glance_importing_to_stores: str | None | UnsetType = UNSET
    os_glance_failed_import: str | None | UnsetType = UNSET
    tags: Sequence[str] = ()
    link: str = field(name="self", default="")
    file: str = ""
    schema: str = "/v2/schemas/image"
    locations: list[LocationView] | UnsetType = UNSET

    def __post_init__(self) -> None:
        self.link = f"/v2/images/{self.id}"
        self.file = f"/v2/images/{self.id}/file"
        if not self.stores:
            self.stores = UNSET
        if self.os_glance_import_task is None:
            self.os_glance_import_task = UNSET
        if self.os_glance_importing_to_stores is None:
            self.os_glance_importing_to_stores = self.os_glance_failed_import = UNSET
        elif self.os_glance_failed_import is None:
            self.os_glance_failed_import = ""


_STORED = (*_PLAIN, *(type_coerce(column, IsoSeconds) for column in _MOMENTS), *_SOMETIMES)
COLUMNS: tuple[Any, ...] = tuple(
    column.label(name) for column, name in zip(_STORED, Document.__struct_fields__, strict=False)
)
"""What a `Document` is made of: a column for each of its first fields."""


ImageView = Extended[Document]
"""A document with the image's own properties beside its fields."""

_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_PROPERTIES = Prepared(
    select(ImageProperty.image_id, ImageProperty.name, ImageProperty.value).where(ImageProperty.image_id.in_(_IDS)),
    lambda *row: row,
)
_TAGS = Prepared(
    select(ImageTag.image_id, ImageTag.tag).where(ImageTag.image_id.in_(_IDS)).order_by(ImageTag.tag), lambda *row: row
)


def view_of(call: Call[ImageDeps], image: Image) -> ImageView:
    """One image, with its properties that the caller may read."""
    document = _document(image)
    if call.deps.config.show_locations and may_see_locations(call, image):
        document.locations = places_of(call.deps.stores, locations_of(call.tx, image.id))
    properties = call.deps.protections.readable(call.caller, image.properties)
    return _view(document, properties, list(image.tags), call.deps.stores)


def views_of(call: Call[ImageDeps], documents: Sequence[Document]) -> list[ImageView]:
    """A page of documents, with what their rows do not hold."""
    ids = [document.id for document in documents]
    properties, tags = _relations(call.tx, ids)
    protections, stores = call.deps.protections, call.deps.stores
    if protections:
        properties = {key: protections.readable(call.caller, values) for key, values in properties.items()}
    if call.deps.config.show_locations:
        places = locations_of_all(call.tx, ids)
        for document in documents:
            if may_see_locations(call, document):
                document.locations = places_of(stores, places[document.id])
    return [_view(image, properties.get(image.id), tags.get(image.id, ()), stores) for image in documents]


def may_see_locations(call: Call[ImageDeps], image: Image | Document) -> bool:
    """Owners and administrators; of a deactivated image administrators alone."""
    if image.status == "deactivated" and not call.caller.is_admin:
        return False
    return call.allows("get_image_location", project_id=image.owner, tenant_id=image.owner, owner=image.owner)


def places_of(stores: Stores, rows: Sequence[ImageLocation]) -> list[LocationView]:
    return [LocationView(url_of(stores, row), {**row.facts, "store": row.store}) for row in rows]


def url_of(stores: Stores, row: ImageLocation) -> str:
    """A web location's own URL, a store's direct one, else a name that tells its store; never a path of a host."""
    if "://" in row.location:
        return row.location
    store = stores.get(row.store)
    direct = store.engine.direct_url(row.location) if store else ""
    return direct or f"gureum://{row.store}/{row.location}"


def _relations(tx: Tx, ids: list[str]) -> tuple[dict[str, dict[str, str]], dict[str, list[str]]]:
    properties: dict[str, dict[str, str]] = {}
    tags: dict[str, list[str]] = {}
    if ids:
        for image_id, name, value in _PROPERTIES.all(tx, ids=ids):
            properties.setdefault(image_id, {})[name] = value
        for image_id, tag in _TAGS.all(tx, ids=ids):
            tags.setdefault(image_id, []).append(tag)
    return properties, tags


def _document(image: Image) -> Document:
    values = [getattr(image, column.key) for column in _PLAIN]
    values += [clock.iso(getattr(image, column.key)) for column in _MOMENTS]
    values += [getattr(image, column.key) for column in _SOMETIMES]
    return Document(*values)


def _view(document: Document, properties: Mapping[str, str] | None, tags: Sequence[str], stores: Stores) -> ImageView:
    document.tags = tags
    if document.stores and "," in document.stores:
        document.stores = ",".join(stores.ordered(document.stores.split(",")))
    return Extended(document, properties or {})
