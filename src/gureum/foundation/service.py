"""The contract of a service: what its folder says of itself, what it is built with, and what it hands back.

A service is one folder whose `service.py` holds `SERVICE = Service(...)`. `build(room)` takes what the manifest named
out of the `Room` and returns a `Mounted`. Everything central (configuration, catalog, policy, migrations, documents) is
derived from these; nothing here names a service. Read next: `gureum/roles/catalogue.py`, the list of them.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast

from gureum.foundation.bus.interface import Bus
from gureum.foundation.config import Config, Section
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.events.event import Subscription
from gureum.foundation.events.outbox import Events
from gureum.foundation.fleet.fleet import Fleet, Reports
from gureum.foundation.http.authentication import Authentication
from gureum.foundation.http.routes import Api
from gureum.foundation.leftovers.projects import DeletedProjects, ProjectResources
from gureum.foundation.metrics import Metrics
from gureum.foundation.policy import Rule
from gureum.foundation.schedule import Periodic
from gureum.foundation.tasks.lifecycle import Lifecycle, Reconciler
from gureum.foundation.tasks.store import Tasks

T = TypeVar("T")
S = TypeVar("S", bound=Section)
Stop = Callable[[], None]


class ContractError(Exception):
    """A service asks for what its manifest does not name, or what nobody offers."""


class Where(enum.Enum):
    """Which processes start something."""

    API = "those that answer requests"
    API_ALONE = "those that answer requests and run no tasks"
    WORKER = "those that run tasks"


@dataclass(frozen=True, slots=True)
class Start:
    """Something that a process starts. `work` returns what ends it, or None."""

    where: Where
    work: Callable[[], Stop | None]


class Background(Protocol):
    """A thread of its own in every process that runs tasks; a lease decides which of them works.

    `run_once` is one round of its work, for tests that let no thread run.
    """

    name: str

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def run_once(self) -> None: ...


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """How clients find the API: its type and name in the service catalog, and the path of its endpoint."""

    type: str
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Mounted:
    """A service that was built.

    `facade` is the one object of the type that the manifest offers. `bootstrap` runs at every start in one transaction
    with that of all services and changes nothing the second time; `after_bootstrap` follows it, for what takes longer.
    `authentication` is given by the one service that issues tokens. `resources` are what the service holds of projects.
    `reports` says what is done with the heartbeats of agents.
    """

    facade: object = None
    apis: tuple[Api, ...] = ()
    lifecycles: tuple[Lifecycle, ...] = ()
    reconcilers: tuple[Reconciler, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    reports: tuple[Reports[Any], ...] = ()
    resources: ProjectResources | None = None
    starts: tuple[Start, ...] = ()
    background: tuple[Background, ...] = ()
    api_periodic: tuple[Periodic, ...] = ()
    worker_periodic: tuple[Periodic, ...] = ()
    authentication: Authentication | None = None
    bootstrap: Callable[[Tx], None] | None = None
    after_bootstrap: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A service's manifest.

    `config` are its sections of gureum.toml, `rules` its policy rules, `catalog` its entry in the service catalog.
    `offers` is the type of its facade, `needs` those of other services' facades, `drivers` the interfaces of the
    engines that it drives. Its migrations lie in the folder `migrations` beside the manifest.
    """

    name: str
    build: Callable[[Room], Mounted]
    config: tuple[type[Section], ...] = ()
    rules: tuple[Rule, ...] = ()
    catalog: CatalogEntry | None = None
    offers: type | None = None
    needs: tuple[type, ...] = ()
    drivers: tuple[type, ...] = ()


@dataclass(frozen=True)
class Building:
    """What all services of one process stand on. `driver(interface)` is the engine that the configuration chose.

    The process is `alone` if it is the whole control plane.
    """

    config: Config
    database: Database
    tasks: Tasks
    bus: Bus
    metrics: Metrics
    fleet: Fleet
    driver: Callable[[type[Any]], Any]
    catalog: tuple[CatalogEntry, ...] = ()
    facades: dict[type, object] = field(default_factory=dict)
    events: Events = field(default_factory=Events)
    deleted_projects: DeletedProjects = field(default_factory=DeletedProjects)
    alone: bool = True


class Room:
    """What one service is built with: the foundation, and of the rest what its manifest names."""

    def __init__(self, service: Service, building: Building) -> None:
        self._service = service
        self._building = building
        self.database = building.database
        self.tasks = building.tasks
        self.bus = building.bus
        self.metrics = building.metrics
        self.fleet = building.fleet
        self.events = building.events
        self.deleted_projects = building.deleted_projects
        self.catalog = building.catalog
        self.alone = building.alone
        self.region = building.config.region
        self.public_url = building.config.public_url
        self.path = building.config.path

    def config(self, kind: type[S]) -> S:
        """The service's own options of this kind. Raises ConfigError."""
        self._require(kind in self._service.config, f"the options {kind.__name__}")
        return self._building.config.section(kind)

    def facade(self, kind: type[T]) -> T:
        """Another service, through its facade."""
        self._require(kind in self._service.needs, f"the facade {kind.__name__}")
        return cast("T", self._building.facades[kind])

    def driver(self, interface: type[T]) -> T:
        """The engine behind an interface. Raises ConfigError for one that cannot be used."""
        self._require(interface in self._service.drivers, f"the driver {interface.__name__}")
        return cast("T", self._building.driver(interface))

    def _require(self, named: bool, thing: str) -> None:
        if not named:
            raise ContractError(f"the service {self._service.name} uses {thing}, which its manifest does not name")


def in_order(services: Iterable[Service]) -> list[Service]:
    """The services, each after those that it needs. Raises ContractError for one that is missing and for circles."""
    waiting = {service.name: service for service in services}
    offered: dict[type, str] = {service.offers: service.name for service in waiting.values() if service.offers}
    ordered: list[Service] = []
    while waiting:
        ready = [s for s in waiting.values() if not any(offered.get(need) in waiting for need in s.needs)]
        if not ready:
            raise ContractError(f"these services need each other in a circle: {', '.join(sorted(waiting))}")
        for service in ready:
            if absent := [need.__name__ for need in service.needs if need not in offered]:
                raise ContractError(f"the service {service.name} needs {absent[0]}, which no enabled service offers")
            ordered.append(waiting.pop(service.name))
    return ordered


def build_services(services: Iterable[Service], building: Building) -> Mapping[str, Mounted]:
    """Build the services in the order of their needs; name -> what it handed back."""
    mounted: dict[str, Mounted] = {}
    for service in in_order(services):
        part = service.build(Room(service, building))
        if service.offers is not None:
            if not isinstance(part.facade, service.offers):
                raise ContractError(f"the service {service.name} does not hand back the {service.offers.__name__}")
            building.facades[service.offers] = part.facade
        building.events.subscribe(part.subscriptions)
        building.fleet.subscribe(part.reports)
        if part.resources is not None:
            building.deleted_projects.add(service.name, part.resources)
        mounted[service.name] = part
    return mounted
