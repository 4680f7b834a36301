"""Request bodies of allocations, closed at each microversion, and what they ask for.

Source: placement API reference, "Manage allocations", "Update allocations".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct

from gureum.foundation.errors import BadRequest
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


class PutV10(Struct, forbid_unknown_fields=True, kw_only=True):
    allocations: Annotated[list[Listed], Meta(min_length=1)]


class PutV18(PutV10, forbid_unknown_fields=True, kw_only=True):
    project_id: Owner
    user_id: Owner


class Held(Struct, forbid_unknown_fields=True):
    """`generation` may come back from a GET; it is not looked at."""

    resources: Resources
    generation: int | None = None


class PutV112(Struct, forbid_unknown_fields=True, kw_only=True):
    allocations: Annotated[dict[Uuid, Held], Meta(min_length=1)]
    project_id: Owner
    user_id: Owner


class OneV113(Struct, forbid_unknown_fields=True, kw_only=True):
    """One consumer of a POST; an empty object takes everything from it."""

    allocations: dict[Uuid, Held]
    project_id: Owner
    user_id: Owner


class OneV128(OneV113, forbid_unknown_fields=True, kw_only=True):
    consumer_generation: Annotated[int, Meta(ge=0, le=MOST)] | None


class OneV134(OneV128, forbid_unknown_fields=True, kw_only=True):
    """`mappings` repeat what the candidates said; nothing depends on them here."""

    mappings: Mappings | None = None


class OneV138(OneV134, forbid_unknown_fields=True, kw_only=True):
    consumer_type: ConsumerType


PUT = {(1, 0): PutV10, (1, 8): PutV18, (1, 12): PutV112, (1, 28): OneV128, (1, 34): OneV134, (1, 38): OneV138}
POST = {
    (1, 13): dict[Uuid, OneV113],
    (1, 28): dict[Uuid, OneV128],
    (1, 34): dict[Uuid, OneV134],
    (1, 38): dict[Uuid, OneV138],
}


def write_of(consumer_id: str, body: Any) -> ConsumerWrite:
    """What any of the bodies asks of one consumer. Raises BadRequest."""
    kind = getattr(body, "consumer_type", UNSET)
    return ConsumerWrite(
        consumer_id=dashed(consumer_id),
        amounts=_amounts(body.allocations),
        project_id=getattr(body, "project_id", INCOMPLETE),
        user_id=getattr(body, "user_id", INCOMPLETE),
        generation=getattr(body, "consumer_generation", UNSET),
        type=None if kind == UNKNOWN else kind,
    )


def _amounts(given: list[Listed] | Mapping[str, Held]) -> dict[str, dict[str, int]]:
    if isinstance(given, Mapping):
        return {dashed(uuid): dict(held.resources) for uuid, held in given.items()}
    found: dict[str, dict[str, int]] = {}
    for entry in given:
        uuid = dashed(entry.resource_provider.uuid)
        if uuid in found:
            raise BadRequest(f"JSON does not validate: resource provider {uuid} is named twice.")
        found[uuid] = dict(entry.resources)
    return found
