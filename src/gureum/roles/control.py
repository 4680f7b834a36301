"""The control plane put together: a configuration, the services that it enables, and the application over them.

One `Control` carries all services of a cloud; a role decides what of it to start (`all_in_one.py`, `api.py`,
`worker.py`). Nothing here names a service: read next `catalogue.py` for which there are, `drivers/` for engines.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from gureum.foundation.bus.interface import Bus
from gureum.foundation.bus.open import open_bus
from gureum.foundation.bus.typed import Nothing
from gureum.foundation.config import Config, ConfigError
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.schema import Schema
from gureum.foundation.events.outbox import Events
from gureum.foundation.events.positions import mend_restored, purge
from gureum.foundation.events.reader import WRITTEN, EventReader
from gureum.foundation.fleet.directory import forgetting
from gureum.foundation.fleet.fleet import WRITE_EVERY_S, Fleet
from gureum.foundation.http.app import App
from gureum.foundation.leftovers.projects import DeletedProjects
from gureum.foundation.metrics import Metrics
from gureum.foundation.policy import Policy, Rule
from gureum.foundation.policy.operators_file import PolicyFileError
from gureum.foundation.schedule import Periodic, Schedule
from gureum.foundation.service import Background, Building, Mounted, Service, Stop, Where, build_services
from gureum.foundation.tasks.engine import EngineOptions, TaskEngine
from gureum.foundation.tasks.leases import under_lease
from gureum.foundation.tasks.lifecycle import Reconciler
from gureum.foundation.tasks.store import Tasks
from gureum.foundation.tasks.wakes import Wakes, serve_wakes
from gureum.roles.assembly import CATALOGUE, Catalogue
from gureum.roles.drivers import Drivers
from gureum.roles.entry import LOOK_S, Rest
from gureum.roles.health import health_api

log = logging.getLogger("gureum.control")

RELOAD_POLICY_S = 0.5
PURGE_EVENTS_EVERY_S = 3600.0


@dataclass
class Control:
    """Everything of one process. `start_api`, `start_workers` and `stop` may be called once each."""

    config: Config
    database: Database
    metrics: Metrics
    app: App
    engine: TaskEngine
    services: tuple[Service, ...]
    mounted: Mapping[str, Mounted]
    drivers: Drivers
    bus: Bus
    tasks: Tasks
    schedule: Schedule
    reconciling: Schedule
    schema: Schema
    events: Events
    deleted_projects: DeletedProjects
    reader: EventReader
    fleet: Fleet
    _stops: list[Callable[[], None]] = field(default_factory=list)

    def prepare(self) -> None:
        """Tables and what a new cloud starts with; repeating it changes nothing."""
        self.schema.ensure(self.database)

        def first(tx: Tx) -> None:
            mend_restored(tx)
            self.events.bootstrap(tx)
            for part in self.mounted.values():
                if part.bootstrap is not None:
                    part.bootstrap(tx)

        self.database.write(first)
        for part in self.mounted.values():
            if part.after_bootstrap is not None:
                part.after_bootstrap()

    def endpoints(self) -> str:
        """A line for each entry of the service catalog: its type, and the path of its endpoint."""
        entries = [service.catalog for service in self.services if service.catalog is not None]
        return "".join(f"{entry.type} {entry.path}\n" for entry in entries)

    def start_api(self, *, workers: bool = True) -> None:
        """What a process that answers requests needs. Without `workers` here, those of other processes are woken."""
        if not workers:
            wakes = Wakes(self.bus)
            self.tasks.run_elsewhere(wakes.tell)
            self._stops.append(wakes.stop)
            self._stops.append(self.fleet.listen(keep=False))
            self._start(Where.API_ALONE)
        self._start(Where.API)
        self.schedule.add(
            *(job for part in self.mounted.values() for job in part.api_periodic),
            Periodic("policy", RELOAD_POLICY_S, self.app.policy.reload),
            Periodic("memory", LOOK_S, Rest().look),
        )
        self.schedule.start()

    def start_workers(self) -> None:
        """Lifecycles, reconcilers and what services run in the background."""
        self.engine.release_dead()
        for one in self.background.values():
            one.start()
            self._stops.append(one.stop)
        self._start(Where.WORKER)
        self._stops.append(self.fleet.listen(keep=True))
        self.engine.start()
        self._stops.append(serve_wakes(self.bus, self.engine))
        self.schedule.add(
            *(job for part in self.mounted.values() for job in part.worker_periodic),
            Periodic("heartbeats", WRITE_EVERY_S, self.fleet.record),
            Periodic("comparisons", WRITE_EVERY_S, self.fleet.compare),
        )
        self.schedule.start()
        self.reconciling.add(*(under_lease(one, self.database, self.engine.owner) for one in self._reconcilers()))
        self.reconciling.start()

    def _reconcilers(self) -> Iterator[Reconciler]:
        yield _purging(self.database, self.events, self.config.events.keep_days)
        yield self.deleted_projects.reconciler(self.database)
        yield forgetting(self.database)
        for part in self.mounted.values():
            yield from part.reconcilers

    @property
    def background(self) -> dict[str, Background]:
        """By name."""
        found: list[Background] = [self.reader, *(one for part in self.mounted.values() for one in part.background)]
        return {one.name: one for one in found}

    def _start(self, where: Where) -> None:
        starts = [*self.drivers.starts, *(start for part in self.mounted.values() for start in part.starts)]
        stops: list[Stop | None] = [start.work() for start in starts if start.where is where]
        self._stops += [stop for stop in stops if stop is not None]

    def stop(self) -> None:
        """End everything; what cannot end well (a lease that the database does not take back) is logged, no more."""
        for stop in (self.schedule.stop, self.reconciling.stop, *reversed(self._stops), self.engine.stop, self.close):
            try:
                stop()
            except Exception:
                log.exception("something does not end as it should")

    def close(self) -> None:
        """Of a process that started nothing."""
        self.bus.close()
        self.database.close()


def build(
    config: Config,
    *,
    alone: bool = True,
    catalogue: Catalogue = CATALOGUE,
    overrides: Mapping[type, object] | None = None,
) -> Control:
    """Put a control plane together; nothing runs yet and no table is touched.

    `alone` says that this process is the whole cloud. `overrides` are engines in the place of those that the
    configuration names, interface -> engine. Raises ConfigError.
    """
    services = catalogue.check(config)
    stored, run = config.database, config.tasks
    database = Database(config.absolute(stored.url), pool_size=stored.pool_size, durability=stored.durability)
    metrics = Metrics()
    options = EngineOptions(run.workers, run.lease_s, run.poll_s, run.transfers, run.transfers_of_project)
    engine = TaskEngine(database, options, metrics)
    tasks = Tasks(engine)
    bus = open_bus(config.absolute(config.bus.url), role="control")
    drivers = Drivers(config, bus, services, alone=alone, overrides=overrides)
    entries = tuple(service.catalog for service in services if service.catalog is not None)
    events, deleted_projects = Events(config.events.record), DeletedProjects(tasks)
    events.announce = lambda: WRITTEN.publish(bus, Nothing())
    fleet = Fleet(database, bus, metrics)
    foundation = Building(
        config, database, tasks, bus, metrics, fleet, drivers.get, entries, {}, events, deleted_projects, alone
    )
    mounted = build_services(services, foundation)
    for part in mounted.values():
        engine.register(part.lifecycles)
    engine.register((deleted_projects.lifecycle(),))
    app = _application(config, database, metrics, services, mounted)
    return Control(
        config,
        database,
        metrics,
        app,
        engine,
        tuple(services),
        mounted,
        drivers,
        bus,
        tasks,
        Schedule(),
        Schedule(),
        catalogue.schema(services),
        events,
        deleted_projects,
        EventReader(database, events, bus, lambda: tasks.owner),
        fleet,
    )


def _purging(database: Database, events: Events, keep_days: int) -> Reconciler:
    keep = timedelta(days=keep_days)
    return Reconciler("purge-events", PURGE_EVENTS_EVERY_S, lambda: _purge(database, events, keep))


def _purge(database: Database, events: Events, keep: timedelta) -> None:
    purge(database, events.durable, keep)


def built(config: Config, *, alone: bool) -> Control:
    """As `build`, for a process. Raises SystemExit with a sentence for the operator."""
    try:
        return build(config, alone=alone)
    except ConfigError as error:
        raise SystemExit(str(error)) from error


def _application(
    config: Config, database: Database, metrics: Metrics, services: list[Service], mounted: Mapping[str, Mounted]
) -> App:
    ways = [part.authentication for part in mounted.values() if part.authentication is not None]
    if len(ways) != 1:
        raise ConfigError(f"[services]: {len(ways)} of those that are enabled say who calls; it has to be one")
    app = App(
        [api for part in mounted.values() for api in part.apis],
        database,
        _policy(config, [rule for service in services for rule in service.rules]),
        ways[0],
        public_url=config.public_url,
        threads=config.api.threads or (2 if database.is_sqlite else 8),
        max_body_bytes=config.api.max_body_bytes,
        metrics=metrics,
    )
    app.mount(health_api(database, metrics))
    return app


def _policy(config: Config, rules: list[Rule]) -> Policy:
    """Raises ConfigError for an operator's file that cannot be used: without it, this cloud would grant more."""
    try:
        return Policy(rules, config.path(config.policy.file) if config.policy.file else None)
    except PolicyFileError as error:
        raise ConfigError(f"[policy] file: {error}") from error
