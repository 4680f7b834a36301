"""A server's addresses by network, and its security groups. Source: compute API reference, "Servers IPs"."""

from __future__ import annotations

from gureum.foundation.errors import NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.servers import seen, views
from gureum.services.compute.servers.views import ShortAddress
from gureum.services.network.facade import LegacyGroup

READER = "rule:project_reader_or_admin"
_IPS = "os_compute_api:ips:"
_GROUPS = "os_compute_api:os-security-groups:list"

RULES = (
    Rule(_IPS + "index", READER, "List a server's addresses"),
    Rule(_IPS + "show", READER, "Show a server's addresses on one network"),
    Rule(_GROUPS, READER, "List a server's security groups"),
)


def _addresses(call: Call[ComputeDeps], server_id: str) -> dict[str, list[ShortAddress]]:
    server = seen.find(call.tx, call.caller, server_id)
    return views.short_addresses(call.deps.network.addresses(call.tx, [server.id]).get(server.id, []))


def index(call: Call[ComputeDeps], server_id: str) -> dict[str, list[ShortAddress]]:
    return _addresses(call, server_id)


def show(call: Call[ComputeDeps], server_id: str, network: str) -> dict[str, list[ShortAddress]]:
    by_network = _addresses(call, server_id)
    if network not in by_network:
        raise NotFound("Network name not found")
    return {network: by_network[network]}


def security_groups(call: Call[ComputeDeps], server_id: str) -> list[LegacyGroup]:
    server = seen.find(call.tx, call.caller, server_id)
    return call.deps.network.security_groups.of_server(call.tx, server.id)


_ONE = "/v2.1/servers/{server_id}"
ROUTES = (
    Route("GET", _ONE + "/ips", index, _IPS + "index", envelope="addresses"),
    Route("GET", _ONE + "/ips/{network}", show, _IPS + "show"),
    Route("GET", _ONE + "/os-security-groups", security_groups, _GROUPS, envelope="security_groups"),
)
