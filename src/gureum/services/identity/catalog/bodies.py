"""Bodies of regions, services and endpoints: they take properties of the client's own beside their fields.

One for a creation and for changes. The handler checks what a creation requires.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.services.identity.fields import Description

Text255 = Annotated[str, Meta(max_length=255)]
Interface = Literal["public", "internal", "admin"]
Url = Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"^[a-zA-Z0-9+.-]+:.+")]


class RegionFields(Struct):
    id: Text255 | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    parent_region_id: Text255 | None | UnsetType = UNSET


class ServiceFields(Struct):
    type: Annotated[str, Meta(min_length=1, max_length=255)] | UnsetType = UNSET
    name: Text255 | None | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class EndpointFields(Struct):
    """`region` is the elder name of `region_id`; a region that it names is made."""

    service_id: Text255 | UnsetType = UNSET
    interface: Interface | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    region_id: Text255 | None | UnsetType = UNSET
    region: Text255 | None | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    name: Text255 | None | UnsetType = UNSET
