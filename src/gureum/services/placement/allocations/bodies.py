"""Request bodies of allocations, closed at each microversion, and what they ask for.

Source: placement API reference, "Manage allocations", "Update allocations".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.foundation.errors import BadRequest
from gureum.foundation.http.versioned import Since, Takes
from gureum.services.placement.allocations.operations import INCOMPLETE, ConsumerWrite
from gureum.services.placement.answers import MOST, ClassName, Uuid, dashed

Amount = Annotated[int, Meta(ge=1, le=MOST)]
Resources = Annotated[dict[ClassName, Amount], Meta(min_length=1)]
Owner = Annotated[str, Meta(min_length=1, max_length=255)]
ConsumerType = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[A-Z0-9_]+\Z")]
Suffix = Annotated[str, Meta(pattern=r"^([a-zA-Z0-9_-]{1,64})?\Z")]
Mappings = Annotated[dict[Suffix, Annotated[list[Uuid], Meta(min_length=1)]], Meta(min_length=1)]
UNKNOWN = "unknown"


class ProviderRef(Struct, forbid_unknown_fields=True):
    uuid: Uuid


class Listed(Struct, forbid_unknown_fields=True):
    resource_provider: ProviderRef
    resources: Resources


class Held(Struct, forbid_unknown_fields=True):
    """`generation` may come back from a GET; it is not looked at."""

    resources: Resources
    generation: int | None = None


Listing = Annotated[list[Listed], Meta(min_length=1)]
ByProvider = dict[Uuid, Held]
SomeByProvider = Annotated[ByProvider, Meta(min_length=1)]
ShownOwner = Annotated[Owner, Since(1, 8), Takes((1, 8), Owner, required=True)]
ConsumerGeneration = Annotated[int, Meta(ge=0, le=MOST)] | None
SeenGeneration = Annotated[
    ConsumerGeneration | UnsetType, Since(1, 28), Takes((1, 28), ConsumerGeneration, required=True)
]
KindOfConsumer = Annotated[ConsumerType | UnsetType, Since(1, 38), Takes((1, 38), ConsumerType, required=True)]


class NewAllocations(Struct, forbid_unknown_fields=True, kw_only=True):
    """What one consumer is to hold. Before 1.12 a list of providers; since 1.28 nothing takes everything from it.

    `mappings` repeat what the candidates said; nothing depends on them here.
    """

    allocations: Annotated[
        ByProvider | list[Listed], Takes((1, 0), Listing), Takes((1, 12), SomeByProvider), Takes((1, 28), ByProvider)
    ]
    project_id: ShownOwner = INCOMPLETE
    user_id: ShownOwner = INCOMPLETE
    consumer_generation: SeenGeneration = UNSET
    mappings: Annotated[Mappings | None, Since(1, 34)] = None
    consumer_type: KindOfConsumer = UNSET


class AllocationsOfOne(Struct, forbid_unknown_fields=True, kw_only=True):
    """What one consumer of several is to hold. Nothing takes everything from it."""

    allocations: ByProvider
    project_id: Owner
    user_id: Owner
    consumer_generation: SeenGeneration = UNSET
    mappings: Annotated[Mappings | None, Since(1, 34)] = None
    consumer_type: KindOfConsumer = UNSET


def write_of(consumer_id: str, body: NewAllocations | AllocationsOfOne) -> ConsumerWrite:
    """What a body asks of one consumer. Raises BadRequest."""
    return ConsumerWrite(
        consumer_id=dashed(consumer_id),
        amounts=_amounts(body.allocations),
        project_id=body.project_id,
        user_id=body.user_id,
        generation=body.consumer_generation,
        type=None if body.consumer_type == UNKNOWN else body.consumer_type,
    )


def _amounts(allocations: list[Listed] | Mapping[str, Held]) -> dict[str, dict[str, int]]:
    """provider -> class -> amount. Raises BadRequest."""
    if isinstance(allocations, Mapping):
        return {dashed(uuid): dict(held.resources) for uuid, held in allocations.items()}
    amounts: dict[str, dict[str, int]] = {}
    for entry in allocations:
        uuid = dashed(entry.resource_provider.uuid)
        if uuid in amounts:
            raise BadRequest(f"JSON does not validate: resource provider {uuid} is named twice.")
        amounts[uuid] = dict(entry.resources)
    return amounts
