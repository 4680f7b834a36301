"""Routes of namespaces. Source: image API reference v2, "Metadata definition namespaces"."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field
from sqlalchemy import delete, select

from gureum.foundation import clock, ids
from gureum.foundation.errors import BadRequest, Conflict
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import PARAMETERS, Collection, Condition, links
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.views import Listed, View
from gureum.services.image.deps import ImageDeps
from gureum.services.image.metadefs import access
from gureum.services.image.metadefs.access import ONE, ROOT, Name80, find, find_open, or_unset, path_of, rules
from gureum.services.image.metadefs.definition import Definition, Described, all_as_json, with_prefix
from gureum.services.image.metadefs.model import (
    Association,
    Namespace,
    NamespaceObject,
    NamespaceProperty,
    NamespaceTag,
)
from gureum.services.image.metadefs.objects import api as objects
from gureum.services.image.metadefs.properties import api as properties
from gureum.services.image.metadefs.resource_types import api as resource_types
from gureum.services.image.metadefs.tags import api as tags

RULES = (
    *access.RULES,
    *rules(
        "namespaces",
        ("get_metadef_namespace", "Show"),
        ("get_metadef_namespaces", "List"),
        ("modify_metadef_namespace", "Change"),
        ("add_metadef_namespace", "Add"),
        ("delete_metadef_namespace", "Delete"),
    ),
)
_PARTS = (NamespaceObject, NamespaceProperty, NamespaceTag, Association)
_Display = Annotated[str, Meta(max_length=80)]
_Description = Annotated[str, Meta(max_length=500)]
_Owner = Annotated[str, Meta(max_length=255)]


class NamespaceChange(Struct):
    """What else a client sends back of a view is the cloud's, or has routes of its own, and is passed over."""

    namespace: Name80
    display_name: _Display | None = None
    description: _Description | None = None
    visibility: Literal["public", "private"] = "private"
    protected: bool = False
    owner: _Owner | None = None


class NewNamespace(NamespaceChange, forbid_unknown_fields=True):
    """A namespace, with all that is in it if the client likes."""

    properties: dict[str, Definition] = field(default_factory=dict)
    objects: list[objects.ObjectBody] = field(default_factory=list)
    tags: list[tags.Tag] = field(default_factory=list)
    resource_type_associations: list[resource_types.AssociationBody] = field(default_factory=list)


class NamespaceRow(Struct, frozen=True, gc=False):
    """What a list reads of a namespace."""

    id: str
    namespace: str
    display_name: str | None
    description: str | None
    visibility: str
    protected: bool
    owner: str | None
    created_at: datetime
    updated_at: datetime


class NamespaceView(View):
    """A namespace, alone with all that is in it."""

    namespace: str
    visibility: str
    protected: bool
    created_at: str
    updated_at: str
    link: str = field(name="self")
    display_name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    owner: str | UnsetType = UNSET
    schema: str = "/v2/schemas/metadefs/namespace"
    resource_type_associations: list[resource_types.AssociationView] | UnsetType = UNSET
    properties: dict[str, Described] | UnsetType = UNSET
    objects: list[objects.ObjectView] | UnsetType = UNSET
    tags: list[tags.TagName] | UnsetType = UNSET


def _of_visibility(_call: Call[ImageDeps], values: list[str]) -> Condition:
    if values[-1] not in ("public", "private"):
        raise BadRequest(f"Invalid visibility value: {values[-1][:32]}")
    return Namespace.visibility == values[-1]


def _of_kinds(_call: Call[ImageDeps], values: list[str]) -> Condition:
    kinds = values[-1].split(",")
    return Namespace.id.in_(select(Association.namespace_id).where(Association.resource_type.in_(kinds)))


NAMESPACES = Collection(
    name="namespaces",
    model=Namespace,
    reach=access.REACH,
    special={"visibility": _of_visibility, "resource_types": _of_kinds},
    sort_keys={
        "namespace": Namespace.namespace,
        "created_at": Namespace.created_at,
        "updated_at": Namespace.updated_at,
    },
    order=access.NEWEST_FIRST,
    marker=Namespace.namespace,
    pages=access.PAGES,
    links=links.first_and_next_at(ROOT),
    record=NamespaceRow,
)


