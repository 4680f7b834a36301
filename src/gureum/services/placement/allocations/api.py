"""Routes of allocations. Source: placement API reference, "Allocations", "Resource provider allocations"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.policy import Rule
from gureum.services.placement.allocations import bodies, operations
from gureum.services.placement.answers import ADMIN, find_provider, fresh
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


def show(call: Call[Any], consumer_id: str) -> Reply[Any]:
    statement = (
        select(Allocation.provider_id, Provider.generation, Allocation.resource_class, Allocation.used)
        .join(Provider, Provider.id == Allocation.provider_id)
        .where(Allocation.consumer_id == consumer_id)
        .order_by(Allocation.provider_id, Allocation.resource_class)
    )
    held: dict[str, dict[str, Any]] = {}
    for provider_id, generation, name, amount in call.tx.execute(statement):
        held.setdefault(provider_id, {"generation": generation, "resources": {}})["resources"][name] = amount
    view: dict[str, Any] = {"allocations": held}
    consumer = call.tx.get(Consumer, consumer_id) if held and call.at_least(1, 12) else None
    if consumer is not None:
        view |= {"project_id": consumer.project_id, "user_id": consumer.user_id}
        if call.at_least(1, 28):
            view["consumer_generation"] = consumer.generation
        if call.at_least(1, 38):
            view["consumer_type"] = consumer.type or bodies.UNKNOWN
    return fresh(call, view)


def update(call: Call[Any], body: Any, consumer_id: str) -> None:
    if not ids.is_uuid(consumer_id):
        raise BadRequest(f"Malformed consumer uuid: {consumer_id[:64]}")
    operations.replace(call.tx, [bodies.write_of(consumer_id, body)])


def manage(call: Call[Any], body: dict[str, Any]) -> None:
    if not body:
        raise BadRequest("JSON does not validate: the body must name at least one consumer.")
    operations.replace(call.tx, [bodies.write_of(consumer_id, one) for consumer_id, one in body.items()])


def remove(call: Call[Any], consumer_id: str) -> None:
    operations.remove(call.tx, consumer_id)


def list_of(call: Call[Any], uuid: str) -> Reply[Any]:
    provider = find_provider(call.tx, uuid)
    statement = (
        select(Allocation.consumer_id, Consumer.generation, Allocation.resource_class, Allocation.used)
        .join(Consumer, Consumer.id == Allocation.consumer_id)
        .where(Allocation.provider_id == provider.id)
        .order_by(Allocation.consumer_id, Allocation.resource_class)
    )
    held = _by_consumer(call, call.tx.execute(statement).all())
    view = {"allocations": held, "resource_provider_generation": provider.generation}
    return fresh(call, view, (provider.updated_at,))


def _by_consumer(call: Call[Any], rows: Sequence[Any]) -> dict[str, dict[str, Any]]:
    held: dict[str, dict[str, Any]] = {}
    for consumer_id, generation, name, amount in rows:
        entry = held.setdefault(consumer_id, {"resources": {}})
        entry["resources"][name] = amount
        if call.at_least(1, 28):
            entry["consumer_generation"] = generation
    return held


_ALL = "/allocations"
_ONE = _ALL + "/{consumer_id}"
ROUTES = (
    Route("POST", _ALL, manage, _P + "manage", 204, body=bodies.POST, since=(1, 13)),
    Route("GET", _ONE, show, _P + "list"),
    Route("PUT", _ONE, update, _P + "update", 204, body=bodies.PUT),
    Route("DELETE", _ONE, remove, _P + "delete", 204),
    Route("GET", "/resource_providers/{uuid}/allocations", list_of, _OF),
)
