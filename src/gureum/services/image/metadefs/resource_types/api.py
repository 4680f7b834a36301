"""Routes of resource types and of their associations. Source: image API reference v2, the chapter of that name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import select

from gureum.foundation import clock
from gureum.foundation.errors import Conflict, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Listed, View
from gureum.services.image.deps import ImageDeps
from gureum.services.image.metadefs.access import ONE, Name80, find, find_open, or_unset, rules
from gureum.services.image.metadefs.model import Association, Namespace, ResourceType

RULES = rules(
    "resource types and their associations",
    ("list_metadef_resource_types", "List"),
    ("get_metadef_resource_type", "Show"),
    ("add_metadef_resource_type_association", "Add"),
    ("remove_metadef_resource_type_association", "Remove"),
)
_Prefix = Annotated[str, Meta(max_length=80)]


class AssociationBody(Struct):
    """Times that a client sends back of a view are the cloud's and passed over."""

    name: Name80
    prefix: _Prefix | None = None
    properties_target: _Prefix | None = None


class AssociationView(View):
    name: str
    created_at: str
    updated_at: str
    prefix: str | UnsetType = UNSET
    properties_target: str | UnsetType = UNSET


class TypeView(View):
    name: str
    created_at: str
    updated_at: str


def prefix_of(call: Call[ImageDeps], namespace: Namespace, resource_type: str) -> str:
    """What names of the namespace begin with for this type. Raises NotFound without an association."""
    row = call.tx.get(Association, (namespace.id, resource_type))
    if row is None:
        raise NotFound(f"Namespace {namespace.namespace} is not for resource type {resource_type[:80]}.")
    return row.prefix or ""


def associations_of(call: Call[ImageDeps], namespace_ids: Sequence[str]) -> dict[str, list[AssociationView]]:
    """Views by namespace, for a whole page in one statement."""
    views: dict[str, list[AssociationView]] = {}
    statement = select(Association).where(Association.namespace_id.in_(namespace_ids))
    for row in call.tx.scalars(statement.order_by(Association.resource_type)) if namespace_ids else ():
        views.setdefault(row.namespace_id, []).append(view_of(row))
    return views


def view_of(row: Association) -> AssociationView:
    times = clock.iso(row.created_at), clock.iso(row.updated_at)
    return AssociationView(row.resource_type, *times, or_unset(row.prefix), or_unset(row.properties_target))


def add_row(call: Call[ImageDeps], namespace: Namespace, body: AssociationBody) -> Association:
    """A type that is not known yet is made. Raises Conflict."""
    now = clock.utcnow()
    if call.tx.get(ResourceType, body.name) is None:
        call.tx.add(ResourceType(name=body.name, created_at=now, updated_at=now))
        call.tx.flush()
    if call.tx.get(Association, (namespace.id, body.name)) is not None:
        raise Conflict(f"Namespace {namespace.namespace} is for resource type {body.name} already.")
    row = Association(
        namespace_id=namespace.id,
        resource_type=body.name,
        prefix=body.prefix,
        properties_target=body.properties_target,
        created_at=now,
        updated_at=now,
    )
    call.tx.add(row)
    return row


def types(call: Call[ImageDeps]) -> Listed[TypeView]:
    rows = call.tx.scalars(select(ResourceType).order_by(ResourceType.name))
    return Listed([TypeView(row.name, clock.iso(row.created_at), clock.iso(row.updated_at)) for row in rows])


def index(call: Call[ImageDeps], namespace_name: str) -> Listed[AssociationView]:
    namespace = find(call, namespace_name)
    return Listed(associations_of(call, [namespace.id]).get(namespace.id, []))


def create(call: Call[ImageDeps], body: AssociationBody, namespace_name: str) -> AssociationView:
    return view_of(add_row(call, find(call, namespace_name), body))


def remove(call: Call[ImageDeps], namespace_name: str, name: str) -> None:
    namespace = find_open(call, namespace_name)
    row = call.tx.get(Association, (namespace.id, name))
    if row is None:
        raise NotFound(f"Namespace {namespace.namespace} is not for resource type {name[:80]}.")
    call.tx.delete(row)


_ALL = ONE + "/resource_types"
ROUTES = (
    Route("GET", "/v2/metadefs/resource_types", types, "list_metadef_resource_types", envelope="resource_types"),
    Route("GET", _ALL, index, "get_metadef_resource_type", target="handler", envelope="resource_type_associations"),
    Route("POST", _ALL, create, "add_metadef_resource_type_association", 201, body=AssociationBody, target="handler"),
    Route("DELETE", _ALL + "/{name}", remove, "remove_metadef_resource_type_association", 204, target="handler"),
)
