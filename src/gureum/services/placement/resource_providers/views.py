"""Providers as the API shows them. Source: placement API reference, "Resource providers"; history 1.1 to 1.14."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from msgspec import UNSET, Struct, UnsetType

from gureum.foundation.http.microversions import Version
from gureum.services.placement.answers import PREFIX

_RELATIONS = (("self", 0), ("inventories", 0), ("usages", 0), ("aggregates", 1), ("traits", 6), ("allocations", 11))
"""What a provider links to, and since which minor version."""


class Columns(Protocol):
    """A provider's row, or a record with the columns that are shown."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def parent_id(self) -> str | None: ...
    @property
    def root_id(self) -> str: ...


class Link(Struct, gc=False):
    rel: str
    href: str


class ProviderView(Struct, gc=False):
    uuid: str
    name: str
    generation: int
    links: list[Link]
    parent_provider_uuid: str | UnsetType | None = UNSET
    root_provider_uuid: str | UnsetType = UNSET


def provider_view(row: Columns, version: Version) -> ProviderView:
    """Parents and roots are shown since 1.14."""
    href = f"{PREFIX}/resource_providers/{row.id}"
    links = [Link(name, href + suffix) for name, suffix in _links(version)]
    view = ProviderView(row.id, row.name, row.generation, links)
    if version >= (1, 14):
        view.parent_provider_uuid = row.parent_id
        view.root_provider_uuid = row.root_id
    return view


@lru_cache(maxsize=64)
def _links(version: Version) -> list[tuple[str, str]]:
    """The names of the links, and what stands behind the provider's own address."""
    return [(name, "" if name == "self" else f"/{name}") for name, since in _RELATIONS if version >= (1, since)]
