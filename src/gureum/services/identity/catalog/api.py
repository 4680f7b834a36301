"""Routes of regions, services and endpoints.

Source: identity API reference, "Service catalog and endpoints", "Regions".
"""

from __future__ import annotations

from msgspec import UNSET, Struct
from sqlalchemy import delete as delete_from
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.db.types import Row
from gureum.foundation.errors import BadRequest, Conflict, Forbidden
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Extended, Listed
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity.catalog.bodies import EndpointFields, RegionFields, ServiceFields
from gureum.services.identity.catalog.model import Endpoint, Region, Service
from gureum.services.identity.catalog.urls import names_of
from gureum.services.identity.catalog.views import (
    EndpointRow,
    EndpointView,
    RegionRow,
    RegionView,
    ServiceRow,
    ServiceView,
    endpoint_view,
    region_view,
    service_view,
)
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.endpoint_policies.model import PolicyAssociation
from gureum.services.identity.fields import ADMIN, ADMIN_OR_SYSTEM_READER, CLOUD, extra_of
from gureum.services.identity.finding import existing_row
from gureum.services.identity.listing import declared, index, query
from gureum.services.identity.tokens import revocations

_SAME = "regions are the same for everybody"
RULES = (
    Rule("identity:get_region", "@", "Show a region", EVERY_SCOPE, _SAME),
    Rule("identity:list_regions", "@", "List regions", EVERY_SCOPE, _SAME),
    *(
        Rule(f"identity:{verb}_{noun}", ADMIN_OR_SYSTEM_READER, scopes=CLOUD)
        for verb, noun in (("get", "service"), ("list", "services"), ("get", "endpoint"), ("list", "endpoints"))
    ),
    *(
        Rule(f"identity:{verb}_{noun}", ADMIN, scopes=CLOUD)
        for noun in ("region", "service", "endpoint")
        for verb in ("create", "update", "delete")
    ),
)


def _stale(call: Call[IdentityDeps], id_: str) -> None:
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_ALL, id_)


def _assign(row: Row, fields: Struct, names: tuple[str, ...]) -> None:
    for name in names:
        if (value := getattr(fields, name)) is not UNSET:
            setattr(row, name, value)


# -- regions ---------------------------------------------------------------------------------------------


def create_region(call: Call[IdentityDeps], body: Extended[RegionFields]) -> Extended[RegionView]:
    return _create_region(call, body, body.fields.id or ids.new_hex())


def put_region(call: Call[IdentityDeps], body: Extended[RegionFields], region_id: str) -> Extended[RegionView]:
    if body.fields.id and body.fields.id != region_id:
        raise BadRequest("The region id of the body differs from that of the URL.")
    return _create_region(call, body, region_id)


def _create_region(call: Call[IdentityDeps], body: Extended[RegionFields], region_id: str) -> Extended[RegionView]:
    row = Region(id=region_id, extra=extra_of(body.extra))
    if call.tx.get(Region, row.id) is not None:
        raise Conflict(f"Conflict occurred attempting to store region - Duplicate entry found with id {row.id}.")
    _set_region(call, row, body.fields)
    call.tx.add(row)
    call.tx.flush()
    return region_view(call, row)


def _set_region(call: Call[IdentityDeps], row: Region, fields: RegionFields) -> None:
    if fields.description is not UNSET:
        row.description = fields.description or ""
    if fields.parent_region_id is not UNSET:
        if fields.parent_region_id is not None:
            existing_row(call.tx, Region, "region", fields.parent_region_id)
        row.parent_region_id = fields.parent_region_id


_REGIONS = declared("regions", Region, {"parent_region_id": Region.parent_region_id}, RegionRow)


def list_regions(call: Call[IdentityDeps]) -> Listed[Extended[RegionView]]:
    return index(call, _REGIONS, region_view)


def show_region(call: Call[IdentityDeps], region_id: str) -> Extended[RegionView]:
    return region_view(call, existing_row(call.tx, Region, "region", region_id))


