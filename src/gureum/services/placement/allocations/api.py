"""Routes of allocations. Source: placement API reference, "Allocations", "Resource provider allocations"."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.http.versioned import Since
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.placement.allocations import bodies, operations
from gureum.services.placement.answers import ADMIN, Uuid, find_provider, fresh
from gureum.services.placement.model import Allocation, Consumer, Provider

_P = "placement:allocations:"
_OF = "placement:resource_providers:allocations:list"

RULES = (
    Rule(_P + "manage", ADMIN, "Change what several consumers hold"),
    Rule(_P + "list", ADMIN, "List what a consumer holds"),
    Rule(_P + "update", ADMIN, "Change what a consumer holds"),
    Rule(_P + "delete", ADMIN, "Take everything from a consumer"),
    Rule(_OF, ADMIN, "List what is held of a provider"),
)


class HeldOfProvider(View):
    generation: int
    resources: dict[str, int]


class ConsumerView(View):
    """What a consumer holds by provider; its project, user and type only if it holds something."""

    allocations: dict[str, HeldOfProvider]
    project_id: Annotated[str | UnsetType, Since(1, 12)] = UNSET
    user_id: Annotated[str | UnsetType, Since(1, 12)] = UNSET
    consumer_generation: Annotated[int | UnsetType, Since(1, 28)] = UNSET
    consumer_type: Annotated[str | UnsetType, Since(1, 38)] = UNSET


class HeldByConsumer(View):
    resources: dict[str, int]
    consumer_generation: Annotated[int, Since(1, 28)]


class ProviderAllocations(View):
    """What is held of a provider by consumer."""

    allocations: dict[str, HeldByConsumer]
    resource_provider_generation: int


def show(call: Call[None], consumer_id: str) -> Reply[ConsumerView]:
    statement = (
        select(Allocation.provider_id, Provider.generation, Allocation.resource_class, Allocation.used)
        .join(Provider, Provider.id == Allocation.provider_id)
        .where(Allocation.consumer_id == consumer_id)
        .order_by(Allocation.provider_id, Allocation.resource_class)
    )
    held: dict[str, HeldOfProvider] = {}
    for provider_id, generation, name, amount in call.tx.execute(statement):
        held.setdefault(provider_id, HeldOfProvider(generation, {})).resources[name] = amount
    consumer = call.tx.get(Consumer, consumer_id) if held else None
    if consumer is None:
        return fresh(call, ConsumerView(held))
    kind = consumer.type or bodies.UNKNOWN
    return fresh(call, ConsumerView(held, consumer.project_id, consumer.user_id, consumer.generation, kind))


def update(call: Call[None], body: bodies.NewAllocations, consumer_id: str) -> None:
    if not ids.is_uuid(consumer_id):
        raise BadRequest(f"Malformed consumer uuid: {consumer_id[:64]}")
    operations.replace(call.tx, [bodies.write_of(consumer_id, body)])


def manage(call: Call[None], body: dict[Uuid, bodies.AllocationsOfOne]) -> None:
    if not body:
        raise BadRequest("JSON does not validate: the body must name at least one consumer.")
    operations.replace(call.tx, [bodies.write_of(consumer_id, new) for consumer_id, new in body.items()])


def remove(call: Call[None], consumer_id: str) -> None:
    operations.remove(call.tx, consumer_id)


def list_of(call: Call[None], uuid: str) -> Reply[ProviderAllocations]:
    provider = find_provider(call.tx, uuid)
    statement = (
        select(Allocation.consumer_id, Consumer.generation, Allocation.resource_class, Allocation.used)
        .join(Consumer, Consumer.id == Allocation.consumer_id)
        .where(Allocation.provider_id == provider.id)
        .order_by(Allocation.consumer_id, Allocation.resource_class)
    )
    held: dict[str, HeldByConsumer] = {}
    for consumer_id, generation, name, amount in call.tx.execute(statement):
        held.setdefault(consumer_id, HeldByConsumer({}, generation)).resources[name] = amount
    return fresh(call, ProviderAllocations(held, provider.generation), (provider.updated_at,))


_ALL = "/allocations"
_ONE = _ALL + "/{consumer_id}"
ROUTES = (
    Route("POST", _ALL, manage, _P + "manage", 204, body=dict[Uuid, bodies.AllocationsOfOne], since=(1, 13)),
    Route("GET", _ONE, show, _P + "list"),
    Route("PUT", _ONE, update, _P + "update", 204, body=bodies.NewAllocations),
    Route("DELETE", _ONE, remove, _P + "delete", 204),
    Route("GET", "/resource_providers/{uuid}/allocations", list_of, _OF),
)
