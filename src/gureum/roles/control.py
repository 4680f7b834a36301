"""The control plane put together: config to database, drivers, services and the application.

One `Control` carries all services; a role decides what of it to start (`all_in_one.py`, `api.py`, `worker.py`).
This is the only place, besides tests, that chooses concrete drivers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from gureum.agents.hypervisor.protocol import HypervisorAgent
from gureum.agents.hypervisor.remote import HEARTBEAT, Nothing, RemoteAgent, listen_to_agents
from gureum.agents.hypervisor.simulated import SimulatedHosts, World
from gureum.drivers.network.fake import FakeNetworkDriver
from gureum.drivers.network.interface import NetworkDriver
from gureum.foundation.bus.interface import Bus
from gureum.foundation.bus.open import open_bus
from gureum.foundation.bus.typed import Topic
from gureum.foundation.config import Config, ConfigError
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.schema import ensure_schema
from gureum.foundation.http.app import App
from gureum.foundation.metrics import Metrics
from gureum.foundation.policy import Policy, Rule
from gureum.foundation.policy.operators_file import PolicyFileError
from gureum.foundation.service import ServiceParts
from gureum.foundation.tasks.engine import EngineOptions, TaskEngine
from gureum.foundation.tasks.store import Tasks
from gureum.foundation.tasks.wakes import Wakes, serve_wakes
from gureum.roles.entry import LOOK_S, Rest
from gureum.roles.health import health_api
from gureum.roles.image_stores import build_image_outside
from gureum.roles.simulated_hosts import follow_plugs
from gureum.services.compute import service as compute
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.flavors.api import bootstrap_flavors
from gureum.services.compute.hosts.registry import Beat, HostOptions, HostRegistry
from gureum.services.compute.servers.lifecycle import ServerLifecycle
from gureum.services.identity import service as identity
from gureum.services.identity.bootstrap import Bootstrap
from gureum.services.identity.facade import IdentityFacade
from gureum.services.identity.tokens.revocations import READ_EVERY_S
from gureum.services.image import service as image
from gureum.services.image.facade import ImageFacade
from gureum.services.network import service as network
from gureum.services.network.changes import Changes
from gureum.services.network.facade import NetworkFacade
from gureum.services.placement import service as placement

log = logging.getLogger("gureum.control")

NETWORK_CHANGED = Topic("network.changed", Nothing)
"""Some process committed changes for the network writer, whose lease it does not hold."""

SIMULATED_BEAT_S = 2.0


@dataclass
class Control:
    """Everything of one process. `start_api`, `start_workers` and `stop` may be called once each."""

    config: Config
    database: Database
    metrics: Metrics
    app: App
    engine: TaskEngine
    hosts: HostRegistry
    parts: list[ServiceParts]
    simulated: SimulatedHosts | None
    bus: Bus
    tasks: Tasks
    changes: Changes
    driver: NetworkDriver
    prepare: Callable[[], None]
    _beats: list[Beat] = field(default_factory=list)
    _stops: list[Callable[[], None]] = field(default_factory=list)

    def start_api(self, *, workers: bool = True) -> None:
        """What a process that answers requests needs: revocations read twice a second, policy on change, rest.

        Without `workers` here, those of other processes are woken for what requests start.
        """
        if not workers:
            wakes = Wakes(self.bus)
            self.tasks.run_elsewhere(wakes.tell)
            self._stops += [wakes.stop, HEARTBEAT.subscribe(self.bus, self.hosts.note)]
        for part in self.parts:
            for start in part.on_api_start:
                start()
            self._stops.extend(part.on_api_stop)
        self._beat(self._follow, READ_EVERY_S, "revocations")
        self._beat(Rest().look, LOOK_S, "memory")

    def _follow(self) -> None:
        self.app.policy.reload()
        self.read_revocations()

    read_revocations: Callable[[], None] = lambda: None

    def start_workers(self) -> None:
        """Lifecycles, reconcilers, the network writer and the hosts' heartbeats."""
        self.engine.release_dead()
        for part in self.parts:
            for start in part.on_start:
                start()
            self._stops.extend(part.on_stop)
        self._listen_to_hosts()
        self.engine.start()
        self._stops += [
            serve_wakes(self.bus, self.engine),
            NETWORK_CHANGED.subscribe(self.bus, lambda _: self.changes.wake()),
        ]
        self._beat(self.hosts.flush, 1.0, "heartbeats")

    def _listen_to_hosts(self) -> None:
        if self.simulated is None:
            self._stops.append(listen_to_agents(self.bus, self.hosts))
            if isinstance(self.driver, FakeNetworkDriver):
                self._stops.append(follow_plugs(self.bus, self.driver))
            return
        self.simulated.beat(self.hosts)
        self.hosts.flush()
        self._stops.append(self.simulated.keep_beating(self.hosts, SIMULATED_BEAT_S))

    def _beat(self, work: Callable[[], None], every_s: float, name: str) -> None:
        beat = Beat(work, every_s, name)
        beat.start()
        self._beats.append(beat)

    def stop(self) -> None:
        for beat in self._beats:
            beat.stop()
        for stop in reversed(self._stops):
            stop()
        self.engine.stop()
        self.bus.close()
        self.database.close()


class _OverBus:
    """Hosts' agents behind the bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._agents: dict[str, RemoteAgent] = {}

    def agent(self, host: str) -> HypervisorAgent:
        return self._agents.setdefault(host, RemoteAgent(self._bus, host))


class _InMemory:
    """Hosts' agents in this process."""

    def __init__(self, hosts: SimulatedHosts) -> None:
        self._hosts = hosts

    def agent(self, host: str) -> HypervisorAgent:
        return self._hosts[host]


