"""Routes of regions, services and endpoints.

Source: identity API reference, "Service catalog and endpoints", "Regions".
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import delete as delete_from
from sqlalchemy import select

from gureum.foundation import ids
from gureum.foundation.errors import BadRequest, Conflict, Forbidden, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection
from gureum.foundation.http.routes import Route
from gureum.foundation.http.views import Listed
from gureum.foundation.policy import EVERY_SCOPE, Rule
from gureum.services.identity.catalog.model import Endpoint, Region, Service
from gureum.services.identity.catalog.urls import names_of
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.endpoint_policies.model import PolicyAssociation
from gureum.services.identity.fields import ADMIN, ADMIN_OR_SYSTEM_READER, CLOUD, Description, extra_of, typed
from gureum.services.identity.listing import declared, index, query, self_link
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
    service_id: Text255 | UnsetType = UNSET
    interface: Interface | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    region_id: Text255 | None | UnsetType = UNSET
    region: Text255 | None | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    name: Text255 | None | UnsetType = UNSET


class RegionBody(Struct, forbid_unknown_fields=True):
    region: dict[str, Any]


class ServiceBody(Struct, forbid_unknown_fields=True):
    service: dict[str, Any]


class EndpointBody(Struct, forbid_unknown_fields=True):
    endpoint: dict[str, Any]


_KNOWN = {
    "region": frozenset({"id", "description", "parent_region_id", "links"}),
    "service": frozenset({"id", "type", "name", "description", "enabled", "links"}),
    "endpoint": frozenset({"id", "service_id", "interface", "url", "region_id", "region", "enabled", "name", "links"}),
}


def _find(call: Call[Any], model: Any, kind: str, id_: str) -> Any:
    row = call.tx.get(model, id_)
    if row is None:
        raise NotFound(f"Could not find {kind}: {id_}.")
    return row


def _stale(call: Call[IdentityDeps], id_: str) -> None:
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_ALL, id_)


def _assign(row: Any, fields: Struct, names: tuple[str, ...]) -> None:
    for name in names:
        if (value := getattr(fields, name)) is not UNSET:
            setattr(row, name, value)


# -- regions ---------------------------------------------------------------------------------------------


def _region_view(call: Call[Any], row: Region) -> dict[str, Any]:
    return {
        **row.extra,
        "id": row.id,
        "description": row.description,
        "parent_region_id": row.parent_region_id,
        "links": self_link(call, "regions", row.id),
    }


def create_region(call: Call[IdentityDeps], body: RegionBody, region_id: str | None = None) -> dict[str, Any]:
    fields = typed(RegionFields, body.region)
    given = fields.id if fields.id is not UNSET else None
    if region_id and given and given != region_id:
        raise BadRequest("The region id of the body differs from that of the URL.")
    row = Region(id=region_id or given or ids.new_hex(), extra=extra_of(body.region, _KNOWN["region"]))
    if call.tx.get(Region, row.id) is not None:
        raise Conflict(f"Conflict occurred attempting to store region - Duplicate entry found with id {row.id}.")
    _set_region(call, row, fields)
    call.tx.add(row)
    call.tx.flush()
    return {"region": _region_view(call, row)}


def _set_region(call: Call[Any], row: Region, fields: RegionFields) -> None:
    if fields.description is not UNSET:
        row.description = fields.description or ""
    if fields.parent_region_id is not UNSET:
        if fields.parent_region_id is not None:
            _find(call, Region, "region", fields.parent_region_id)
        row.parent_region_id = fields.parent_region_id


_REGIONS: Collection[Any] = declared("regions", Region, {"parent_region_id": Region.parent_region_id})


def list_regions(call: Call[IdentityDeps]) -> Listed[Any]:
    return index(call, _REGIONS, _region_view)


def show_region(call: Call[IdentityDeps], region_id: str) -> dict[str, Any]:
    return {"region": _region_view(call, _find(call, Region, "region", region_id))}


def update_region(call: Call[IdentityDeps], body: RegionBody, region_id: str) -> dict[str, Any]:
    row = _find(call, Region, "region", region_id)
    _set_region(call, row, typed(RegionFields, body.region))
    row.extra = extra_of(body.region, _KNOWN["region"], row.extra)
    return {"region": _region_view(call, row)}


def delete_region(call: Call[IdentityDeps], region_id: str) -> None:
    row = _find(call, Region, "region", region_id)
    if call.tx.scalar(select(Endpoint.id).where(Endpoint.region_id == row.id).limit(1)):
        raise Forbidden(f"Unable to delete region {row.id}: it has endpoints.")
    if call.tx.scalar(select(Region.id).where(Region.parent_region_id == row.id).limit(1)):
        raise Conflict(f"Unable to delete region {row.id}: it has child regions.")
    call.tx.execute(delete_from(PolicyAssociation).where(PolicyAssociation.region_id == row.id))
    call.tx.delete(row)


# -- services --------------------------------------------------------------------------------------------


def _service_view(call: Call[Any], row: Service) -> dict[str, Any]:
    view = {
        **row.extra,
        "id": row.id,
        "type": row.type,
        "enabled": row.enabled,
        "links": self_link(call, "services", row.id),
    }
    view["name"] = row.name or ""
    if row.description is not None:
        view["description"] = row.description
    return view


def create_service(call: Call[IdentityDeps], body: ServiceBody) -> dict[str, Any]:
    fields = typed(ServiceFields, body.service)
    if fields.type is UNSET:
        raise BadRequest("Invalid input: 'type' is a required property of service.")
    row = Service(id=ids.new_hex(), enabled=True, extra=extra_of(body.service, _KNOWN["service"]))
    _assign(row, fields, ("type", "name", "description", "enabled"))
    call.tx.add(row)
    _stale(call, row.id)
    return {"service": _service_view(call, row)}


_SERVICES: Collection[Any] = declared("services", Service, {"type": Service.type, "name": Service.name})


def list_services(call: Call[IdentityDeps]) -> Listed[Any]:
    return index(call, _SERVICES, _service_view)


def show_service(call: Call[IdentityDeps], service_id: str) -> dict[str, Any]:
    return {"service": _service_view(call, _find(call, Service, "service", service_id))}


def update_service(call: Call[IdentityDeps], body: ServiceBody, service_id: str) -> dict[str, Any]:
    row = _find(call, Service, "service", service_id)
    _assign(row, typed(ServiceFields, body.service), ("type", "name", "description", "enabled"))
    row.extra = extra_of(body.service, _KNOWN["service"], row.extra)
    _stale(call, row.id)
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_LIMITS, "")
    return {"service": _service_view(call, row)}


def delete_service(call: Call[IdentityDeps], service_id: str) -> None:
    row = _find(call, Service, "service", service_id)
    call.tx.execute(delete_from(PolicyAssociation).where(PolicyAssociation.service_id == row.id))
    for endpoint in call.tx.scalars(select(Endpoint).where(Endpoint.service_id == row.id)):
        delete_endpoint(call, endpoint.id)
    call.tx.delete(row)
    _stale(call, row.id)
    call.deps.tokens.revocations.add(call.tx, revocations.STALE_LIMITS, "")


# -- endpoints -------------------------------------------------------------------------------------------


def endpoint_view(call: Call[Any], row: Endpoint) -> dict[str, Any]:
    view = {
        **row.extra,
        "id": row.id,
        "service_id": row.service_id,
        "interface": row.interface,
        "url": row.url,
        "region_id": row.region_id,
        "region": row.region_id,
        "enabled": row.enabled,
        "links": self_link(call, "endpoints", row.id),
    }
    if row.name is not None:
        view["name"] = row.name
    return view


def create_endpoint(call: Call[IdentityDeps], body: EndpointBody) -> dict[str, Any]:
    fields = typed(EndpointFields, body.endpoint)
    for name in ("service_id", "interface", "url"):
        if getattr(fields, name) is UNSET:
            raise BadRequest(f"Invalid input: '{name}' is a required property of endpoint.")
    row = Endpoint(id=ids.new_hex(), enabled=True, extra=extra_of(body.endpoint, _KNOWN["endpoint"]))
    _set_endpoint(call, row, fields)
    call.tx.add(row)
    _stale(call, row.id)
    return {"endpoint": endpoint_view(call, row)}


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


_ENDPOINTS: Collection[Any] = declared(
    "endpoints",
    Endpoint,
    {
        "interface": Endpoint.interface,
        "service_id": Endpoint.service_id,
        "region_id": Endpoint.region_id,
        "region": Endpoint.region_id,
    },
)


def list_endpoints(call: Call[IdentityDeps]) -> Listed[Any]:
    return index(call, _ENDPOINTS, endpoint_view)


def show_endpoint(call: Call[IdentityDeps], endpoint_id: str) -> dict[str, Any]:
    return {"endpoint": endpoint_view(call, _find(call, Endpoint, "endpoint", endpoint_id))}


def update_endpoint(call: Call[IdentityDeps], body: EndpointBody, endpoint_id: str) -> dict[str, Any]:
    row = _find(call, Endpoint, "endpoint", endpoint_id)
    _set_endpoint(call, row, typed(EndpointFields, body.endpoint))
    row.extra = extra_of(body.endpoint, _KNOWN["endpoint"], row.extra)
    _stale(call, row.id)
    return {"endpoint": endpoint_view(call, row)}


def delete_endpoint(call: Call[IdentityDeps], endpoint_id: str) -> None:
    call.tx.delete(_find(call, Endpoint, "endpoint", endpoint_id))
    call.tx.execute(delete_from(PolicyAssociation).where(PolicyAssociation.endpoint_id == endpoint_id))
    _stale(call, endpoint_id)


ROUTES = (
    Route("GET", "/v3/regions", list_regions, "identity:list_regions", envelope="regions", query=query(_REGIONS)),
    Route("POST", "/v3/regions", create_region, "identity:create_region", 201, body=RegionBody),
    Route("PUT", "/v3/regions/{region_id}", create_region, "identity:create_region", 201, body=RegionBody),
    Route("GET", "/v3/regions/{region_id}", show_region, "identity:get_region"),
    Route("PATCH", "/v3/regions/{region_id}", update_region, "identity:update_region", body=RegionBody),
    Route("DELETE", "/v3/regions/{region_id}", delete_region, "identity:delete_region", 204),
    Route("GET", "/v3/services", list_services, "identity:list_services", envelope="services", query=query(_SERVICES)),
    Route("POST", "/v3/services", create_service, "identity:create_service", 201, body=ServiceBody),
    Route("GET", "/v3/services/{service_id}", show_service, "identity:get_service"),
    Route("PATCH", "/v3/services/{service_id}", update_service, "identity:update_service", body=ServiceBody),
    Route("DELETE", "/v3/services/{service_id}", delete_service, "identity:delete_service", 204),
    Route(
        "GET",
        "/v3/endpoints",
        list_endpoints,
        "identity:list_endpoints",
        envelope="endpoints",
        query=query(_ENDPOINTS),
    ),
    Route("POST", "/v3/endpoints", create_endpoint, "identity:create_endpoint", 201, body=EndpointBody),
    Route("GET", "/v3/endpoints/{endpoint_id}", show_endpoint, "identity:get_endpoint"),
    Route("PATCH", "/v3/endpoints/{endpoint_id}", update_endpoint, "identity:update_endpoint", body=EndpointBody),
    Route("DELETE", "/v3/endpoints/{endpoint_id}", delete_endpoint, "identity:delete_endpoint", 204),
)
