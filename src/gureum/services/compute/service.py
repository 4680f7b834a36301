"""The manifest of compute: the API, the lives of servers, the hosts' heartbeats, and the purge of what is gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

from sqlalchemy import delete, select

from gureum.agents.hypervisor.protocol import HYPERVISOR, AgentDirectory
from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.events.event import InTransaction
from gureum.foundation.fleet.fleet import Reports
from gureum.foundation.http.collections import links
from gureum.foundation.http.microversions import Versions
from gureum.foundation.http.routes import Api, Route
from gureum.foundation.service import CatalogEntry, Mounted, Room, Service, Start, Where
from gureum.foundation.tasks.lifecycle import Reconciler
from gureum.services.compute import leftovers
from gureum.services.compute.config import HypervisorConfig, WiringConfig
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.dialect import error_body
from gureum.services.compute.discovery.api import MAXIMUM, MINIMUM
from gureum.services.compute.flavors.api import bootstrap_flavors
from gureum.services.compute.hosts.drift import ServerDrift
from gureum.services.compute.hosts.inventories import HostInventories, Ratios
from gureum.services.compute.hosts.states import HostStates
from gureum.services.compute.nouns import NOUNS
from gureum.services.compute.servers.groups import ServerGroupMember
from gureum.services.compute.servers.lifecycle import ServerLifecycle
from gureum.services.compute.servers.model import Server, ServerAction
from gureum.services.compute.servers.ports import on_addresses_changed, on_ports_changed
from gureum.services.compute.servers.reach import looked_up_first
from gureum.services.compute.servers.snapshot_lifecycle import SnapshotLifecycle
from gureum.services.identity.facade import IdentityFacade
from gureum.services.image.facade import ImageFacade
from gureum.services.network.facade import AddressesChanged, NetworkFacade, PortsChanged
from gureum.services.placement.facade import PlacementFacade

KEEP_DELETED = timedelta(days=1)
PURGE_EVERY_S = 3600.0
PURGE_AT_ONCE = 500


def build(room: Room) -> Mounted:
    section, wiring = room.config(HypervisorConfig), room.config(WiringConfig)
    identity, image = room.facade(IdentityFacade), room.facade(ImageFacade)
    network, placement = room.facade(NetworkFacade), room.facade(PlacementFacade)
    directory = room.driver(AgentDirectory)
    agents = room.fleet.agents(HYPERVISOR, directory, section.heartbeat_timeout_s)
    hosts = HostStates(agents)
    inventories = HostInventories(placement, Ratios(section.cpu_ratio, section.ram_ratio, section.disk_ratio))
    drift = ServerDrift(room.database, room.tasks, agents, room.events)
    deps = ComputeDeps(room.database, room.tasks, hosts, identity, image, network, placement, room.events)
    servers = ServerLifecycle(
        room.database,
        hosts,
        placement,
        network,
        image,
        wiring.port_up_timeout_s,
        section.boot_timeout_s,
        identity.secrets.open_text,
        room.events,
    )
    return replace(
        mounted(deps, servers),
        starts=(Start(Where.WORKER, lambda: directory.changes(drift.server_changed)),),
        reports=(Reports(HYPERVISOR, hosts.arrived, inventories.record, drift.compare),),
    )


def mounted(deps: ComputeDeps, servers: ServerLifecycle) -> Mounted:
    """The API and the lives of servers. Ports that come up and addresses that change wake their servers' tasks."""
    snapshots = SnapshotLifecycle(deps.database, deps.hosts, deps.image, servers.host_timeout_s)
    api = Api(
        "compute",
        "/compute",
        error_body,
        _routes(),
        deps,
        versions=Versions("compute", MINIMUM, MAXIMUM, "X-OpenStack-Nova-API-Version", unversioned="v2"),
        strict_slash=True,
        project_in_path=frozenset({"v2.1", "v2"}),
        request_id_header="X-Compute-Request-Id",
        beside_lists=links.NAMED_LINKS,
    )
    return Mounted(
        apis=(api,),
        lifecycles=(servers.lifecycle(), snapshots.lifecycle()),
        reconcilers=(Reconciler("purge-deleted-servers", PURGE_EVERY_S, lambda: _purge(deps.database)),),
        subscriptions=(
            InTransaction(PortsChanged, partial(on_ports_changed, deps.tasks)),
            InTransaction(AddressesChanged, partial(on_addresses_changed, deps.tasks)),
        ),
        resources=leftovers.resources(deps.tasks),
        bootstrap=bootstrap_flavors,
    )


def _purge(database: Database) -> None:
    purge_deleted(database)


def _routes() -> tuple[Route, ...]:
    """Every noun's routes, and under /v2 the same at the first microversion, for clients from before microversions."""
    routes = tuple(looked_up_first(route) for noun in NOUNS for route in noun.ROUTES)
    first = (route for route in routes if route.path.startswith("/v2.1/") and (route.since or MINIMUM) <= MINIMUM)
    return *routes, *(replace(route, path=route.path.replace("/v2.1/", "/v2/", 1)) for route in first)


def purge_deleted(database: Database) -> int:
    """Forget servers that were deleted longer than a day ago; returns how many."""
    gone = 0
    while purged := database.write(_purge_some):
        gone += purged
    return gone


def _purge_some(tx: Tx) -> int:
    limit = clock.utcnow() - KEEP_DELETED
    old = list(tx.scalars(select(Server.id).where(Server.deleted_at < limit).limit(PURGE_AT_ONCE)))
    if old:
        tx.execute(delete(ServerAction).where(ServerAction.server_id.in_(old)))
        tx.execute(delete(ServerGroupMember).where(ServerGroupMember.server_id.in_(old)))
        tx.execute(delete(Server).where(Server.id.in_(old)))
    return len(old)


SERVICE = Service(
    "compute",
    build,
    config=(HypervisorConfig, WiringConfig),
    rules=tuple(rule for noun in NOUNS for rule in noun.RULES),
    catalog=CatalogEntry("compute", "nova", "/compute/v2.1"),
    needs=(IdentityFacade, ImageFacade, NetworkFacade, PlacementFacade),
    drivers=(AgentDirectory,),
)