def update_region(call: Call[IdentityDeps], body: Extended[RegionFields], region_id: str) -> Extended[RegionView]:
    row = existing_row(call.tx, Region, "region", region_id)
    _set_region(call, row, body.fields)
    row.extra = extra_of(body.extra, present=row.extra)
    return region_view(call, row)


def delete_region(call: Call[IdentityDeps], region_id: str) -> None:
    row = existing_row(call.tx, Region, "region", region_id)
    if call.tx.scalar(select(Endpoint.id).where(Endpoint.region_id == row.id).limit(1)):
        raise Forbidden(f"Unable to delete region {row.id}: it has endpoints.")
    if call.tx.scalar(select(Region.id).where(Region.parent_region_id == row.id).limit(1)):
        raise Conflict(f"Unable to delete region {row.id}: it has child regions.")
    call.tx.execute(delete_from(PolicyAssociation).where(PolicyAssociation.region_id == row.id))
    call.tx.delete(row)


# -- services --------------------------------------------------------------------------------------------


def create_service(call: Call[IdentityDeps], body: Extended[ServiceFields]) -> Extended[ServiceView]:
    fields = body.fields
    if fields.type is UNSET:
        raise BadRequest("Invalid input: 'type' is a required property of service.")
    row = Service(id=ids.new_hex(), enabled=True, extra=extra_of(body.extra))
    _assign(row, fields, ("type", "name", "description", "enabled"))
    call.tx.add(row)
    _stale(call, row.id)
    return service_view(call, row)


_SERVICES = declared("services", Service, {"type": Service.type, "name": Service.name}, ServiceRow)


def list_services(call: Call[IdentityDeps]) -> Listed[Extended[ServiceView]]:
    return index(call, _SERVICES, service_view)


def show_service(call: Call[IdentityDeps], service_id: str) -> Extended[ServiceView]:
    return service_view(call, existing_row(call.tx, Service, "service", service_id))


def update_service(call: Call[IdentityDeps], body: Extended[ServiceFields], service_id: str) -> Extended[ServiceView]:
    row = existing_row(call.tx, Service, "service", service_id)
    _assign(row, body.fields, ("type", "name", "description", "enabled"))
    row.extra = extra_of(body.extra, present=row.extra)
    _stale(call, row.id)
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_LIMITS, "")
    return service_view(call, row)


def delete_service(call: Call[IdentityDeps], service_id: str) -> None:
    row = existing_row(call.tx, Service, "service", service_id)
    call.tx.execute(delete_from(PolicyAssociation).where(PolicyAssociation.service_id == row.id))
    for endpoint in call.tx.scalars(select(Endpoint).where(Endpoint.service_id == row.id)):
        delete_endpoint(call, endpoint.id)
    call.tx.delete(row)
    _stale(call, row.id)
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_LIMITS, "")


# -- endpoints -------------------------------------------------------------------------------------------


def create_endpoint(call: Call[IdentityDeps], body: Extended[EndpointFields]) -> Extended[EndpointView]:
    fields = body.fields
    for name in ("service_id", "interface", "url"):
        if getattr(fields, name) is UNSET:
            raise BadRequest(f"Invalid input: '{name}' is a required property of endpoint.")
    row = Endpoint(id=ids.new_hex(), enabled=True, extra=extra_of(body.extra))
    _set_endpoint(call, row, fields)
    call.tx.add(row)
    _stale(call, row.id)
    return endpoint_view(call, row)


def _set_endpoint(call: Call[IdentityDeps], row: Endpoint, fields: EndpointFields) -> None:
    if fields.service_id is not UNSET and call.tx.get(Service, fields.service_id) is None:
        raise BadRequest(f"Could not find service: {fields.service_id}.")
    region = fields.region_id if fields.region_id is not UNSET else fields.region
    if region is not UNSET:
        if region is not None and call.tx.get(Region, region) is None:
            if fields.region_id is not UNSET:
                raise BadRequest(f"Could not find region: {region}.")
            call.tx.add(Region(id=region))
            call.tx.flush()
        row.region_id = region
    if fields.url is not UNSET:
        _check_url(fields.url)
    _assign(row, fields, ("service_id", "interface", "url", "enabled", "name"))


