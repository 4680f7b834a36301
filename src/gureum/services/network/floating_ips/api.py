"""Routes of floating IPs. Source: network API reference, "Floating IPs"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import select

from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route, Runs
from gureum.foundation.policy import Rule
from gureum.services.network import errors, listing
from gureum.services.network.floating_ips import operations
from gureum.services.network.floating_ips.model import FloatingIp
from gureum.services.network.listing import Listing
from gureum.services.network.networks.api import ADMIN, MEMBER
from gureum.services.network.networks.api import LISTING as NETWORKS
from gureum.services.network.ports.addresses import IpWish
from gureum.services.network.ports.api import LISTING as PORTS
from gureum.services.network.ports.model import METADATA, Port
from gureum.services.network.standard import AddressText, IdText, NameText, ProjectText, standard_view, touch
from gureum.services.network.subnets.rules import ip_of

RULES = (
    Rule("get_floatingip", "rule:admin or role:reader", "See own floating IPs", unbounded=listing.IN_QUERIES),
    Rule("create_floatingip", MEMBER, "Create a floating IP"),
    Rule("create_floatingip:floating_ip_address", ADMIN, "Choose a floating IP's address"),
    Rule("update_floatingip", MEMBER, "Update a floating IP"),
    Rule("delete_floatingip", MEMBER, "Delete a floating IP"),
)


class NewFloatingIp(Struct, forbid_unknown_fields=True):
    floating_network_id: IdText
    description: NameText = ""
    project_id: ProjectText = ""
    tenant_id: ProjectText = ""
    subnet_id: IdText | None = None
    floating_ip_address: AddressText | None = None
    port_id: IdText | None = None
    fixed_ip_address: AddressText | None = None


class FloatingIpChanges(Struct, forbid_unknown_fields=True):
    description: NameText | UnsetType = UNSET
    port_id: IdText | UnsetType | None = UNSET
    fixed_ip_address: AddressText | UnsetType | None = UNSET


class CreateFloatingIp(Struct, forbid_unknown_fields=True):
    floatingip: NewFloatingIp


class UpdateFloatingIp(Struct, forbid_unknown_fields=True):
    floatingip: FloatingIpChanges


def views(call: Call[Any], rows: Sequence[Any]) -> list[dict[str, Any]]:
    port_ids = [row.port_id for row in rows if row.port_id]
    details: dict[str, dict[str, Any]] = {}
    if port_ids:
        for port in call.tx.execute(select(Port.id, *_DETAILS.values()).where(Port.id.in_(port_ids))):
            details[port.id] = dict(zip(_DETAILS, port[1:], strict=True))
    return [_view(row, details.get(row.port_id or "")) for row in rows]


_DETAILS = {
    "name": Port.name,
    "network_id": Port.network_id,
    "mac_address": Port.mac,
    "admin_state_up": Port.admin_state_up,
    "status": Port.status,
    "device_id": Port.device_id,
    "device_owner": Port.device_owner,
}


def _view(row: Any, details: dict[str, Any] | None) -> dict[str, Any]:
    view = standard_view(row) | {
        "floating_network_id": row.network_id,
        "floating_ip_address": row.ip,
        "port_id": row.port_id,
        "fixed_ip_address": row.fixed_ip,
        "router_id": row.router_id,
        "status": row.status,
        "port_details": details,
    }
    del view["name"]
    return view


LISTING = Listing(
    single="floatingip",
    plural="floatingips",
    model=FloatingIp,
    seen_by=listing.own(FloatingIp),
    views=views,
    filters={name: entry for name, entry in listing.standard_filters(FloatingIp).items() if name != "name"}
    | {
        "floating_network_id": FloatingIp.network_id,
        "floating_ip_address": FloatingIp.ip,
        "port_id": FloatingIp.port_id,
        "fixed_ip_address": FloatingIp.fixed_ip,
        "router_id": FloatingIp.router_id,
        "status": FloatingIp.status,
    },
)


def create(call: Call[Any], body: CreateFloatingIp) -> dict[str, Any]:
    new = body.floatingip
    project_id = listing.owner_of(call, listing.project_named(new), "create_floatingip")
    network = listing.load_within_reach(call, NETWORKS, new.floating_network_id)
    if new.floating_ip_address is not None:
        ip_of(new.floating_ip_address)
        call.enforce("create_floatingip:floating_ip_address", project_id=project_id)
    call.deps.quotas.require(call.tx, project_id, {"floatingip": 1})
    row = FloatingIp(project_id=project_id, description=new.description)
    wish = IpWish(new.subnet_id, new.floating_ip_address)
    operations.create_floating_ip(call.tx, call.deps, row, network, wish)
    if new.port_id is not None:
        operations.associate(call.tx, call.deps, row, _target(call, row, new.port_id, new.fixed_ip_address))
    elif new.fixed_ip_address is not None:
        raise errors.invalid(
            "Bad floatingip request: fixed_ip_address cannot be specified without a port_id.", "BadRequest"
        )
    call.tx.flush()
    return {"floatingip": views(call, [row])[0]}


def _target(call: Call[Any], row: FloatingIp, port_id: str, fixed_ip: str | None) -> operations.Target:
    """A port within reach that may have a floating IP. Raises NotFound, BadRequest (another project's, a service's)."""
    port: Port = listing.load_within_reach(call, PORTS, port_id)
    if not call.caller.is_admin and port.project_id != row.project_id:
        raise errors.invalid(
            f"Bad floatingip request: Cannot process floating IP association with Port {port_id}, "
            "since that port is owned by a different project.",
            "BadRequest",
        )
    if port.device_owner in ("network:dhcp", METADATA):
        raise errors.invalid(f"Bad floatingip request: Port {port_id} serves the network itself.", "BadRequest")
    return operations.Target(port, str(ip_of(fixed_ip)) if fixed_ip else None)


def index(call: Call[Any]) -> dict[str, Any]:
    return listing.index(call, LISTING)


def show(call: Call[Any], floatingip_id: str) -> dict[str, Any]:
    return listing.show(call, LISTING, floatingip_id)


def update(call: Call[Any], body: UpdateFloatingIp, floatingip_id: str) -> dict[str, Any]:
    wanted = body.floatingip
    row: FloatingIp = listing.load(call, LISTING, floatingip_id)
    fixed = None if wanted.fixed_ip_address is UNSET else wanted.fixed_ip_address
    if wanted.port_id is None and fixed is not None:
        raise errors.invalid(
            "Bad floatingip request: fixed_ip_address cannot be specified without a port_id.", "BadRequest"
        )
    if wanted.port_id is None or wanted == FloatingIpChanges():
        operations.dissociate(call.tx, call.deps, row)
    elif wanted.port_id is not UNSET or fixed is not None:
        port_id = row.port_id if wanted.port_id is UNSET else wanted.port_id
        if port_id is None:
            raise errors.invalid("Bad floatingip request: a port_id is needed.", "BadRequest")
        operations.associate(call.tx, call.deps, row, _target(call, row, port_id, fixed))
    if wanted.description is not UNSET:
        row.description = wanted.description
    touch(call.tx, call.deps.changes, "floating_ip", row)
    call.tx.flush()
    return {"floatingip": views(call, [row])[0]}


def delete(call: Call[Any], floatingip_id: str) -> None:
    operations.delete_floating_ip(call.tx, call.deps, listing.load(call, LISTING, floatingip_id))


_AT = "/v2.0/floatingips"
_ONE = _AT + "/{floatingip_id}"
ROUTES = (
    Route("GET", _AT, index, "get_floatingip", query=LISTING.query()),
    Route("POST", _AT, create, "create_floatingip", 201, body=CreateFloatingIp, target="handler"),
    Route("GET", _ONE, show, "get_floatingip", runs=Runs.LOOKUP, query=listing.FIELDS),
    Route("PUT", _ONE, update, "update_floatingip", body=UpdateFloatingIp, target="handler", also=(412,)),
    Route("DELETE", _ONE, delete, "delete_floatingip", 204, target="handler", also=(412,)),
)
