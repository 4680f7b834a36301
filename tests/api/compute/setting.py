"""Compute's API over the real identity, placement and network services, with hosts that only ever report."""

from __future__ import annotations

from dataclasses import dataclass

from tests.api.client import Client
from tests.room import mount

from gureum.agents.hypervisor.protocol import HYPERVISOR, HostObserved, HostResources
from gureum.drivers.network.fake import FakeNetworkDriver
from gureum.drivers.network.interface import NetworkDriver
from gureum.foundation import clock, ids
from gureum.foundation.bus.in_process import InProcessBus
from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row
from gureum.foundation.errors import Unauthorized
from gureum.foundation.events.outbox import Events
from gureum.foundation.fleet.fleet import Fleet, Reports
from gureum.foundation.http.app import App
from gureum.foundation.http.authentication import Authentication
from gureum.foundation.metrics import Metrics
from gureum.foundation.policy import Policy
from gureum.foundation.tasks.store import Tasks
from gureum.services.compute import service
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.flavors.api import bootstrap_flavors
from gureum.services.compute.hosts.drift import ServerDrift
from gureum.services.compute.hosts.inventories import HostInventories, Ratios
from gureum.services.compute.hosts.states import HostStates
from gureum.services.compute.servers.lifecycle import ServerLifecycle
from gureum.services.compute.servers.model import Server, ServerAction
from gureum.services.identity import service as identity
from gureum.services.identity.facade import IdentityFacade
from gureum.services.identity.projects.model import Project
from gureum.services.network import service as network
from gureum.services.placement import service as placement

UPTIME = " 08:32:11 up 93 days, 18:25,  2 users,  load average: 0.20, 0.12, 0.14"
P1, P2, P0 = "1" * 32, "2" * 32, "0" * 32
CALLERS = {
    "alice": Caller(user_id="alice", project_id=P1, roles=("member", "reader")),
    "rita": Caller(user_id="rita", project_id=P1, roles=("reader",)),
    "bob": Caller(user_id="bob", project_id=P2, roles=("member", "reader")),
    "root": Caller(user_id="root", project_id=P0, roles=("admin", "manager", "member", "reader")),
}


def authenticate(token):
    if token not in CALLERS:
        raise Unauthorized
    return CALLERS[token]


class NoAgents:
    """Nothing here may call a host, unless a test gives it `agents`."""

    agents = None

    def agent(self, host):
        assert self.agents is not None, f"host {host} was called"
        return self.agents.agent(host)


@dataclass
class World:
    app: App
    database: Database
    deps: ComputeDeps
    fleet: Fleet
    drift: ServerDrift
    agents: NoAgents

    def beat(self, *reports: HostObserved) -> None:
        """Heartbeats arrive and are taken in."""
        for report in reports:
            self.fleet.hear(HYPERVISOR, report)
        self.fleet.take_in()

    def as_(self, name: str) -> Client:
        return Client(self.app, {"X-Auth-Token": name})

    def hosts(self, *names: str) -> None:
        """Hosts that have just reported: 8 vCPUs, 16 GiB of memory, 100 GiB of disk."""
        for name in names:
            resources = HostResources(vcpus=8, ram_mib=16384, disk_gib=100, hypervisor_version=7002000)
            self.fleet.hear(HYPERVISOR, HostObserved(name, 1, resources, uptime=UPTIME))
        self.fleet.take_in()

    def server(self, name="one", project_id=P1, **values) -> str:
        """A server at rest, as the lifecycle would leave it."""
        server_id = ids.new_uuid()
        given = {
            "id": server_id,
            "project_id": project_id,
            "user_id": "alice",
            "name": name,
            "hostname": name,
            "reservation_id": "r-1",
            "flavor": {
                "original_name": "m1.tiny",
                "vcpus": 1,
                "ram": 512,
                "disk": 1,
                "ephemeral": 0,
                "swap": 0,
                "extra_specs": {},
            },
            "flavor_id": "1",
            "vcpus": 1,
            "ram_mib": 512,
            "vm_state": "active",
            "task_state": None,
            "launched_at": clock.utcnow(),
            **values,
        }

        def write(tx):
            row = Server(**given)
            tx.add(row)
            tx.flush()
            row.task_state = given["task_state"]  # an insert takes the column's default for None

        self.database.write(write)
        return server_id

    def action(self, server_id: str, request_id: str, **values) -> None:
        given = {"action": "stop", "user_id": "alice", "project_id": P1, **values}
        self.database.write(lambda tx: tx.add(ServerAction(server_id=server_id, request_id=request_id, **given)))

    def row(self, server_id: str) -> Server:
        with self.database.read() as tx:
            return tx.get(Server, server_id)


def build(database: Database, folder) -> World:
    Row.metadata.create_all(database.engine)
    tasks = Tasks()
    who = mount(identity.SERVICE, database, folder).facade
    where = mount(placement.SERVICE, database, folder).facade
    engines, events = {NetworkDriver: FakeNetworkDriver()}, Events()
    wires = mount(
        network.SERVICE, database, folder, facades={IdentityFacade: who}, engines=engines, tasks=tasks, events=events
    ).facade
    fleet, source = Fleet(database, InProcessBus(), Metrics()), NoAgents()
    agents = fleet.agents(HYPERVISOR, source)
    hosts, drift = HostStates(agents), ServerDrift(database, tasks, agents, Events())
    inventories = HostInventories(where, Ratios())
    fleet.subscribe([Reports(HYPERVISOR, hosts.arrived, inventories.record, drift.compare)])
    deps = ComputeDeps(database, tasks, hosts, who, None, wires, where, events)
    mounted = service.mounted(deps, ServerLifecycle(database, hosts, where, wires, None))
    events.subscribe(mounted.subscriptions)
    authentication = Authentication(authenticate, authenticate)
    app = App(mounted.apis, database, Policy(service.SERVICE.rules), authentication, public_url="http://cloud")

    def fill(tx):
        bootstrap_flavors(tx)
        for id_ in (P0, P1, P2):
            tx.add(Project(id=id_, name=id_[:4], domain_id="default"))

    database.write(fill)
    return World(app, database, deps, fleet, drift, source)


def at(version):
    return {"OpenStack_API_Version": f"compute {version}"}
