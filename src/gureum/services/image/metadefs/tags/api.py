"""Routes of a namespace's tags. Source: image API reference v2, "Metadata definition tags"."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy import delete, select

from gureum.foundation import clock, ids
from gureum.foundation.errors import BadRequest, Conflict, NotFound
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import PARAMETERS, Collection
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Listed, View
from gureum.services.image.deps import ImageDeps
from gureum.services.image.metadefs import access
from gureum.services.image.metadefs.access import ONE, Name80, find, find_open, rules
from gureum.services.image.metadefs.model import Namespace, NamespaceTag

RULES = rules(
    "tags of a namespace",
    ("get_metadef_tag", "Show"),
    ("get_metadef_tags", "List"),
    ("modify_metadef_tag", "Rename"),
    ("add_metadef_tag", "Add"),
    ("add_metadef_tags", "Set"),
    ("delete_metadef_tag", "Delete"),
    ("delete_metadef_tags", "Delete all"),
)


class TagRow(Struct, frozen=True, gc=False):
    """What a list reads of a tag."""

    id: str
    name: str


_TAGS = Collection(
    name="tags",
    model=NamespaceTag,
    sort_keys={
        "name": NamespaceTag.name,
        "created_at": NamespaceTag.created_at,
        "updated_at": NamespaceTag.updated_at,
    },
    order=access.NEWEST_FIRST,
    marker=NamespaceTag.name,
    pages=access.PAGES,
    record=TagRow,
)


class Tag(Struct, forbid_unknown_fields=True):
    name: Name80


Tags = Annotated[list[Tag], Meta(max_length=1000)]


class TagName(View):
    name: str


class TagView(View):
    name: str
    created_at: str
    updated_at: str


def index(call: Call[ImageDeps], namespace_name: str) -> Listed[TagName]:
    namespace = find(call, namespace_name)
    page = _TAGS.page(call, NamespaceTag.namespace_id == namespace.id)
    return _TAGS.listed(call, page, [TagName(row.name) for row in page.rows])


def set_all(call: Call[ImageDeps], body: Tags, namespace_name: str) -> Listed[TagName]:
    """Replaces the namespace's tags, or adds to them with X-Openstack-Append."""
    namespace = find(call, namespace_name)
    names = list(dict.fromkeys(tag.name for tag in body))
    if len(names) != len(body):
        raise Conflict("A tag is named twice.")
    append = filters.boolean("X-Openstack-Append", call.headers.get("x-openstack-append", "false"))
    if append:
        there = select(NamespaceTag.name).where(NamespaceTag.namespace_id == namespace.id, NamespaceTag.name.in_(names))
        if (known := call.tx.scalar(there)) is not None:
            raise Conflict(f"The tag {known} is there already.")
    else:
        call.tx.execute(delete(NamespaceTag).where(NamespaceTag.namespace_id == namespace.id))
    add_rows(call, namespace, names)
    return Listed([TagName(name) for name in names])


def add_rows(call: Call[ImageDeps], namespace: Namespace, names: list[str]) -> None:
    now = clock.utcnow()
    for name in names:
        call.tx.add(
            NamespaceTag(id=ids.new_uuid(), namespace_id=namespace.id, name=name, created_at=now, updated_at=now)
        )


def remove_all(call: Call[ImageDeps], namespace_name: str) -> None:
    namespace = find_open(call, namespace_name)
    call.tx.execute(delete(NamespaceTag).where(NamespaceTag.namespace_id == namespace.id))


def create(call: Call[ImageDeps], namespace_name: str, tag_name: str) -> TagView:
    namespace = find(call, namespace_name)
    if not 0 < len(tag_name) <= 80:
        raise BadRequest("The name of a tag has 1 to 80 characters.")
    if _row(call, namespace, tag_name) is not None:
        raise Conflict(f"The tag {tag_name} is there already.")
    add_rows(call, namespace, [tag_name])
    call.tx.flush()
    return show(call, namespace_name, tag_name)


def show(call: Call[ImageDeps], namespace_name: str, tag_name: str) -> TagView:
    return _view(_found(call, find(call, namespace_name), tag_name))


def update(call: Call[ImageDeps], body: Tag, namespace_name: str, tag_name: str) -> TagView:
    namespace = find(call, namespace_name)
    row = _found(call, namespace, tag_name)
    if body.name != row.name and _row(call, namespace, body.name) is not None:
        raise Conflict(f"The tag {body.name} is there already.")
    row.name, row.updated_at = body.name, clock.utcnow()
    return _view(row)


def remove(call: Call[ImageDeps], namespace_name: str, tag_name: str) -> None:
    call.tx.delete(_found(call, find_open(call, namespace_name), tag_name))


def _row(call: Call[ImageDeps], namespace: Namespace, name: str) -> NamespaceTag | None:
    where = (NamespaceTag.namespace_id == namespace.id, NamespaceTag.name == name)
    return call.tx.scalar(select(NamespaceTag).where(*where))


def _found(call: Call[ImageDeps], namespace: Namespace, name: str) -> NamespaceTag:
    row = _row(call, namespace, name)
    if row is None:
        raise NotFound(f"The tag {name[:80]} was not found in namespace {namespace.namespace}.")
    return row


def _view(row: NamespaceTag) -> TagView:
    return TagView(row.name, clock.iso(row.created_at), clock.iso(row.updated_at))


_ALL = ONE + "/tags"
_TAG = _ALL + "/{tag_name}"
ROUTES = (
    Route("GET", _ALL, index, "get_metadef_tags", query=PARAMETERS, target="handler", envelope="tags"),
    Route("POST", _ALL, set_all, "add_metadef_tags", 201, body=Tags, target="handler", envelope="tags"),
    Route("DELETE", _ALL, remove_all, "delete_metadef_tags", 204, target="handler"),
    Route("GET", _TAG, show, "get_metadef_tag", target="handler"),
    Route("POST", _TAG, create, "add_metadef_tag", 201, target="handler"),
    Route("PUT", _TAG, update, "modify_metadef_tag", body=Tag, target="handler"),
    Route("DELETE", _TAG, remove, "delete_metadef_tag", 204, target="handler"),
)