def build(config: Config, *, alone: bool = True) -> Control:
    """Put a control plane together; nothing runs yet and no table is touched.

    Simulated hosts live in this process when it is `alone`, else in one of their own (`simulated_hosts.py`).
    """
    stored = config.database
    database = Database(config.absolute(stored.url), pool_size=stored.pool_size, durability=stored.durability)
    metrics = Metrics()
    tasks = Tasks()
    workers = config.tasks
    options = EngineOptions(
        workers.workers, workers.lease_s, workers.poll_s, workers.transfers, workers.transfers_of_project
    )
    engine = TaskEngine(database, tasks, options, metrics)
    bus = open_bus(config.absolute(config.bus.url), role="control")
    simulated = alone and config.hypervisor.mode == "simulated"
    driver, hosts_in_memory = _network_driver(config, simulated=simulated)
    changes = Changes()
    changes.announce = lambda: NETWORK_CHANGED.publish(bus, Nothing())

    identity_parts, identity_facade = identity.parts(
        database, config.auth, config.path(config.auth.keys), config.identity, config.bootstrap.region
    )
    placement_parts, placement_facade = placement.parts(database)
    image_parts, image_facade = image.parts(_image_deps(config, database, tasks, identity_facade))
    network_parts, network_facade = network.parts(
        network.NetworkDeps(database, tasks, driver, identity_facade, config.network, changes)
    )
    directory = _InMemory(hosts_in_memory) if hosts_in_memory else _OverBus(bus)
    ratios = config.hypervisor
    registry = HostRegistry(
        database,
        tasks,
        placement_facade,
        directory,
        HostOptions(ratios.cpu_ratio, ratios.ram_ratio, ratios.disk_ratio, ratios.heartbeat_timeout_s),
        metrics,
    )
    deps = ComputeDeps(database, tasks, registry, identity_facade, image_facade, network_facade, placement_facade)
    lifecycle = ServerLifecycle(
        database,
        registry,
        placement_facade,
        network_facade,
        image_facade,
        config.network.port_up_timeout_s,
        config.hypervisor.boot_timeout_s,
        identity_facade.secrets.open_text,
    )
    compute_parts = compute.parts(deps, lifecycle)

    parts = [identity_parts, placement_parts, image_parts, network_parts, compute_parts]
    rules = [rule for part in parts for rule in part.rules]
    policy = _policy(config, rules)
    for part in parts:
        engine.register(part.lifecycles, part.reconcilers)
    app = App(
        [api for part in parts for api in part.apis],
        database,
        policy,
        identity_facade.authentication,
        public_url=config.public_url,
        threads=config.api.threads or (2 if database.is_sqlite else 8),
        max_body_bytes=config.api.max_body_bytes,
        metrics=metrics,
    )
    app.mount(health_api(database, metrics))

    prepare = partial(_prepare, config, database, identity_facade, image_facade, network_facade)
    control = Control(
        config, database, metrics, app, engine, registry, parts, hosts_in_memory, bus, tasks, changes, driver, prepare
    )
    control.read_revocations = identity_facade.read_revocations
    return control


def built(config: Config, *, alone: bool) -> Control:
    """As `build`, for a process. Raises SystemExit with a sentence for the operator."""
    try:
        return build(config, alone=alone)
    except ConfigError as error:
        raise SystemExit(str(error)) from error


def _policy(config: Config, rules: list[Rule]) -> Policy:
    """Raises ConfigError for an operator's file that cannot be used: without it, this cloud would grant more."""
    try:
        return Policy(rules, config.path(config.policy.file) if config.policy.file else None)
    except PolicyFileError as error:
        raise ConfigError(f"[policy] file: {error}") from error


def _prepare(
    config: Config, database: Database, identities: IdentityFacade, images: ImageFacade, networks: NetworkFacade
) -> None:
    """Tables and what a new cloud starts with; repeating it changes nothing."""
    ensure_schema(database)
    start = config.bootstrap
    wanted = Bootstrap(start.admin_password, start.demo_password, start.region, config.public_url)

    def first(tx: Tx) -> None:
        identities.bootstrap(tx, wanted)
        bootstrap_flavors(tx)
        images.bootstrap(tx)
        networks.bootstrap(tx, start.external_cidr, identities.project_id(tx, "admin") or "")

    database.write(first)
    if start.guest_image:
        images.ensure_public("mini", Path(start.guest_image), properties={"hw_rng_model": "virtio"})


def _image_deps(config: Config, database: Database, tasks: Tasks, identities: IdentityFacade) -> image.ImageDeps:
    outside = build_image_outside(config)
    return image.ImageDeps(
        database,
        tasks,
        outside.stores,
        config.image,
        outside.fetcher,
        config.path(config.image.scratch),
        outside.cache,
        outside.converter,
        limits=partial(identities.limits, "image"),
        region=config.bootstrap.region,
        identity=identities,
    )


def _network_driver(config: Config, *, simulated: bool) -> tuple[NetworkDriver, SimulatedHosts | None]:
    if not simulated:
        if config.network.driver == "fake" or config.hypervisor.mode == "simulated":
            return FakeNetworkDriver(), None
        from gureum.drivers.network.ovn.driver import OvnDriver

        section = config.network
        return OvnDriver(section.northbound, section.southbound, owner=section.owner), None
    fake = FakeNetworkDriver()
    hosts = SimulatedHosts(config.hypervisor.simulated_hosts, World(plugs=fake))
    for name in hosts:
        fake.set_host(name, alive=True)
    return fake, hosts
