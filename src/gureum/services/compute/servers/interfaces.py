"""A server's network interfaces, plugged and unplugged while it lives.

Source: compute API reference, "Port interfaces (servers, os-interface)". The port belongs to the network
service; the host learns of it when the server's task has it make the new spec true.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from gureum.foundation.errors import BadRequest, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.servers import operations
from gureum.services.compute.servers.bodies import Tag, Uuid
from gureum.services.network.facade import NicWanted

_PREFIX = "os_compute_api:os-attach-interfaces:"
READER = "rule:project_reader_or_admin"
MEMBER = "rule:project_member_or_admin"

RULES = (
    Rule(_PREFIX + "list", READER, "List a server's interfaces"),
    Rule(_PREFIX + "show", READER, "Show an interface of a server"),
    Rule(_PREFIX + "create", MEMBER, "Plug an interface into a server"),
    Rule(_PREFIX + "delete", MEMBER, "Unplug an interface from a server"),
)


class FixedIp(Struct, forbid_unknown_fields=True):
    ip_address: Annotated[str, Meta(min_length=1, max_length=45)]


class NewInterface(Struct, forbid_unknown_fields=True):
    net_id: Uuid | None = None
    port_id: Uuid | None = None
    fixed_ips: Annotated[list[FixedIp], Meta(min_length=1, max_length=1)] | None = None


class NewInterfaceTagged(NewInterface, forbid_unknown_fields=True):
    tag: Tag | None = None


class Create(Struct, forbid_unknown_fields=True):
    interfaceAttachment: NewInterface  # noqa: N815 the API's own name


class CreateV249(Struct, forbid_unknown_fields=True):
    interfaceAttachment: NewInterfaceTagged  # noqa: N815 the API's own name


def index(call: Call[ComputeDeps], server_id: str) -> dict[str, Any]:
    server = operations.find_server(call.tx, call.caller, server_id)
    found = call.deps.network.interfaces(call.tx, server.id)
    return {"interfaceAttachments": [dict(interface) for interface in found]}


def show(call: Call[ComputeDeps], server_id: str, port_id: str) -> dict[str, Any]:
    server = operations.find_server(call.tx, call.caller, server_id)
    return {"interfaceAttachment": _interface(call, server.id, port_id)}


def create(call: Call[ComputeDeps], body: CreateV249, server_id: str) -> dict[str, Any]:
    new = body.interfaceAttachment
    if new.net_id and new.port_id:
        raise BadRequest("Must not input both network_id and port_id")
    if new.fixed_ips and not new.net_id:
        raise BadRequest("Must input network_id when request IP address")
    server = operations.find_server(call.tx, call.caller, server_id)
    operations.begin(call.caller, server, "attach_interface")
    address = new.fixed_ips[0].ip_address if new.fixed_ips else None
    wanted = NicWanted(new.net_id, new.port_id, address, getattr(new, "tag", None))
    port_id = call.deps.network.attach(call.tx, call.caller, server.id, wanted, server.zone or "nova")
    if server.host:
        call.deps.network.bind(call.tx, server.id, server.host)
    operations.record_action(call.tx, call.caller, server.id, "attach_interface", server.host)
    operations.refresh(call.deps, call.tx, server)
    call.tx.flush()
    return {"interfaceAttachment": _interface(call, server.id, port_id)}


def delete(call: Call[ComputeDeps], server_id: str, port_id: str) -> None:
    server = operations.find_server(call.tx, call.caller, server_id)
    operations.begin(call.caller, server, "detach_interface")
    _interface(call, server.id, port_id)
    call.deps.network.detach(call.tx, server.id, port_id)
    operations.record_action(call.tx, call.caller, server.id, "detach_interface", server.host)
    operations.refresh(call.deps, call.tx, server)


def _interface(call: Call[ComputeDeps], server_id: str, port_id: str) -> dict[str, Any]:
    for interface in call.deps.network.interfaces(call.tx, server_id):
        if interface["port_id"] == port_id:
            return dict(interface)
    raise NotFound(f"Port {port_id} could not be found on instance {server_id}.")


def _downgrade(view: dict[str, Any], version: Version) -> dict[str, Any]:
    """An interface shows its tag since 2.70."""
    if version < (2, 70):
        for interface in view.get("interfaceAttachments", [view.get("interfaceAttachment", {})]):
            interface.pop("tag", None)
    return view


_ALL = "/v2.1/servers/{server_id}/os-interface"
_ONE = _ALL + "/{port_id}"
_BODIES = {(2, 1): Create, (2, 49): CreateV249}
ROUTES = (
    Route("GET", _ALL, index, _PREFIX + "list", downgrade=_downgrade),
    Route("POST", _ALL, create, _PREFIX + "create", body=_BODIES, downgrade=_downgrade),
    Route("GET", _ONE, show, _PREFIX + "show", downgrade=_downgrade),
    Route("DELETE", _ONE, delete, _PREFIX + "delete", 202),
)
