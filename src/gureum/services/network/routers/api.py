"""Routes of routers. Source: network API reference, "Routers" and the extraroute chapters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.foundation import ids
from gureum.foundation.errors import Forbidden
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route, Runs
from gureum.foundation.http.views import Listed, View
from gureum.foundation.policy import Rule
from gureum.services.network import errors, listing
from gureum.services.network.catalog import zones
from gureum.services.network.context import NetworkContext
from gureum.services.network.listing import Listing
from gureum.services.network.networks.api import ADMIN, MEMBER
from gureum.services.network.networks.api import LISTING as NETWORKS
from gureum.services.network.ports import addresses
from gureum.services.network.ports.addresses import Given
from gureum.services.network.ports.api import LISTING as PORTS
from gureum.services.network.ports.api import fixed_ip_wishes
from gureum.services.network.ports.bodies import FixedIps
from gureum.services.network.ports.views import FixedIpView
from gureum.services.network.routers import operations
from gureum.services.network.routers.model import Router, RouterRow
from gureum.services.network.standard import IdText, NameText, ProjectText, touch
from gureum.services.network.subnets.api import LISTING as SUBNETS
from gureum.services.network.subnets.api import RouteBody, RouteView
from gureum.services.network.subnets.rules import check_routes
from gureum.services.network.views import StandardView, standard

RULES = (
    Rule("get_router", "rule:admin or role:reader", "See own routers", unbounded=listing.IN_QUERIES),
    Rule("create_router", MEMBER, "Create a router"),
    Rule("update_router", MEMBER, "Update a router"),
    Rule("delete_router", MEMBER, "Delete a router"),
    Rule("add_router_interface", MEMBER, "Give a router a leg"),
    Rule("remove_router_interface", MEMBER, "Take a leg off a router"),
    *(
        Rule(f"{verb}_router:external_gateway_info:{name}", ADMIN, f"Set {name} of a router's gateway")
        for verb in ("create", "update")
        for name in ("enable_snat", "external_fixed_ips")
    ),
)


class GatewayBody(Struct, forbid_unknown_fields=True):
    network_id: IdText | None = None
    enable_snat: bool | UnsetType = UNSET
    external_fixed_ips: FixedIps | UnsetType = UNSET


Routes = Annotated[list[RouteBody], Meta(max_length=256)]


class NewRouter(Struct, forbid_unknown_fields=True):
    name: NameText = ""
    description: NameText = ""
    project_id: ProjectText = ""
    tenant_id: ProjectText = ""
    admin_state_up: bool = True
    external_gateway_info: GatewayBody | None = None
    availability_zone_hints: zones.Hints = []


class RouterChanges(Struct, forbid_unknown_fields=True):
    name: NameText | UnsetType = UNSET
    description: NameText | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    external_gateway_info: GatewayBody | UnsetType | None = UNSET
    routes: Routes | UnsetType | None = UNSET


class RoutesBody(Struct, forbid_unknown_fields=True):
    routes: Routes


class InterfaceBody(Struct, forbid_unknown_fields=True):
    subnet_id: IdText | None = None
    port_id: IdText | None = None


class GatewayView(View):
    network_id: str
    external_fixed_ips: list[FixedIpView]
    enable_snat: bool


class RouterView(StandardView):
    status: Literal["ACTIVE"]
    admin_state_up: bool
    external_gateway_info: GatewayView | None
    routes: list[RouteView]
    availability_zone_hints: list[str]
    availability_zones: list[str]


class LegView(View):
    """A leg of a router that was made or taken off; the id is the router's."""

    id: str
    tenant_id: str
    project_id: str
    port_id: str
    network_id: str
    subnet_id: str
    subnet_ids: list[str]
    tags: list[str]


def views(call: Call[NetworkContext], rows: Sequence[Router | RouterRow]) -> list[RouterView]:
    addresses_of = addresses.held(call.tx, [row.gateway_port_id for row in rows if row.gateway_port_id])
    return [_view(row, addresses_of.get(row.gateway_port_id or "", [])) for row in rows]


def _view(row: Router | RouterRow, given: Sequence[Given]) -> RouterView:
    gateway = None
    if row.external_network_id is not None:
        fixed_ips = [FixedIpView(address.subnet_id, address.ip) for address in given]
        gateway = GatewayView(row.external_network_id, fixed_ips, row.enable_snat)
    return RouterView(
        *standard(row),
        status="ACTIVE",
        admin_state_up=row.admin_state_up,
        external_gateway_info=gateway,
        routes=[RouteView(destination, hop) for destination, hop in row.routes],
        availability_zone_hints=row.zone_hints,
        availability_zones=zones.NAMES,
    )


