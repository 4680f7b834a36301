"""Routes about the API itself. Source: network API reference, "API versions", "Extensions", "Agents",
"Availability zones", "Network IP availability", "Service providers".
"""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import select

from gureum.foundation import clock
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import PUBLIC, Route
from gureum.foundation.policy import Rule
from gureum.services.network import errors, listing
from gureum.services.network.catalog import address_use, zones
from gureum.services.network.catalog.extensions import EXTENSIONS
from gureum.services.network.networks.model import Network

_SAME = "the same for every project"
RULES = (
    Rule("get_extension", "@", "See the extensions of the API", unbounded=_SAME),
    Rule(
        "get_service_provider",
        "rule:admin or role:reader",
        "See the providers, of which there are none",
        unbounded=_SAME,
    ),
    Rule("list_agents", "@", "List agents", unbounded="without `get_agent` the list is empty"),
    Rule("get_agent", "rule:admin", "See the network agents of hosts; others see an empty list"),
    Rule("get_availability_zone", "rule:admin or role:reader", "See availability zones", unbounded=_SAME),
    Rule("get_network_ip_availability", "rule:admin", "See how many addresses networks have left"),
)
_AGENTS = uuid.UUID("3b1a2a4e-8a0c-5f65-9d0a-7f4f4f0f5f11")
_RESOURCES = (
    ("network", "networks"),
    ("subnet", "subnets"),
    ("port", "ports"),
    ("router", "routers"),
    ("floatingip", "floatingips"),
    ("security_group", "security-groups"),
    ("security_group_rule", "security-group-rules"),
    ("quota", "quotas"),
    ("agent", "agents"),
    ("availability_zone", "availability_zones"),
    ("network_ip_availability", "network-ip-availabilities"),
    ("extension", "extensions"),
)


_AGENT_FILTERS = ("host", "agent_type", "binary", "id", "topic", "alive", "admin_state_up", "availability_zone")
_OF_AGENTS = (*listing.FIELDS, *_AGENT_FILTERS)
_OF_ZONES = ("name", "resource", "state")
_OF_AVAILABILITIES = ("network_id", "network_name", "tenant_id", "project_id", "ip_version")


def versions(call: Call[Any]) -> dict[str, Any]:
    link = {"rel": "self", "href": f"{call.base_url}/v2.0/"}
    return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [link]}]}


def resources(call: Call[Any]) -> dict[str, Any]:
    return {
        "resources": [
            {
                "name": name,
                "collection": collection,
                "links": [{"rel": "self", "href": f"{call.base_url}/v2.0/{collection}"}],
            }
            for name, collection in _RESOURCES
        ]
    }


def extensions(call: Call[Any]) -> dict[str, Any]:
    return {"extensions": listing.select_fields(call, EXTENSIONS)}


def extension(_call: Call[Any], alias: str) -> dict[str, Any]:
    for one in EXTENSIONS:
        if one["alias"] == alias:
            return {"extension": one}
    raise errors.missing("extension", alias)


def agents(call: Call[Any]) -> dict[str, Any]:
    hosts = call.deps.driver.hosts() if call.allows("get_agent", **call.own_target()) else {}
    found = [_agent(host, alive=alive) for host, alive in sorted(hosts.items())]
    for name, value in call.query:
        if name in _AGENT_FILTERS:
            asked = filters.boolean(name, value) if name in ("alive", "admin_state_up") else value
            found = [one for one in found if one[name] == asked]
    return {"agents": listing.select_fields(call, found)}


def agent(call: Call[Any], agent_id: str) -> dict[str, Any]:
    for host, alive in call.deps.driver.hosts().items():
        if _agent_id(host) == agent_id:
            return {"agent": listing.select_fields(call, [_agent(host, alive=alive)])[0]}
    raise errors.missing("agent", agent_id)


def _agent_id(host: str) -> str:
    return str(uuid.uuid5(_AGENTS, host))


def _agent(host: str, *, alive: bool) -> dict[str, Any]:
    now = clock.utcnow().isoformat(sep=" ", timespec="seconds")
    return {
        "id": _agent_id(host),
        "agent_type": "OVN Controller Gateway agent",
        "binary": "ovn-controller",
        "host": host,
        "topic": "n/a",
        "admin_state_up": True,
        "alive": alive,
        "availability_zone": zones.NAMES[0],
        "configurations": {},
        "description": "",
        "resources_synced": None,
        "created_at": None,
        "started_at": None,
        "heartbeat_timestamp": now if alive else None,
    }


def availability_zones(call: Call[Any]) -> dict[str, Any]:
    found = [
        {"name": name, "resource": resource, "state": "available"}
        for name in zones.NAMES
        for resource in ("network", "router")
    ]
    for name, value in call.query:
        if name in _OF_ZONES:
            found = [one for one in found if one[name] == (value if name == "name" else value.lower())]
    return {"availability_zones": found}


def service_providers(_call: Call[Any]) -> dict[str, Any]:
    """No service here has alternative providers."""
    return {"service_providers": []}


def availabilities(call: Call[Any]) -> dict[str, Any]:
    statement = select(Network.id, Network.name, Network.project_id).order_by(Network.created_at, Network.id)
    columns = {"network_id": Network.id, "network_name": Network.name, "tenant_id": Network.project_id}
    columns["project_id"] = Network.project_id
    for name, column in columns.items():
        if call.params(name):
            statement = statement.where(column.in_(call.params(name)))
    versions_wanted = [filters.integer("ip_version", value) for value in call.params("ip_version")]
    return {"network_ip_availabilities": address_use.views(call.tx, call.tx.execute(statement).all(), versions_wanted)}


def availability(call: Call[Any], network_id: str) -> dict[str, Any]:
    found = select(Network.id, Network.name, Network.project_id).where(Network.id == network_id)
    rows = call.tx.execute(found).all()
    if not rows:
        raise errors.missing("network", network_id)
    return {"network_ip_availability": address_use.views(call.tx, rows, ())[0]}


_AVAILABLE = "/v2.0/network-ip-availabilities"
ROUTES = (
    Route("GET", "/", versions, PUBLIC, transaction="none"),
    Route("GET", "/v2.0", resources, PUBLIC, transaction="none"),
    Route("GET", "/v2.0/extensions", extensions, "get_extension", transaction="none", query=listing.FIELDS),
    Route("GET", "/v2.0/extensions/{alias}", extension, "get_extension", transaction="none"),
    Route("GET", "/v2.0/agents", agents, "list_agents", transaction="none", query=_OF_AGENTS),
    Route("GET", "/v2.0/agents/{agent_id}", agent, "get_agent", transaction="none", query=listing.FIELDS),
    Route(
        "GET",
        "/v2.0/availability_zones",
        availability_zones,
        "get_availability_zone",
        transaction="none",
        query=_OF_ZONES,
    ),
    Route("GET", "/v2.0/service-providers", service_providers, "get_service_provider", transaction="none"),
    Route("GET", _AVAILABLE, availabilities, "get_network_ip_availability", query=_OF_AVAILABILITIES),
    Route("GET", _AVAILABLE + "/{network_id}", availability, "get_network_ip_availability"),
)
