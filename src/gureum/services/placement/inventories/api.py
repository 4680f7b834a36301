"""Routes of inventories. Source: placement API reference, "Resource provider inventories"."""

from __future__ import annotations

from msgspec import Struct

from gureum.foundation.errors import BadRequest, Conflict, MethodNotAllowed, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.placement.answers import ADMIN, ClassName, Generation, find_provider, fresh, grow
from gureum.services.placement.inventories import operations
from gureum.services.placement.inventories.operations import GivenStock, InventoryOfProvider, InventoryView, Stock
from gureum.services.placement.model import Provider

_P = "placement:resource_providers:inventories:"

RULES = (
    Rule(_P + "list", ADMIN, "List the inventories of a provider"),
    Rule(_P + "create", ADMIN, "Add an inventory to a provider"),
    Rule(_P + "show", ADMIN, "Show an inventory of a provider"),
    Rule(_P + "update", ADMIN, "Change the inventories of a provider"),
    Rule(_P + "delete", ADMIN, "Remove inventories of a provider"),
)


class NewInventory(Stock, forbid_unknown_fields=True, kw_only=True):
    resource_class: ClassName
    resource_provider_generation: Generation | None = None


class Inventories(Struct, forbid_unknown_fields=True):
    inventories: dict[ClassName, Stock]
    resource_provider_generation: Generation


class InventoriesView(View):
    inventories: dict[str, InventoryView]
    resource_provider_generation: int


def index(call: Call[None], uuid: str) -> Reply[InventoriesView]:
    return _all(call, find_provider(call.tx, uuid))


def replace(call: Call[None], body: Inventories, uuid: str) -> Reply[InventoriesView]:
    provider = find_provider(call.tx, uuid)
    grow(call.tx, provider, body.resource_provider_generation)
    operations.check(call.tx, provider, body.inventories, call.version)
    operations.drop(call.tx, provider, operations.held(call.tx, provider).keys() - body.inventories.keys())
    operations.put(call.tx, provider, body.inventories)
    return _all(call, provider)


def clear(call: Call[None], uuid: str) -> None:
    """Since 1.5."""
    if not call.at_least(1, 5):
        raise MethodNotAllowed(headers={"Allow": "GET, POST, PUT"})
    provider = find_provider(call.tx, uuid)
    grow(call.tx, provider)
    operations.drop(call.tx, provider, operations.held(call.tx, provider).keys())


def create(call: Call[None], body: NewInventory, uuid: str) -> Reply[InventoryOfProvider]:
    provider = find_provider(call.tx, uuid)
    grow(call.tx, provider, body.resource_provider_generation)
    operations.check(call.tx, provider, {body.resource_class: body}, call.version)
    if body.resource_class in operations.held(call.tx, provider):
        raise Conflict(f"Update conflict: {provider.id} has an inventory of {body.resource_class}.")
    operations.put(call.tx, provider, {body.resource_class: body})
    location = f"{call.base_url}/resource_providers/{provider.id}/inventories/{body.resource_class}"
    return _one(call, provider, body.resource_class, status=201, location=location)


def show(call: Call[None], uuid: str, resource_class: str) -> Reply[InventoryOfProvider]:
    provider = find_provider(call.tx, uuid)
    return _one(call, provider, resource_class)


def change(call: Call[None], body: GivenStock, uuid: str, resource_class: str) -> Reply[InventoryOfProvider]:
    provider = find_provider(call.tx, uuid)
    grow(call.tx, provider, body.resource_provider_generation)
    operations.check(call.tx, provider, {resource_class: body}, call.version)
    if resource_class not in operations.held(call.tx, provider):
        raise BadRequest(f"No inventory record for {resource_class} on resource provider {provider.id}.")
    operations.put(call.tx, provider, {resource_class: body})
    return _one(call, provider, resource_class)


def remove(call: Call[None], uuid: str, resource_class: str) -> None:
    provider = find_provider(call.tx, uuid)
    if resource_class not in operations.held(call.tx, provider):
        raise NotFound(f"No inventory of class {resource_class[:64]} found for delete.")
    grow(call.tx, provider)
    operations.drop(call.tx, provider, {resource_class})


def _all(call: Call[None], provider: Provider) -> Reply[InventoriesView]:
    rows = operations.held(call.tx, provider)
    inventories = {resource_class: operations.view_of(row) for resource_class, row in rows.items()}
    return fresh(call, InventoriesView(inventories, provider.generation), (provider.updated_at,))


def _one(
    call: Call[None], provider: Provider, resource_class: str, status: int | None = None, location: str = ""
) -> Reply[InventoryOfProvider]:
    row = operations.held(call.tx, provider).get(resource_class)
    if row is None:
        raise NotFound(f"No inventory of class {resource_class[:64]} for {provider.id}")
    view = operations.view_of_provider(row, provider)
    return fresh(call, view, (provider.updated_at,), status=status, location=location)


_ALL = "/resource_providers/{uuid}/inventories"
_ONE = _ALL + "/{resource_class}"
ROUTES = (
    Route("GET", _ALL, index, _P + "list"),
    Route("POST", _ALL, create, _P + "create", 201, body=NewInventory),
    Route("PUT", _ALL, replace, _P + "update", body=Inventories),
    Route("DELETE", _ALL, clear, _P + "delete", 204),
    Route("GET", _ONE, show, _P + "show"),
    Route("PUT", _ONE, change, _P + "update", body=GivenStock),
    Route("DELETE", _ONE, remove, _P + "delete", 204),
)