def _check_url(url: str) -> None:
    try:
        names_of(url)
    except ValueError as error:
        raise BadRequest(f"The endpoint's URL {url[:255]} is not valid: {error}.") from error


_ENDPOINTS = declared(
    "endpoints",
    Endpoint,
    {
        "interface": Endpoint.interface,
        "service_id": Endpoint.service_id,
        "region_id": Endpoint.region_id,
        "region": Endpoint.region_id,
    },
    EndpointRow,
)


def list_endpoints(call: Call[IdentityDeps]) -> Listed[Extended[EndpointView]]:
    return index(call, _ENDPOINTS, endpoint_view)


def show_endpoint(call: Call[IdentityDeps], endpoint_id: str) -> Extended[EndpointView]:
    return endpoint_view(call, existing_row(call.tx, Endpoint, "endpoint", endpoint_id))


def update_endpoint(
    call: Call[IdentityDeps], body: Extended[EndpointFields], endpoint_id: str
) -> Extended[EndpointView]:
    row = existing_row(call.tx, Endpoint, "endpoint", endpoint_id)
    _set_endpoint(call, row, body.fields)
    row.extra = extra_of(body.extra, present=row.extra)
    _stale(call, row.id)
    return endpoint_view(call, row)


def delete_endpoint(call: Call[IdentityDeps], endpoint_id: str) -> None:
    call.tx.delete(existing_row(call.tx, Endpoint, "endpoint", endpoint_id))
    call.tx.execute(delete_from(PolicyAssociation).where(PolicyAssociation.endpoint_id == endpoint_id))
    _stale(call, endpoint_id)


_REGION = "/v3/regions/{region_id}"
_SERVICE = "/v3/services/{service_id}"
_ENDPOINT = "/v3/endpoints/{endpoint_id}"
_OF_REGION, _OF_SERVICE, _OF_ENDPOINT = Extended[RegionFields], Extended[ServiceFields], Extended[EndpointFields]
ROUTES = (
    Route("GET", "/v3/regions", list_regions, "identity:list_regions", envelope="regions", query=query(_REGIONS)),
    Route("POST", "/v3/regions", create_region, "identity:create_region", 201, body=_OF_REGION, envelope="region"),
    Route("PUT", _REGION, put_region, "identity:create_region", 201, body=_OF_REGION, envelope="region"),
    Route("GET", _REGION, show_region, "identity:get_region", envelope="region"),
    Route("PATCH", _REGION, update_region, "identity:update_region", body=_OF_REGION, envelope="region"),
    Route("DELETE", _REGION, delete_region, "identity:delete_region", 204),
    Route("GET", "/v3/services", list_services, "identity:list_services", envelope="services", query=query(_SERVICES)),
    Route("POST", "/v3/services", create_service, "identity:create_service", 201, body=_OF_SERVICE, envelope="service"),
    Route("GET", _SERVICE, show_service, "identity:get_service", envelope="service"),
    Route("PATCH", _SERVICE, update_service, "identity:update_service", body=_OF_SERVICE, envelope="service"),
    Route("DELETE", _SERVICE, delete_service, "identity:delete_service", 204),
    Route(
        "GET", "/v3/endpoints", list_endpoints, "identity:list_endpoints", envelope="endpoints", query=query(_ENDPOINTS)
    ),
    Route(
        "POST",
        "/v3/endpoints",
        create_endpoint,
        "identity:create_endpoint",
        201,
        body=_OF_ENDPOINT,
        envelope="endpoint",
    ),
    Route("GET", _ENDPOINT, show_endpoint, "identity:get_endpoint", envelope="endpoint"),
    Route("PATCH", _ENDPOINT, update_endpoint, "identity:update_endpoint", body=_OF_ENDPOINT, envelope="endpoint"),
    Route("DELETE", _ENDPOINT, delete_endpoint, "identity:delete_endpoint", 204),
)
