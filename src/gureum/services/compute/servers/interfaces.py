"""A server's network interfaces, plugged and unplugged while it lives.

Source: compute API reference, "Port interfaces (servers, os-interface)". The port belongs to the network
service; the host learns of it when the server's task has it make the new spec true.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from gureum.foundation.errors import BadRequest, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.http.versioned import Since
from gureum.foundation.http.views import View
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.servers import operations, seen
from gureum.services.compute.servers.bodies import Tag, Uuid
from gureum.services.network.facade import Interface, NicWanted

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
    tag: Annotated[Tag | None, Since(2, 49)] = None


class InterfaceAddress(View):
    subnet_id: str
    ip_address: str


class InterfaceView(View):
    net_id: str
    port_id: str
    mac_addr: str
    port_state: str
    fixed_ips: list[InterfaceAddress]
    tag: Annotated[str | None, Since(2, 70)]


def index(call: Call[ComputeDeps], server_id: str) -> list[InterfaceView]:
    server = seen.find(call.tx, call.caller, server_id)
    return [_view(interface) for interface in call.deps.network.interfaces(call.tx, server.id)]


def show(call: Call[ComputeDeps], server_id: str, port_id: str) -> InterfaceView:
    server = seen.find(call.tx, call.caller, server_id)
    return _view(_interface(call, server.id, port_id))


def create(call: Call[ComputeDeps], body: NewInterface, server_id: str) -> InterfaceView:
    if body.net_id and body.port_id:
        raise BadRequest("Must not input both network_id and port_id")
    if body.fixed_ips and not body.net_id:
        raise BadRequest("Must input network_id when request IP address")
    server = operations.find_server(call.tx, call.caller, server_id)
    operations.begin(call.caller, server, "attach_interface")
    address = body.fixed_ips[0].ip_address if body.fixed_ips else None
    nic = NicWanted(body.net_id, body.port_id, address, body.tag)
    port_id = call.deps.network.attach(call.tx, call.caller, server.id, nic, server.zone or "nova")
    if server.host:
        call.deps.network.bind(call.tx, server.id, server.host)
    operations.record_action(call.tx, call.caller, server.id, "attach_interface", server.host)
    operations.refresh(call.deps, call.tx, server)
    call.tx.flush()
    return _view(_interface(call, server.id, port_id))


def delete(call: Call[ComputeDeps], server_id: str, port_id: str) -> None:
    server = operations.find_server(call.tx, call.caller, server_id)
    operations.begin(call.caller, server, "detach_interface")
    _interface(call, server.id, port_id)
    call.deps.network.detach(call.tx, server.id, port_id)
    operations.record_action(call.tx, call.caller, server.id, "detach_interface", server.host)
    operations.refresh(call.deps, call.tx, server)


def _interface(call: Call[ComputeDeps], server_id: str, port_id: str) -> Interface:
    for interface in call.deps.network.interfaces(call.tx, server_id):
        if interface.port_id == port_id:
            return interface
    raise NotFound(f"Port {port_id} could not be found on instance {server_id}.")


def _view(interface: Interface) -> InterfaceView:
    addresses = [InterfaceAddress(subnet_id, ip) for subnet_id, ip in interface.addresses]
    return InterfaceView(
        interface.network_id, interface.port_id, interface.mac, interface.status, addresses, interface.tag
    )


_ALL = "/v2.1/servers/{server_id}/os-interface"
_ONE = _ALL + "/{port_id}"
_NAME = "interfaceAttachment"
ROUTES = (
    Route("GET", _ALL, index, _PREFIX + "list", envelope="interfaceAttachments"),
    Route("POST", _ALL, create, _PREFIX + "create", body=NewInterface, envelope=_NAME),
    Route("GET", _ONE, show, _PREFIX + "show", envelope=_NAME),
    Route("DELETE", _ONE, delete, _PREFIX + "delete", 202),
)