def index(call: Call[ImageDeps]) -> Listed[NamespaceView]:
    page = NAMESPACES.page(call)
    associations = resource_types.associations_of(call, [row.id for row in page.rows])
    views = [_view(row, associations.get(row.id)) for row in page.rows]
    return NAMESPACES.listed(call, page, views, schema="/v2/schemas/metadefs/namespaces")


def create(call: Call[ImageDeps], body: NewNamespace) -> Reply[NamespaceView]:
    if call.tx.scalar(select(Namespace.id).where(Namespace.namespace == body.namespace)) is not None:
        raise Conflict(f"Metadata definition namespace={body.namespace} already exists.")
    now = clock.utcnow()
    row = Namespace(id=ids.new_uuid(), created_at=now)
    _write(row, body)
    row.owner = body.owner or call.caller.project_id
    call.tx.add(row)
    call.tx.flush()
    for name, definition in all_as_json(body.properties).items():
        properties.add_row(call, row, name, definition)
    for object_ in body.objects:
        objects.add_row(call, row, object_)
    for association in body.resource_type_associations:
        resource_types.add_row(call, row, association)
    tags.add_rows(call, row, list(dict.fromkeys(tag.name for tag in body.tags)))
    call.tx.flush()
    view = _whole(call, row, "")
    return Reply(view, headers={"Location": call.base_url + view.link})


def show(call: Call[ImageDeps], namespace_name: str) -> NamespaceView:
    """With `resource_type` the properties' names come with that type's prefix."""
    namespace = find(call, namespace_name)
    kind = call.param("resource_type")
    return _whole(call, namespace, resource_types.prefix_of(call, namespace, kind) if kind else "")


def update(call: Call[ImageDeps], body: NamespaceChange, namespace_name: str) -> NamespaceView:
    """Replaces what the namespace says of itself; what is in it stays."""
    row = find(call, namespace_name)
    if body.namespace != row.namespace:
        taken = call.tx.scalar(select(Namespace.id).where(Namespace.namespace == body.namespace))
        if taken is not None:
            raise Conflict(f"Metadata definition namespace={body.namespace} already exists.")
    _write(row, body)
    if body.owner:
        row.owner = body.owner
    return _view(row)


def remove(call: Call[ImageDeps], namespace_name: str) -> None:
    row = find_open(call, namespace_name)
    for part in _PARTS:
        call.tx.execute(delete(part).where(part.namespace_id == row.id))
    call.tx.delete(row)


def _write(row: Namespace, body: NamespaceChange) -> None:
    row.namespace, row.display_name, row.description = body.namespace, body.display_name, body.description
    row.visibility, row.protected, row.updated_at = body.visibility, body.protected, clock.utcnow()


def _whole(call: Call[ImageDeps], row: Namespace, prefix: str) -> NamespaceView:
    """What a namespace does not have is not shown."""
    labels = call.tx.scalars(
        select(NamespaceTag.name).where(NamespaceTag.namespace_id == row.id).order_by(NamespaceTag.name)
    )
    view = _view(row, resource_types.associations_of(call, [row.id]).get(row.id))
    view.properties = with_prefix(prefix, properties.definitions_of(call, row)) or UNSET
    view.objects = [objects.view_of(row, part, prefix) for part in objects.rows_of(call, row)] or UNSET
    view.tags = [tags.TagName(name) for name in labels] or UNSET
    return view


def _view(
    row: Namespace | NamespaceRow, associations: list[resource_types.AssociationView] | None = None
) -> NamespaceView:
    return NamespaceView(
        row.namespace,
        row.visibility,
        row.protected,
        clock.iso(row.created_at),
        clock.iso(row.updated_at),
        path_of(row.namespace),
        or_unset(row.display_name),
        or_unset(row.description),
        or_unset(row.owner),
        resource_type_associations=associations or UNSET,
    )


ROUTES = (
    Route(
        "GET",
        ROOT,
        index,
        "get_metadef_namespaces",
        envelope="namespaces",
        query=(*PARAMETERS, *NAMESPACES.parameters()),
    ),
    Route("POST", ROOT, create, "add_metadef_namespace", 201, body=NewNamespace),
    Route("GET", ONE, show, "get_metadef_namespace", query=("resource_type",), target="handler"),
    Route("PUT", ONE, update, "modify_metadef_namespace", body=NamespaceChange, target="handler"),
    Route("DELETE", ONE, remove, "delete_metadef_namespace", 204, target="handler"),
)
