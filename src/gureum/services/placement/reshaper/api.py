"""POST /reshaper: inventories and the allocations of them moved between providers in one step.

Source: placement API reference, "Reshaper". All of it happens in one transaction: what is held is given back, the
inventories change, and everything is taken again, so that `used` is right at the end or nothing happened.
"""

from __future__ import annotations

from msgspec import Struct

from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.services.placement.allocations.bodies import AllocationsOfOne, write_of
from gureum.services.placement.allocations.operations import replace
from gureum.services.placement.answers import PROVIDER_NOT_FOUND, ClassName, Generation, Uuid, dashed, grow
from gureum.services.placement.inventories import operations as inventories
from gureum.services.placement.inventories.operations import Stock
from gureum.services.placement.model import Provider

_RULE = "placement:reshaper:reshape"

RULES = (Rule(_RULE, "role:service", "Move inventories and allocations between providers"),)


class Shape(Struct, forbid_unknown_fields=True):
    inventories: dict[ClassName, Stock]
    resource_provider_generation: Generation


class Reshape(Struct, forbid_unknown_fields=True):
    inventories: dict[Uuid, Shape]
    allocations: dict[Uuid, AllocationsOfOne]


def reshape(call: Call[None], body: Reshape) -> None:
    if not body.inventories:
        raise BadRequest("JSON does not validate: inventories must name at least one resource provider.")
    shapes: list[tuple[Provider, Shape]] = []
    for uuid, shape in body.inventories.items():
        provider = call.tx.get(Provider, dashed(uuid))
        if provider is None:
            raise BadRequest(f"Resource provider {uuid} in inventories not found.", code=PROVIDER_NOT_FOUND)
        grow(call.tx, provider, shape.resource_provider_generation)
        inventories.check(call.tx, provider, shape.inventories, call.version)
        shapes.append((provider, shape))
    for provider, shape in shapes:
        inventories.put(call.tx, provider, shape.inventories)
    replace(call.tx, [write_of(consumer_id, new) for consumer_id, new in body.allocations.items()])
    for provider, shape in shapes:
        inventories.drop(call.tx, provider, inventories.held(call.tx, provider).keys() - shape.inventories.keys())
        call.tx.refresh(provider)
        grow(call.tx, provider)


ROUTES = (Route("POST", "/reshaper", reshape, _RULE, 204, body=Reshape, since=(1, 30)),)