LISTING = Listing(
    single="router",
    plural="routers",
    model=Router,
    record=RouterRow,
    seen_by=listing.own(Router),
    views=views,
    filters=listing.standard_filters(Router)
    | {
        "admin_state_up": Router.admin_state_up,
        "enable_snat": Router.enable_snat,
    },
    special={"status": listing.always("ACTIVE", Router)},
)


def create(call: Call[NetworkContext], body: NewRouter) -> RouterView:
    project_id = listing.owner_of(call, listing.project_named(body), "create_router")
    zones.check(body.availability_zone_hints)
    call.deps.quotas.require(call.tx, project_id, {"router": 1})
    router = Router(
        project_id=project_id,
        name=body.name,
        description=body.description,
        admin_state_up=body.admin_state_up,
        zone_hints=body.availability_zone_hints,
        routes=[],
    )
    call.tx.add(router)
    call.tx.flush()
    _set_gateway(call, router, body.external_gateway_info, "create")
    call.deps.changes.mark(call.tx, "router", (router.id,))
    return listing.views_of_new(call, LISTING, [router])[0]


def _set_gateway(call: Call[NetworkContext], router: Router, wanted: GatewayBody | None, verb: str) -> None:
    if wanted is None or wanted.network_id is None:
        if wanted is not None and wanted.external_fixed_ips is not UNSET:
            raise errors.invalid("external_gateway_info: external_fixed_ips are addresses of a network_id, which lacks")
        if wanted is not None and wanted.enable_snat is not UNSET:
            if router.external_network_id is None:
                raise errors.invalid("external_gateway_info: enable_snat is for a gateway, whose network_id lacks")
            _set_snat(call, router, wanted.enable_snat, verb)
        else:
            operations.clear_gateway(call.tx, call.deps, router)
            router.enable_snat = True
        return
    network = listing.load_within_reach(call, NETWORKS, wanted.network_id)
    wishes = None
    if wanted.external_fixed_ips is not UNSET:
        current = addresses.held(call.tx, [router.gateway_port_id or "-"])
        wishes = fixed_ip_wishes(wanted.external_fixed_ips)
        held = {(address.subnet_id, address.ip) for address in next(iter(current.values()))}
        if any(wish.ip is not None and (wish.subnet_id, wish.ip) not in held for wish in wishes):
            call.enforce(f"{verb}_router:external_gateway_info:external_fixed_ips", project_id=router.project_id)
        wishes = wishes or None
    operations.set_gateway(call.tx, call.deps, router, operations.GatewayWish(network, wishes))
    if wanted.enable_snat is not UNSET:
        _set_snat(call, router, wanted.enable_snat, verb)


def _set_snat(call: Call[NetworkContext], router: Router, enabled: bool, verb: str) -> None:
    if enabled != router.enable_snat:
        call.enforce(f"{verb}_router:external_gateway_info:enable_snat", project_id=router.project_id)
        router.enable_snat = enabled


def index(call: Call[NetworkContext]) -> Listed[RouterView]:
    return listing.index(call, LISTING)


def show(call: Call[NetworkContext], router_id: str) -> RouterView:
    return listing.show(call, LISTING, router_id)


def update(call: Call[NetworkContext], body: RouterChanges, router_id: str) -> RouterView:
    row = listing.load(call, LISTING, router_id)
    if body.admin_state_up is not UNSET:
        row.admin_state_up = body.admin_state_up
    if body.external_gateway_info is not UNSET:
        _set_gateway(call, row, body.external_gateway_info, "update")
    if body.routes is not UNSET:
        operations.set_routes(call.tx, row, _pairs(body.routes or []))
    listing.set_texts(row, body)
    return _changed(call, row)


def _changed(call: Call[NetworkContext], row: Router) -> RouterView:
    touch(call.tx, call.deps.changes, "router", row)
    return listing.views_of_new(call, LISTING, [row])[0]


def _pairs(routes: Sequence[RouteBody]) -> list[tuple[str, str]]:
    return [(route.destination, route.nexthop) for route in routes]


