"""Routes of resource classes. Source: placement API reference, "Resource classes"."""

from __future__ import annotations

import re

from msgspec import Struct
from sqlalchemy import select

from gureum.foundation.errors import BadRequest, Conflict, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.views import Link, View
from gureum.foundation.policy import Rule
from gureum.services.placement import names
from gureum.services.placement.answers import ADMIN, PREFIX, CustomName, fresh
from gureum.services.placement.model import CustomClass, ProviderInventory

_P = "placement:resource_classes:"
_CUSTOM = re.compile(r"CUSTOM_[A-Z0-9_]{1,248}")

RULES = (
    Rule(_P + "list", ADMIN, "List resource classes"),
    Rule(_P + "create", ADMIN, "Create a resource class"),
    Rule(_P + "show", ADMIN, "Show a resource class"),
    Rule(_P + "update", ADMIN, "Create or rename a resource class"),
    Rule(_P + "delete", ADMIN, "Delete a resource class"),
)


class Named(Struct, forbid_unknown_fields=True):
    name: CustomName


class ClassView(View):
    name: str
    links: list[Link]


def index(call: Call[None]) -> Reply[list[ClassView]]:
    return fresh(call, [_view(name) for name in names.classes(call.tx)])


def create(call: Call[None], body: Named) -> Reply[None]:
    if call.tx.get(CustomClass, body.name) is not None:
        raise Conflict(f"Conflicting resource class already exists: {body.name}")
    call.tx.add(CustomClass(name=body.name))
    return Reply(None, 201, {"Location": _location(call, body.name)})


def show(call: Call[None], name: str) -> Reply[ClassView]:
    if names.unknown_classes(call.tx, [name]):
        raise _missing(name)
    return fresh(call, _view(name))


def ensure(call: Call[None], name: str) -> Reply[None]:
    """Since 1.7: make sure that the class exists."""
    if not _CUSTOM.fullmatch(name):
        raise BadRequest(f"JSON does not validate: {name[:255]!r} does not match '^CUSTOM_[A-Z0-9_]+$'")
    if call.tx.get(CustomClass, name) is not None:
        return Reply(None, 204, {"Location": _location(call, name)})
    call.tx.add(CustomClass(name=name))
    return Reply(None, 201, {"Location": _location(call, name)})


def rename(call: Call[None], body: Named, name: str) -> Reply[ClassView]:
    """Until 1.6; not while inventories are of it, which hold its name."""
    row = _own(call, name, "update")
    if call.tx.get(CustomClass, body.name) is not None:
        raise Conflict(f"Resource class already exists: {body.name}")
    _check_unused(call, name)
    call.tx.delete(row)
    call.tx.add(CustomClass(name=body.name))
    return fresh(call, _view(body.name))


def remove(call: Call[None], name: str) -> None:
    row = _own(call, name, "delete")
    _check_unused(call, name)
    call.tx.delete(row)


def _own(call: Call[None], name: str, verb: str) -> CustomClass:
    if name in names.STANDARD_CLASSES:
        raise BadRequest(f"Cannot {verb} standard resource class {name}")
    row = call.tx.get(CustomClass, name)
    if row is None:
        raise _missing(name)
    return row


def _check_unused(call: Call[None], name: str) -> None:
    used = select(ProviderInventory.provider_id).where(ProviderInventory.resource_class == name).limit(1)
    if call.tx.scalar(used) is not None:
        raise Conflict(f"Cannot delete resource class {name}. Class is in use in inventory.")


def _missing(name: str) -> NotFound:
    return NotFound(f"No such resource class {name[:255]}.")


def _location(call: Call[None], name: str) -> str:
    return f"{call.base_url}/resource_classes/{name}"


def _view(name: str) -> ClassView:
    return ClassView(name, [Link("self", f"{PREFIX}/resource_classes/{name}")])


_ALL = "/resource_classes"
_ONE = _ALL + "/{name}"
_SINCE = (1, 2)
ROUTES = (
    Route("GET", _ALL, index, _P + "list", envelope="resource_classes", since=_SINCE),
    Route("POST", _ALL, create, _P + "create", 201, body=Named, since=_SINCE),
    Route("GET", _ONE, show, _P + "show", since=_SINCE),
    Route("PUT", _ONE, rename, _P + "update", body=Named, since=_SINCE, until=(1, 6)),
    Route("PUT", _ONE, ensure, _P + "update", 201, since=(1, 7)),
    Route("DELETE", _ONE, remove, _P + "delete", 204, since=_SINCE),
)
