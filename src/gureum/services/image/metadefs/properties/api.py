"""Routes of a namespace's properties. Source: image API reference v2, "Metadata definition properties"."""

from __future__ import annotations

from sqlalchemy import delete, select

from gureum.foundation import clock, ids
from gureum.foundation.errors import Conflict, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.views import Extended, View
from gureum.services.image.deps import ImageDeps
from gureum.services.image.metadefs.access import ONE, find, find_open, path_of, rules
from gureum.services.image.metadefs.definition import Described, Named, as_json
from gureum.services.image.metadefs.model import Namespace, NamespaceProperty
from gureum.services.image.metadefs.resource_types.api import prefix_of

RULES = rules(
    "properties of a namespace",
    ("get_metadef_property", "Show"),
    ("get_metadef_properties", "List"),
    ("modify_metadef_property", "Change"),
    ("add_metadef_property", "Add"),
    ("remove_metadef_property", "Delete"),
)


def definitions_of(call: Call[ImageDeps], namespace: Namespace) -> dict[str, Described]:
    """By name."""
    columns = (NamespaceProperty.name, NamespaceProperty.definition)
    statement = select(*columns).where(NamespaceProperty.namespace_id == namespace.id).order_by(NamespaceProperty.name)
    return {row.name: row.definition for row in call.tx.execute(statement)}


def add_row(call: Call[ImageDeps], namespace: Namespace, name: str, definition: Described) -> NamespaceProperty:
    """Raises Conflict."""
    if _row(call, namespace, name) is not None:
        raise Conflict(f"The property {name} is there already.")
    now = clock.utcnow()
    row = NamespaceProperty(
        id=ids.new_uuid(), namespace_id=namespace.id, name=name, definition=definition, created_at=now, updated_at=now
    )
    call.tx.add(row)
    return row


class PropertyName(View):
    name: str


PropertyView = Extended[PropertyName]
"""The name of a property beside its definition."""


class Properties(View):
    """By name."""

    properties: dict[str, Described]


def index(call: Call[ImageDeps], namespace_name: str) -> Properties:
    return Properties(definitions_of(call, find(call, namespace_name)))


def create(call: Call[ImageDeps], body: Named, namespace_name: str) -> Reply[PropertyView]:
    namespace = find(call, namespace_name)
    row = add_row(call, namespace, body.name, as_json(body))
    place = path_of(namespace.namespace, "properties", row.name)
    return Reply(_view(row), headers={"Location": call.base_url + place})


def show(call: Call[ImageDeps], namespace_name: str, property_name: str) -> PropertyView:
    """With `resource_type` the name comes with that type's prefix, and goes back with it."""
    namespace = find(call, namespace_name)
    kind = call.param("resource_type")
    prefix = prefix_of(call, namespace, kind) if kind else ""
    if not property_name.startswith(prefix):
        raise NotFound(f"Property {property_name[:80]} does not start with the expected prefix {prefix!r}.")
    row = _found(call, namespace, property_name.removeprefix(prefix))
    return _view(row, prefix)


def update(call: Call[ImageDeps], body: Named, namespace_name: str, property_name: str) -> PropertyView:
    namespace = find(call, namespace_name)
    row = _found(call, namespace, property_name)
    if body.name != row.name and _row(call, namespace, body.name) is not None:
        raise Conflict(f"The property {body.name} is there already.")
    row.name, row.definition, row.updated_at = body.name, as_json(body), clock.utcnow()
    return _view(row)


def remove(call: Call[ImageDeps], namespace_name: str, property_name: str) -> None:
    call.tx.delete(_found(call, find_open(call, namespace_name), property_name))


def remove_all(call: Call[ImageDeps], namespace_name: str) -> None:
    namespace = find_open(call, namespace_name)
    call.tx.execute(delete(NamespaceProperty).where(NamespaceProperty.namespace_id == namespace.id))


def _row(call: Call[ImageDeps], namespace: Namespace, name: str) -> NamespaceProperty | None:
    where = (NamespaceProperty.namespace_id == namespace.id, NamespaceProperty.name == name)
    return call.tx.scalar(select(NamespaceProperty).where(*where))


def _found(call: Call[ImageDeps], namespace: Namespace, name: str) -> NamespaceProperty:
    row = _row(call, namespace, name)
    if row is None:
        raise NotFound(f"The property {name[:80]} was not found in namespace {namespace.namespace}.")
    return row


def _view(row: NamespaceProperty, prefix: str = "") -> PropertyView:
    return Extended(PropertyName(prefix + row.name), row.definition)


_ALL = ONE + "/properties"
_ONE = _ALL + "/{property_name}"
ROUTES = (
    Route("GET", _ALL, index, "get_metadef_properties", target="handler"),
    Route("POST", _ALL, create, "add_metadef_property", 201, body=Named, target="handler"),
    Route("DELETE", _ALL, remove_all, "remove_metadef_property", 204, target="handler"),
    Route("GET", _ONE, show, "get_metadef_property", query=("resource_type",), target="handler"),
    Route("PUT", _ONE, update, "modify_metadef_property", body=Named, target="handler"),
    Route("DELETE", _ONE, remove, "remove_metadef_property", 204, target="handler"),
)
