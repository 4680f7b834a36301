"""What clients are shown of regions, services and endpoints, beside the properties that clients chose."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from gureum.foundation.http.call import Call
from gureum.foundation.http.views import Extended, JsonValue, View
from gureum.services.identity.catalog.model import Endpoint, Region, Service
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.listing import SelfLink, self_link


class RegionRow(Struct, frozen=True, gc=False):
    """What lists read of a region."""

    id: str
    description: str
    parent_region_id: str | None
    extra: dict[str, JsonValue]


class RegionView(View):
    id: str
    description: str
    parent_region_id: str | None
    links: SelfLink


def region_view(call: Call[IdentityDeps], row: Region | RegionRow) -> Extended[RegionView]:
    """A region as lists and its own page show it."""
    links = self_link(call, "regions", row.id)
    return Extended(RegionView(row.id, row.description, row.parent_region_id, links), row.extra)


class ServiceRow(Struct, frozen=True, gc=False):
    """What lists read of a service."""

    id: str
    type: str
    name: str | None
    description: str | None
    enabled: bool
    extra: dict[str, JsonValue]


class ServiceView(View):
    id: str
    type: str
    enabled: bool
    links: SelfLink
    name: str
    description: str | UnsetType = UNSET


def service_view(call: Call[IdentityDeps], row: Service | ServiceRow) -> Extended[ServiceView]:
    """A service as lists and its own page show it."""
    description = UNSET if row.description is None else row.description
    links = self_link(call, "services", row.id)
    return Extended(ServiceView(row.id, row.type, row.enabled, links, row.name or "", description), row.extra)


class EndpointRow(Struct, frozen=True, gc=False):
    """What lists read of an endpoint."""

    id: str
    service_id: str
    interface: str
    url: str
    region_id: str | None
    enabled: bool
    name: str | None
    extra: dict[str, JsonValue]


class EndpointView(View):
    id: str
    service_id: str
    interface: str
    url: str
    region_id: str | None
    region: str | None
    enabled: bool
    links: SelfLink
    name: str | UnsetType = UNSET


def endpoint_view(call: Call[IdentityDeps], row: Endpoint | EndpointRow) -> Extended[EndpointView]:
    """An endpoint as lists and its own page show it."""
    view = EndpointView(
        row.id,
        row.service_id,
        row.interface,
        row.url,
        row.region_id,
        row.region_id,
        row.enabled,
        self_link(call, "endpoints", row.id),
        UNSET if row.name is None else row.name,
    )
    return Extended(view, row.extra)
