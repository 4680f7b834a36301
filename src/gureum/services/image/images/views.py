"""The image as clients see it. Source: image API reference v2, "Show image".

A page costs one statement for each relation; rows and ORM objects have the same attributes here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, bindparam, select

from gureum.drivers.image.stores import Stores
from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared
from gureum.foundation.http.call import Call
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image, ImageProperty, ImageTag
from gureum.services.image.locations.model import ImageLocation, locations_of, locations_of_all

COLUMNS = (
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
    Image.stores,
    Image.import_task_id,
    Image.importing_to,
    Image.failed_import,
    Image.created_at,
    Image.updated_at,
)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_PROPERTIES = Prepared(
    select(ImageProperty.image_id, ImageProperty.name, ImageProperty.value).where(ImageProperty.image_id.in_(_IDS)),
    lambda *row: row,
)
_TAGS = Prepared(
    select(ImageTag.image_id, ImageTag.tag).where(ImageTag.image_id.in_(_IDS)).order_by(ImageTag.tag), lambda *row: row
)


def view_of(call: Call[ImageDeps], image: Image) -> dict[str, Any]:
    """One image, with its properties that the caller may read."""
    properties = call.deps.protections.readable(call.caller, image.properties)
    view = _document(image, properties, list(image.tags), call.deps.stores)
    if call.deps.config.show_locations and may_see_locations(call, image):
        view["locations"] = _places(call.deps.stores, locations_of(call.tx, image.id))
    return view


def views_of(call: Call[ImageDeps], rows: Sequence[Any]) -> list[dict[str, Any]]:
    """A page of rows with COLUMNS."""
    ids = [row.id for row in rows]
    properties, tags = _relations(call.tx, ids)
    protections, stores = call.deps.protections, call.deps.stores
    if protections:
        properties = {key: protections.readable(call.caller, found) for key, found in properties.items()}
    views = [_document(row, properties.get(row.id, {}), tags.get(row.id, []), stores) for row in rows]
    if call.deps.config.show_locations:
        places = locations_of_all(call.tx, ids)
        for row, view in zip(rows, views, strict=True):
            if may_see_locations(call, row):
                view["locations"] = _places(stores, places[row.id])
    return views


def may_see_locations(call: Call[ImageDeps], image: Any) -> bool:
    """Owners and administrators; of a deactivated image administrators alone."""
    if image.status == "deactivated" and not call.caller.is_admin:
        return False
    return call.allows("get_image_location", project_id=image.owner, tenant_id=image.owner, owner=image.owner)


def _places(stores: Stores, rows: Sequence[ImageLocation]) -> list[dict[str, Any]]:
    return [{"url": url_of(stores, row), "metadata": {**row.facts, "store": row.store}} for row in rows]


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


def _document(image: Any, properties: Mapping[str, str], tags: list[str], stores: Stores) -> dict[str, Any]:
    view = {
        **properties,
        "id": image.id,
        "name": image.name,
        "status": image.status,
        "visibility": image.visibility,
        "os_hidden": image.hidden,
        "protected": image.protected,
        "owner": image.owner,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "min_disk": image.min_disk_gib,
        "min_ram": image.min_ram_mib,
        "size": image.size_bytes,
        "virtual_size": image.virtual_size_bytes,
        "checksum": image.md5,
        "os_hash_algo": image.hash_algorithm,
        "os_hash_value": image.hash_value,
        "tags": tags,
        "created_at": clock.iso(image.created_at),
        "updated_at": clock.iso(image.updated_at),
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
    }
    held = image.stores
    if held:
        view["stores"] = ",".join(stores.ordered(held.split(","))) if "," in held else held
    if image.importing_to is not None:
        view["os_glance_importing_to_stores"] = image.importing_to
        view["os_glance_failed_import"] = image.failed_import or ""
    if image.import_task_id is not None:
        view["os_glance_import_task"] = image.import_task_id
    return view
