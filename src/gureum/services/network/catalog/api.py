"""Routes about the API itself. Source: network API reference, "API versions", "Extensions", "Agents",
"Availability zones", "Network IP availability", "Service providers".
"""

from __future__ import annotations

import uuid
from typing import Literal

from msgspec import field
from sqlalchemy import select

from gureum.foundation import clock
from gureum.foundation.db.prepared import columns_of
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import PUBLIC, Route
from gureum.foundation.http.views import JsonValue, Link, View
from gureum.foundation.policy import Rule
from gureum.services.network import errors, listing
from gureum.services.network.catalog import address_use, zones
from gureum.services.network.catalog.address_use import NetworkName, NetworkUse
from gureum.services.network.catalog.extensions import ExtensionView, extensions
from gureum.services.network.context import NetworkContext
from gureum.services.network.networks.model import Network
from gureum.services.network.views import select_fields

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


class VersionView(View):
    id: str
    status: str
    links: list[Link]


class ResourceView(View):
    name: str
    collection: str
    links: list[Link]


class AgentView(View):
    id: str
    agent_type: str
    binary: str
    host: str
    topic: str
    admin_state_up: bool
    alive: bool
    availability_zone: str
    heartbeat_timestamp: str | None
    configurations: dict[str, JsonValue] = field(default_factory=dict)
    description: str = ""
    resources_synced: None = None
    created_at: None = None
    started_at: None = None


class ZoneView(View):
    name: str
    resource: Literal["network", "router"]
    state: Literal["available"]


class ProviderView(View):
    service_type: str
    name: str
    default: bool


def versions(call: Call[NetworkContext]) -> list[VersionView]:
    return [VersionView("v2.0", "CURRENT", [Link("self", f"{call.base_url}/v2.0/")])]


def resources(call: Call[NetworkContext]) -> list[ResourceView]:
    return [
        ResourceView(name, collection, [Link("self", f"{call.base_url}/v2.0/{collection}")])
        for name, collection in _RESOURCES
    ]


def index_extensions(call: Call[NetworkContext]) -> list[ExtensionView]:
    shown = list(extensions())
    select_fields(call, shown)
    return shown


def show_extension(_call: Call[NetworkContext], alias: str) -> ExtensionView:
    extension = next((extension for extension in extensions() if extension.alias == alias), None)
    if extension is None:
        raise errors.missing("extension", alias)
    return extension


def agents(call: Call[NetworkContext]) -> list[AgentView]:
    hosts = call.deps.driver.hosts() if call.allows("get_agent", **call.own_target()) else {}
    shown = [_agent(host, alive=alive) for host, alive in sorted(hosts.items())]
    for name, value in call.query:
        if name in _AGENT_FILTERS:
            expected = filters.boolean(name, value) if name in ("alive", "admin_state_up") else value
            shown = [agent for agent in shown if getattr(agent, name) == expected]
    select_fields(call, shown)
    return shown


def agent(call: Call[NetworkContext], agent_id: str) -> AgentView:
    for host, alive in call.deps.driver.hosts().items():
        if _agent_id(host) == agent_id:
            shown = _agent(host, alive=alive)
            select_fields(call, [shown])
            return shown
    raise errors.missing("agent", agent_id)


def _agent_id(host: str) -> str:
    return str(uuid.uuid5(_AGENTS, host))


def _agent(host: str, *, alive: bool) -> AgentView:
    now = clock.utcnow().isoformat(sep=" ", timespec="seconds")
    return AgentView(
        id=_agent_id(host),
        agent_type="OVN Controller Gateway agent",
        binary="ovn-controller",
        host=host,
        topic="n/a",
        admin_state_up=True,
        alive=alive,
        availability_zone=zones.NAMES[0],
        heartbeat_timestamp=now if alive else None,
    )


def availability_zones(call: Call[NetworkContext]) -> list[ZoneView]:
    kinds: tuple[Literal["network", "router"], ...] = ("network", "router")
    shown = [ZoneView(name, kind, "available") for name in zones.NAMES for kind in kinds]
    for name, value in call.query:
        if name in _OF_ZONES:
            expected = value if name == "name" else value.lower()
            shown = [zone for zone in shown if getattr(zone, name) == expected]
    return shown


def service_providers(_call: Call[NetworkContext]) -> list[ProviderView]:
    """No service here has alternative providers."""
    return []


def availabilities(call: Call[NetworkContext]) -> list[NetworkUse]:
    statement = select(*columns_of(Network, NetworkName)).order_by(Network.created_at, Network.id)
    columns = {"network_id": Network.id, "network_name": Network.name, "tenant_id": Network.project_id}
    columns["project_id"] = Network.project_id
    for name, column in columns.items():
        if call.params(name):
            statement = statement.where(column.in_(call.params(name)))
    ip_versions = [filters.integer("ip_version", value) for value in call.params("ip_version")]
    networks = [NetworkName(*row) for row in call.tx.execute(statement)]
    return address_use.views(call.tx, networks, ip_versions)


def availability(call: Call[NetworkContext], network_id: str) -> NetworkUse:
    row = call.tx.execute(select(*columns_of(Network, NetworkName)).where(Network.id == network_id)).first()
    if row is None:
        raise errors.missing("network", network_id)
    return address_use.views(call.tx, [NetworkName(*row)], ())[0]


_AVAILABLE = "/v2.0/network-ip-availabilities"
_OF_AVAILABLE = "get_network_ip_availability"
ROUTES = (
    Route("GET", "/", versions, PUBLIC, envelope="versions", transaction="none"),
    Route("GET", "/v2.0", resources, PUBLIC, envelope="resources", transaction="none"),
    Route(
        "GET",
        "/v2.0/extensions",
        index_extensions,
        "get_extension",
        envelope="extensions",
        transaction="none",
        query=listing.FIELDS,
    ),
    Route(
        "GET",
        "/v2.0/extensions/{alias}",
        show_extension,
        "get_extension",
        envelope="extension",
        transaction="none",
    ),
    Route("GET", "/v2.0/agents", agents, "list_agents", envelope="agents", transaction="none", query=_OF_AGENTS),
    Route(
        "GET",
        "/v2.0/agents/{agent_id}",
        agent,
        "get_agent",
        envelope="agent",
        transaction="none",
        query=listing.FIELDS,
    ),
    Route(
        "GET",
        "/v2.0/availability_zones",
        availability_zones,
        "get_availability_zone",
        envelope="availability_zones",
        transaction="none",
        query=_OF_ZONES,
    ),
    Route(
        "GET",
        "/v2.0/service-providers",
        service_providers,
        "get_service_provider",
        envelope="service_providers",
        transaction="none",
    ),
    Route(
        "GET",
        _AVAILABLE,
        availabilities,
        _OF_AVAILABLE,
        envelope="network_ip_availabilities",
        query=_OF_AVAILABILITIES,
    ),
    Route("GET", _AVAILABLE + "/{network_id}", availability, _OF_AVAILABLE, envelope="network_ip_availability"),
)
