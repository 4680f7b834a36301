"""Routes of floating IPs. Source: network API reference, "Floating IPs"."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import bindparam, select

from gureum.foundation.db.prepared import Prepared, as_tuple
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route, Runs
from gureum.foundation.http.views import Listed, View
from gureum.foundation.policy import Rule
from gureum.services.network import errors, listing
from gureum.services.network.context import NetworkContext
from gureum.services.network.floating_ips import operations
from gureum.services.network.floating_ips.model import FloatingIp, FloatingIpRow
from gureum.services.network.listing import Listing
from gureum.services.network.networks.api import ADMIN, MEMBER
from gureum.services.network.networks.api import LISTING as NETWORKS
from gureum.services.network.ports.addresses import IpWish
from gureum.services.network.ports.api import LISTING as PORTS
from gureum.services.network.ports.model import METADATA, Port
from gureum.services.network.standard import AddressText, IdText, NameText, ProjectText, touch
from gureum.services.network.subnets.rules import ip_of
from gureum.services.network.views import OwnedView, owned

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


class PortDetails(View):
    """What is shown of the port that a floating IP leads to."""

    name: str
    network_id: str
    mac_address: str
    admin_state_up: bool
    status: str
    device_id: str
    device_owner: str


class FloatingIpView(OwnedView):
    """A floating IP: it has no name."""

    floating_network_id: str
    floating_ip_address: str
    port_id: str | None
    fixed_ip_address: str | None
    router_id: str | None
    status: str
    port_details: PortDetails | None


def views(call: Call[NetworkContext], rows: Sequence[FloatingIp | FloatingIpRow]) -> list[FloatingIpView]:
    port_ids = [row.port_id for row in rows if row.port_id]
    details: dict[str | None, PortDetails] = {}
    if port_ids:
        for port_id, *values in _DETAILS.all(call.tx, ports=port_ids):
            details[port_id] = PortDetails(*values)
    return [_view(row, details.get(row.port_id)) for row in rows]


_DETAILS = Prepared(
    select(
        Port.id,
        Port.name,
        Port.network_id,
        Port.mac,
        Port.admin_state_up,
        Port.status,
        Port.device_id,
        Port.device_owner,
    ).where(Port.id.in_(bindparam("ports", expanding=True))),
    make=as_tuple,
)
"""The id of each port and what a `PortDetails` shows of it."""


def _view(row: FloatingIp | FloatingIpRow, details: PortDetails | None) -> FloatingIpView:
    return FloatingIpView(
        *owned(row, row.tags),
        floating_network_id=row.network_id,
        floating_ip_address=row.ip,
        port_id=row.port_id,
        fixed_ip_address=row.fixed_ip,
        router_id=row.router_id,
        status=row.status,
        port_details=details,
    )


LISTING = Listing(
    single="floatingip",
    plural="floatingips",
    model=FloatingIp,
    record=FloatingIpRow,
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


def create(call: Call[NetworkContext], body: NewFloatingIp) -> FloatingIpView:
    project_id = listing.owner_of(call, listing.project_named(body), "create_floatingip")
    network = listing.load_within_reach(call, NETWORKS, body.floating_network_id)
    if body.floating_ip_address is not None:
        ip_of(body.floating_ip_address)
        call.enforce("create_floatingip:floating_ip_address", project_id=project_id)
    call.deps.quotas.require(call.tx, project_id, {"floatingip": 1})
    row = FloatingIp(project_id=project_id, description=body.description)
    wish = IpWish(body.subnet_id, body.floating_ip_address)
    operations.create_floating_ip(call.tx, call.deps, row, network, wish)
    if body.port_id is not None:
        operations.associate(call.tx, call.deps, row, _target(call, row, body.port_id, body.fixed_ip_address))
    elif body.fixed_ip_address is not None:
        raise errors.invalid(
            "Bad floatingip request: fixed_ip_address cannot be specified without a port_id.", "BadRequest"
        )
    return listing.views_of_new(call, LISTING, [row])[0]


def _target(call: Call[NetworkContext], row: FloatingIp, port_id: str, fixed_ip: str | None) -> operations.Target:
    """A port within reach that may have a floating IP. Raises NotFound, BadRequest (another project's, a service's)."""
    port = listing.load_within_reach(call, PORTS, port_id)
    if not call.caller.is_admin and port.project_id != row.project_id:
        raise errors.invalid(
            f"Bad floatingip request: Cannot process floating IP association with Port {port_id}, "
            "since that port is owned by a different project.",
            "BadRequest",
        )
    if port.device_owner in ("network:dhcp", METADATA):
        raise errors.invalid(f"Bad floatingip request: Port {port_id} serves the network itself.", "BadRequest")
    return operations.Target(port, str(ip_of(fixed_ip)) if fixed_ip else None)


def index(call: Call[NetworkContext]) -> Listed[FloatingIpView]:
    return listing.index(call, LISTING)


def show(call: Call[NetworkContext], floatingip_id: str) -> FloatingIpView:
    return listing.show(call, LISTING, floatingip_id)


def update(call: Call[NetworkContext], body: FloatingIpChanges, floatingip_id: str) -> FloatingIpView:
    row = listing.load(call, LISTING, floatingip_id)
    fixed = None if body.fixed_ip_address is UNSET else body.fixed_ip_address
    if body.port_id is None and fixed is not None:
        raise errors.invalid(
            "Bad floatingip request: fixed_ip_address cannot be specified without a port_id.", "BadRequest"
        )
    if body.port_id is None or body == FloatingIpChanges():
        operations.dissociate(call.tx, call.deps, row)
    elif body.port_id is not UNSET or fixed is not None:
        port_id = row.port_id if body.port_id is UNSET else body.port_id
        if port_id is None:
            raise errors.invalid("Bad floatingip request: a port_id is needed.", "BadRequest")
        operations.associate(call.tx, call.deps, row, _target(call, row, port_id, fixed))
    if body.description is not UNSET:
        row.description = body.description
    touch(call.tx, call.deps.changes, "floating_ip", row)
    return listing.views_of_new(call, LISTING, [row])[0]


def delete(call: Call[NetworkContext], floatingip_id: str) -> None:
    operations.delete_floating_ip(call.tx, call.deps, listing.load(call, LISTING, floatingip_id))


_AT = "/v2.0/floatingips"
_ONE = _AT + "/{floatingip_id}"
ROUTES = (
    Route("GET", _AT, index, "get_floatingip", envelope="floatingips", query=LISTING.query()),
    Route("POST", _AT, create, "create_floatingip", 201, body=NewFloatingIp, envelope="floatingip", target="handler"),
    Route("GET", _ONE, show, "get_floatingip", envelope="floatingip", runs=Runs.LOOKUP, query=listing.FIELDS),
    Route(
        "PUT",
        _ONE,
        update,
        "update_floatingip",
        body=FloatingIpChanges,
        envelope="floatingip",
        target="handler",
        also=(412,),
    ),
    Route("DELETE", _ONE, delete, "delete_floatingip", 204, target="handler", also=(412,)),
)
