"""Routes of a namespace's objects. Source: image API reference v2, "Metadata definition objects"."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct, field
from sqlalchemy import delete, select

from gureum.foundation import clock, ids
from gureum.foundation.errors import Conflict, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import PARAMETERS, Collection, links
from gureum.foundation.http.routes import Reply, Route
from gureum.services.image.metadefs import access
from gureum.services.image.metadefs.access import ONE, Name80, find, find_open, path_of, rules, without_nulls
from gureum.services.image.metadefs.definition import Definition, all_as_json, with_prefix
from gureum.services.image.metadefs.model import Namespace, NamespaceObject

RULES = rules(
    "objects of a namespace",
    ("get_metadef_object", "Show"),
    ("get_metadef_objects", "List"),
    ("modify_metadef_object", "Change"),
    ("add_metadef_object", "Add"),
    ("delete_metadef_object", "Delete"),
)
_OBJECTS: Collection[Any] = Collection(
    name="objects",
    model=NamespaceObject,
    sort_keys={
        "name": NamespaceObject.name,
        "created_at": NamespaceObject.created_at,
        "updated_at": NamespaceObject.updated_at,
    },
    order=access.NEWEST_FIRST,
    marker=NamespaceObject.name,
    pages=access.PAGES,
)
_SCHEMA = "/v2/schemas/metadefs/object"


class ObjectBody(Struct):
    """What else a client sends back of a view (`self`, `schema`, times) is the cloud's and passed over."""

    name: Name80
    description: Annotated[str, Meta(max_length=4000)] | None = None
    properties: dict[str, Definition] = field(default_factory=dict)
    required: list[Name80] = field(default_factory=list)


def rows_of(call: Call[Any], namespace: Namespace) -> list[NamespaceObject]:
    statement = select(NamespaceObject).where(NamespaceObject.namespace_id == namespace.id)
    return list(call.tx.scalars(statement.order_by(NamespaceObject.created_at, NamespaceObject.name)))


def add_row(call: Call[Any], namespace: Namespace, body: ObjectBody) -> NamespaceObject:
    """Raises Conflict."""
    if _row(call, namespace, body.name) is not None:
        raise Conflict(f"The object {body.name} is there already.")
    now = clock.utcnow()
    row = NamespaceObject(id=ids.new_uuid(), namespace_id=namespace.id, created_at=now)
    _write(row, body)
    call.tx.add(row)
    return row


def _write(row: NamespaceObject, body: ObjectBody) -> None:
    row.name, row.description, row.updated_at = body.name, body.description, clock.utcnow()
    row.properties, row.required = all_as_json(body.properties), list(body.required)


def view_of(namespace: Namespace, row: NamespaceObject, prefix: str = "") -> dict[str, Any]:
    view = {
        "name": row.name,
        "description": row.description,
        "properties": with_prefix(prefix, row.properties),
        "required": [prefix + name for name in row.required],
        "created_at": clock.iso(row.created_at),
        "updated_at": clock.iso(row.updated_at),
        "self": path_of(namespace.namespace, "objects", row.name),
        "schema": _SCHEMA,
    }
    return without_nulls(view)


def index(call: Call[Any], namespace_name: str) -> dict[str, Any]:
    namespace = find(call, namespace_name)
    page = _OBJECTS.page(call, NamespaceObject.namespace_id == namespace.id)
    return {
        "objects": [view_of(namespace, row) for row in page.rows],
        "schema": "/v2/schemas/metadefs/objects",
        **links.first_and_next_at(path_of(namespace.namespace, "objects"))(call, page),
    }


def create(call: Call[Any], body: ObjectBody, namespace_name: str) -> Reply[Any]:
    namespace = find(call, namespace_name)
    view = view_of(namespace, add_row(call, namespace, body))
    return Reply(view, headers={"Location": call.base_url + view["self"]})


def show(call: Call[Any], namespace_name: str, object_name: str) -> dict[str, Any]:
    namespace = find(call, namespace_name)
    return view_of(namespace, _found(call, namespace, object_name))


def update(call: Call[Any], body: ObjectBody, namespace_name: str, object_name: str) -> dict[str, Any]:
    namespace = find(call, namespace_name)
    row = _found(call, namespace, object_name)
    if body.name != row.name and _row(call, namespace, body.name) is not None:
        raise Conflict(f"The object {body.name} is there already.")
    _write(row, body)
    return view_of(namespace, row)


def remove(call: Call[Any], namespace_name: str, object_name: str) -> None:
    call.tx.delete(_found(call, find_open(call, namespace_name), object_name))


def remove_all(call: Call[Any], namespace_name: str) -> None:
    namespace = find_open(call, namespace_name)
    call.tx.execute(delete(NamespaceObject).where(NamespaceObject.namespace_id == namespace.id))


def _row(call: Call[Any], namespace: Namespace, name: str) -> NamespaceObject | None:
    where = (NamespaceObject.namespace_id == namespace.id, NamespaceObject.name == name)
    return call.tx.scalar(select(NamespaceObject).where(*where))


def _found(call: Call[Any], namespace: Namespace, name: str) -> NamespaceObject:
    row = _row(call, namespace, name)
    if row is None:
        raise NotFound(f"The object {name[:80]} was not found in namespace {namespace.namespace}.")
    return row


_ALL = ONE + "/objects"
_ONE = _ALL + "/{object_name}"
ROUTES = (
    Route("GET", _ALL, index, "get_metadef_objects", query=PARAMETERS, target="handler"),
    Route("POST", _ALL, create, "add_metadef_object", 201, body=ObjectBody, target="handler"),
    Route("DELETE", _ALL, remove_all, "delete_metadef_object", 204, target="handler"),
    Route("GET", _ONE, show, "get_metadef_object", target="handler"),
    Route("PUT", _ONE, update, "modify_metadef_object", body=ObjectBody, target="handler"),
    Route("DELETE", _ONE, remove, "delete_metadef_object", 204, target="handler"),
)
