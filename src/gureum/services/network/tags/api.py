"""Routes of tags, under every noun that has them. Source: network API reference, "Tag extension"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, TypeVar

from msgspec import Meta, Struct

from gureum.drivers.network.interface import Kind
from gureum.foundation.errors import NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.network import errors, listing
from gureum.services.network.context import NetworkContext
from gureum.services.network.floating_ips import api as floating_ips
from gureum.services.network.listing import Listing
from gureum.services.network.networks import api as networks
from gureum.services.network.ports import api as ports
from gureum.services.network.routers import api as routers
from gureum.services.network.security_groups import api as security_groups
from gureum.services.network.security_groups import unwritten
from gureum.services.network.standard import Standard, TaggedRow, touch
from gureum.services.network.subnets import api as subnets

MAX_TAGS = 50
MAX_LENGTH = 60
Tag = Annotated[str, Meta(min_length=1, max_length=MAX_LENGTH)]
RULES: tuple[Rule, ...] = ()


class Tags(Struct, forbid_unknown_fields=True):
    tags: Annotated[list[Tag], Meta(max_length=MAX_TAGS)]


class TagsView(View):
    tags: list[str]


Model = TypeVar("Model", bound=Standard)
Record = TypeVar("Record", bound=TaggedRow)
Shown = TypeVar("Shown", bound=View)


def _check(tag: str) -> None:
    if not 1 <= len(tag) <= MAX_LENGTH or "," in tag:
        raise errors.invalid(f"Tag {tag[:MAX_LENGTH]!r} is empty, longer than {MAX_LENGTH} or has a comma")


def _load(call: Call[NetworkContext], place: Listing[Model, Record, Shown], resource_id: str) -> Model:
    if place.single == "security_group":
        unwritten.write(call, resource_id)
    row = listing.load_within_reach(call, place, resource_id)
    call.enforce(project_id=row.project_id, tenant_id=row.project_id, network_project_id=None)
    listing.refuse_other_revision(call, row)
    return row


def _store(
    call: Call[NetworkContext], place: Listing[Model, Record, Shown], row: Model, tags: Iterable[str]
) -> TagsView:
    """Tags are a set, kept in order. The revision rises: a request may be for the one that it saw (`If-Match`)."""
    ordered = sorted(set(tags))
    if len(ordered) > MAX_TAGS:
        raise errors.invalid(f"a resource has at most {MAX_TAGS} tags")
    for tag in ordered:
        _check(tag)
    if ordered != row.tags:
        row.tags = ordered
        touch(call.tx, call.deps.changes, _KINDS[place.single], row)
    return TagsView(ordered)


_KINDS: dict[str, Kind] = {
    "network": "network",
    "subnet": "subnet",
    "port": "port",
    "router": "router",
    "security_group": "security_group",
    "floatingip": "floating_ip",
}
"""What the engine calls each noun."""


def _routes(collection: str, place: Listing[Model, Record, Shown]) -> tuple[Route, ...]:
    """The seven routes of one noun; reading needs the rule to see it, writing the one to change it."""

    def index(call: Call[NetworkContext], resource_id: str) -> TagsView:
        return TagsView(listing.find(call, place, resource_id).tags)

    def confirm(call: Call[NetworkContext], resource_id: str, tag: str) -> None:
        if tag not in listing.find(call, place, resource_id).tags:
            raise NotFound(f"Tag {tag[:MAX_LENGTH]} could not be found.", code="TagNotFound")

    def replace(call: Call[NetworkContext], body: Tags, resource_id: str) -> TagsView:
        return _store(call, place, _load(call, place, resource_id), body.tags)

    def create(call: Call[NetworkContext], body: Tags, resource_id: str) -> TagsView:
        row = _load(call, place, resource_id)
        return _store(call, place, row, [*row.tags, *body.tags])

    def add(call: Call[NetworkContext], resource_id: str, tag: str) -> None:
        row = _load(call, place, resource_id)
        _store(call, place, row, [*row.tags, tag])

    def remove(call: Call[NetworkContext], resource_id: str, tag: str) -> None:
        row = _load(call, place, resource_id)
        if tag not in row.tags:
            raise NotFound(f"Tag {tag[:MAX_LENGTH]} could not be found.", code="TagNotFound")
        _store(call, place, row, [kept for kept in row.tags if kept != tag])

    def clear(call: Call[NetworkContext], resource_id: str) -> None:
        _store(call, place, _load(call, place, resource_id), [])

    at = f"/v2.0/{collection}/{{resource_id}}/tags"
    see, change = f"get_{place.single}", f"update_{place.single}"
    return (
        Route("GET", at, index, see),
        Route("PUT", at, replace, change, body=Tags, target="handler"),
        Route("POST", at, create, change, body=Tags, target="handler"),
        Route("DELETE", at, clear, change, 204, target="handler"),
        Route("GET", at + "/{tag}", confirm, see, 204),
        Route("PUT", at + "/{tag}", add, change, 201, target="handler"),
        Route("DELETE", at + "/{tag}", remove, change, 204, target="handler"),
    )


ROUTES = (
    *_routes("networks", networks.LISTING),
    *_routes("subnets", subnets.LISTING),
    *_routes("ports", ports.LISTING),
    *_routes("routers", routers.LISTING),
    *_routes("security-groups", security_groups.LISTING),
    *_routes("floatingips", floating_ips.LISTING),
)
