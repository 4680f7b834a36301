"""Providers as the API shows them. Source: placement API reference, "Resource providers"; history 1.1 to 1.14."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Annotated

from msgspec import Struct

from gureum.foundation.http.microversions import Version
from gureum.foundation.http.versioned import Since
from gureum.foundation.http.views import Link, View
from gureum.services.placement.answers import PREFIX
from gureum.services.placement.model import Provider

_RELATIONS = (("self", 0), ("inventories", 0), ("usages", 0), ("aggregates", 1), ("traits", 6), ("allocations", 11))
"""What a provider links to, and since which minor version."""


class ProviderRow(Struct, frozen=True, gc=False):
    """What a list reads of a provider."""

    id: str
    name: str
    generation: int
    parent_id: str | None
    root_id: str
    updated_at: datetime


class ProviderView(View):
    uuid: str
    name: str
    generation: int
    links: list[Link]
    parent_provider_uuid: Annotated[str | None, Since(1, 14)]
    root_provider_uuid: Annotated[str, Since(1, 14)]


def provider_view(row: ProviderRow | Provider, version: Version) -> ProviderView:
    href = f"{PREFIX}/resource_providers/{row.id}"
    links = [Link(name, href + suffix) for name, suffix in _links(version)]
    return ProviderView(row.id, row.name, row.generation, links, row.parent_id, row.root_id)


@lru_cache(maxsize=64)
def _links(version: Version) -> list[tuple[str, str]]:
    """The names of the links, and what stands behind the provider's own address."""
    return [(name, "" if name == "self" else f"/{name}") for name, since in _RELATIONS if version >= (1, since)]