def _routes(body: RoutesBody) -> list[tuple[str, str]]:
    """The body's routes in the spelling in which a router keeps its own, one as often as it is named."""
    return [route for pair in _pairs(body.routes) for route in check_routes([pair])]


def add_routes(call: Call[NetworkContext], body: RoutesBody, router_id: str) -> RouterView:
    row = listing.load(call, LISTING, router_id, "update_router")
    present = [(destination, hop) for destination, hop in row.routes]
    operations.set_routes(call.tx, row, list(dict.fromkeys([*present, *_routes(body)])))
    return _changed(call, row)


def remove_routes(call: Call[NetworkContext], body: RoutesBody, router_id: str) -> RouterView:
    row = listing.load(call, LISTING, router_id, "update_router")
    gone = _routes(body)
    row.routes = [pair for pair in row.routes if tuple(pair) not in gone]
    return _changed(call, row)


def delete(call: Call[NetworkContext], router_id: str) -> None:
    operations.delete_router(call.tx, call.deps, listing.load(call, LISTING, router_id))


def add_interface(call: Call[NetworkContext], body: InterfaceBody, router_id: str) -> LegView:
    router = listing.load(call, LISTING, router_id)
    if (body.subnet_id is None) == (body.port_id is None):
        which = (
            "Either subnet_id or port_id must be specified"
            if body.subnet_id is None
            else "Cannot specify both subnet-id and port-id"
        )
        raise errors.invalid(f"Bad router request: {which}.", "BadRequest")
    if not ids.is_uuid(body.port_id or body.subnet_id or ""):
        raise errors.invalid("Bad router request: the id of the port or subnet is not a UUID.", "BadRequest")
    if body.port_id is not None:
        port = listing.load_within_reach(call, PORTS, body.port_id)
        if not call.caller.is_admin and port.project_id != call.caller.project_id:
            raise errors.missing("port", body.port_id)
        return _interface_view(router, operations.add_port(call.tx, call.deps, router, port))
    subnet = listing.load_within_reach(call, SUBNETS, body.subnet_id or "")
    if not call.caller.is_admin and subnet.project_id != call.caller.project_id:
        raise Forbidden(f"The gateway address of subnet {subnet.id} is for its owner; add the router by a port.")
    return _interface_view(router, operations.add_subnet(call.tx, call.deps, router, subnet))


def remove_interface(call: Call[NetworkContext], body: InterfaceBody, router_id: str) -> LegView:
    router = listing.load(call, LISTING, router_id)
    if body.subnet_id is None and body.port_id is None:
        raise errors.invalid("Bad router request: Either subnet_id or port_id must be specified.", "BadRequest")
    return _interface_view(router, operations.remove_leg(call.tx, call.deps, router, body.port_id, body.subnet_id))


def _interface_view(router: Router, leg: operations.Leg) -> LegView:
    return LegView(
        id=router.id,
        tenant_id=router.project_id,
        project_id=router.project_id,
        port_id=leg.port_id,
        network_id=leg.network_id,
        subnet_id=leg.subnet_ids[0],
        subnet_ids=leg.subnet_ids,
        tags=router.tags,
    )


_AT = "/v2.0/routers"
_ONE = _AT + "/{router_id}"
ROUTES = (
    Route("GET", _AT, index, "get_router", envelope="routers", query=LISTING.query()),
    Route("POST", _AT, create, "create_router", 201, body=NewRouter, envelope="router", target="handler"),
    Route("GET", _ONE, show, "get_router", envelope="router", runs=Runs.LOOKUP, query=listing.FIELDS),
    Route("PUT", _ONE, update, "update_router", body=RouterChanges, envelope="router", target="handler", also=(412,)),
    Route("DELETE", _ONE, delete, "delete_router", 204, target="handler", also=(412,)),
    Route(
        "PUT",
        _ONE + "/add_router_interface",
        add_interface,
        "add_router_interface",
        body=InterfaceBody,
        target="handler",
    ),
    Route(
        "PUT",
        _ONE + "/remove_router_interface",
        remove_interface,
        "remove_router_interface",
        body=InterfaceBody,
        target="handler",
    ),
    Route(
        "PUT",
        _ONE + "/add_extraroutes",
        add_routes,
        "update_router",
        body=RoutesBody,
        envelope="router",
        target="handler",
    ),
    Route(
        "PUT",
        _ONE + "/remove_extraroutes",
        remove_routes,
        "update_router",
        body=RoutesBody,
        envelope="router",
        target="handler",
    ),
)
