"""Routes of a namespace's objects. Source: image API reference v2, "Metadata definition objects"."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field
from sqlalchemy import delete, select

from gureum.foundation import clock, ids
from gureum.foundation.errors import Conflict, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import PARAMETERS, Collection, links
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.views import Listed, View
from gureum.services.image.deps import ImageDeps
from gureum.services.image.metadefs import access
from gureum.services.image.metadefs.access import ONE, Name80, find, find_open, or_unset, path_of, rules
from gureum.services.image.metadefs.definition import Definition, Described, all_as_json, with_prefix
from gureum.services.image.metadefs.model import Namespace, NamespaceObject

RULES = rules(
    "objects of a namespace",
    ("get_metadef_object", "Show"),
    ("get_metadef_objects", "List"),
    ("modify_metadef_object", "Change"),
    ("add_metadef_object", "Add"),
    ("delete_metadef_object", "Delete"),
)


class ObjectRow(Struct, frozen=True, gc=False):
    """What a list reads of an object."""

    id: str
    name: str
    description: str | None
    properties: dict[str, Described]
    required: list[str]
    created_at: datetime
    updated_at: datetime


_OBJECTS = Collection(
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
    record=ObjectRow,
)


class ObjectBody(Struct):
    """What else a client sends back of a view (`self`, `schema`, times) is the cloud's and passed over."""

    name: Name80
    description: Annotated[str, Meta(max_length=4000)] | None = None
    properties: dict[str, Definition] = field(default_factory=dict)
    required: list[Name80] = field(default_factory=list)


class ObjectView(View):
    name: str
    properties: dict[str, Described]
    required: list[str]
    created_at: str
    updated_at: str
    link: str = field(name="self")
    description: str | UnsetType = UNSET
    schema: str = "/v2/schemas/metadefs/object"


def rows_of(call: Call[ImageDeps], namespace: Namespace) -> list[NamespaceObject]:
    statement = select(NamespaceObject).where(NamespaceObject.namespace_id == namespace.id)
    return list(call.tx.scalars(statement.order_by(NamespaceObject.created_at, NamespaceObject.name)))


def add_row(call: Call[ImageDeps], namespace: Namespace, body: ObjectBody) -> NamespaceObject:
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


def view_of(namespace: Namespace, row: NamespaceObject | ObjectRow, prefix: str = "") -> ObjectView:
    return ObjectView(
        row.name,
        with_prefix(prefix, row.properties),
        [prefix + name for name in row.required],
        clock.iso(row.created_at),
        clock.iso(row.updated_at),
        path_of(namespace.namespace, "objects", row.name),
        or_unset(row.description),
    )


def index(call: Call[ImageDeps], namespace_name: str) -> Listed[ObjectView]:
    namespace = find(call, namespace_name)
    page = _OBJECTS.page(call, NamespaceObject.namespace_id == namespace.id)
    pages = links.first_and_next_at(path_of(namespace.namespace, "objects"))(call, page)
    return Listed([view_of(namespace, row) for row in page.rows], {"schema": "/v2/schemas/metadefs/objects", **pages})


def create(call: Call[ImageDeps], body: ObjectBody, namespace_name: str) -> Reply[ObjectView]:
    namespace = find(call, namespace_name)
    view = view_of(namespace, add_row(call, namespace, body))
    return Reply(view, headers={"Location": call.base_url + view.link})


def show(call: Call[ImageDeps], namespace_name: str, object_name: str) -> ObjectView:
    namespace = find(call, namespace_name)
    return view_of(namespace, _found(call, namespace, object_name))


def update(call: Call[ImageDeps], body: ObjectBody, namespace_name: str, object_name: str) -> ObjectView:
    namespace = find(call, namespace_name)
    row = _found(call, namespace, object_name)
    if body.name != row.name and _row(call, namespace, body.name) is not None:
        raise Conflict(f"The object {body.name} is there already.")
    _write(row, body)
    return view_of(namespace, row)


def remove(call: Call[ImageDeps], namespace_name: str, object_name: str) -> None:
    call.tx.delete(_found(call, find_open(call, namespace_name), object_name))


def remove_all(call: Call[ImageDeps], namespace_name: str) -> None:
    namespace = find_open(call, namespace_name)
    call.tx.execute(delete(NamespaceObject).where(NamespaceObject.namespace_id == namespace.id))


def _row(call: Call[ImageDeps], namespace: Namespace, name: str) -> NamespaceObject | None:
    where = (NamespaceObject.namespace_id == namespace.id, NamespaceObject.name == name)
    return call.tx.scalar(select(NamespaceObject).where(*where))


def _found(call: Call[ImageDeps], namespace: Namespace, name: str) -> NamespaceObject:
    row = _row(call, namespace, name)
    if row is None:
        raise NotFound(f"The object {name[:80]} was not found in namespace {namespace.namespace}.")
    return row


_ALL = ONE + "/objects"
_ONE = _ALL + "/{object_name}"
ROUTES = (
    Route("GET", _ALL, index, "get_metadef_objects", query=PARAMETERS, target="handler", envelope="objects"),
    Route("POST", _ALL, create, "add_metadef_object", 201, body=ObjectBody, target="handler"),
    Route("DELETE", _ALL, remove_all, "delete_metadef_object", 204, target="handler"),
    Route("GET", _ONE, show, "get_metadef_object", target="handler"),
    Route("PUT", _ONE, update, "modify_metadef_object", body=ObjectBody, target="handler"),
    Route("DELETE", _ONE, remove, "delete_metadef_object", 204, target="handler"),
)
