"""Routes that answer why they do nothing: what the reference withdrew is 410, what this cloud does not offer is 501.

Actions of servers of the same kinds stand in `servers/not_offered.py`.
Source: compute API reference, chapters marked as obsolete, "Server consoles", "Servers diagnostics".
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from gureum.foundation.errors import Gone, NotImplementedHere
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.servers import seen

_RULE = "os_compute_api:withdrawn"
_CONSOLES = "os_compute_api:os-remote-consoles"
_DIAGNOSTICS = "os_compute_api:os-server-diagnostics"

RULES = (
    Rule(_RULE, "rule:any_authenticated", "Learn that a part of the API was withdrawn", unbounded="nothing is there"),
    Rule(_CONSOLES, "rule:project_member_or_admin", "Open a server's console"),
    Rule(_DIAGNOSTICS, "rule:admin", "See a server's diagnostics"),
)

GONE = {
    "os-agents": "GET POST",
    "os-agents/{name}": "PUT DELETE",
    "os-cells": "GET POST",
    "os-cells/capacities": "GET",
    "os-cells/detail": "GET",
    "os-cells/info": "GET",
    "os-cells/sync_instances": "POST",
    "os-cells/{name}": "GET PUT DELETE",
    "os-cells/{name}/capacities": "GET",
    "os-certificates": "POST",
    "os-certificates/{name}": "GET",
    "os-cloudpipe": "GET POST",
    "os-cloudpipe/{name}": "PUT",
    "os-fixed-ips/{name}": "GET",
    "os-fixed-ips/{name}/action": "POST",
    "os-floating-ip-dns": "GET",
    "os-floating-ip-dns/{name}": "PUT DELETE",
    "os-floating-ip-dns/{name}/entries/{key}": "GET PUT DELETE",
    "os-floating-ips-bulk": "GET POST",
    "os-floating-ips-bulk/{name}": "GET PUT",
    "os-fping": "GET",
    "os-fping/{server_id}": "GET",
    "os-security-group-default-rules": "GET POST",
    "os-security-group-default-rules/{name}": "GET DELETE",
    "servers/{server_id}/consoles": "GET POST",
    "servers/{server_id}/consoles/{name}": "GET DELETE",
    "servers/{server_id}/os-virtual-interfaces": "GET",
}
"""path -> methods, of what the reference has no more at any microversion."""


class Console(Struct, forbid_unknown_fields=True):
    protocol: Literal["vnc", "spice", "rdp", "serial", "mks"]
    type: Literal["novnc", "xvpvnc", "spice-html5", "spice-direct", "rdp-html5", "serial", "webmks"]


def gone(_call: Call[ComputeDeps], server_id: str = "", name: str = "", key: str = "") -> None:  # noqa: ARG001
    """Answer 410, whatever the path names."""
    raise Gone("This part of the API was withdrawn and has no successor in it.")


def console(call: Call[ComputeDeps], body: Console, server_id: str) -> None:  # noqa: ARG001 checked, and no more
    seen.find(call.tx, call.caller, server_id)
    raise NotImplementedHere("This cloud offers no remote consoles yet; the console log is there.")


def diagnostics(call: Call[ComputeDeps], server_id: str) -> None:
    seen.find(call.tx, call.caller, server_id)
    raise NotImplementedHere("This cloud offers no server diagnostics yet.")


_SERVER = "/v2.1/servers/{server_id}"
ROUTES = (
    *(
        Route(method, f"/v2.1/{path}", gone, _RULE, 410, transaction="none")
        for path, methods in GONE.items()
        for method in methods.split()
    ),
    Route(
        "POST",
        _SERVER + "/remote-consoles",
        console,
        _CONSOLES,
        501,
        body=Console,
        envelope="remote_console",
        since=(2, 6),
    ),
    Route("GET", _SERVER + "/diagnostics", diagnostics, _DIAGNOSTICS, 501),
)
