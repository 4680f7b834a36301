"""One service alone, over the facades and engines that a test gives it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gureum.foundation.bus.in_process import InProcessBus
from gureum.foundation.config import Config, Section
from gureum.foundation.db.engine import Database
from gureum.foundation.events.outbox import Events
from gureum.foundation.fleet.fleet import Fleet
from gureum.foundation.metrics import Metrics
from gureum.foundation.service import Building, CatalogEntry, Mounted, Room, Service
from gureum.foundation.tasks.store import Tasks


def mount(
    service: Service,
    database: Database,
    folder: Path,
    *sections: Section,
    facades: Mapping[type, Any] | None = None,
    engines: Mapping[type, Any] | None = None,
    tasks: Tasks | None = None,
    catalog: tuple[CatalogEntry, ...] = (),
    events: Events | None = None,
) -> Mounted:
    """The service, built as in a cloud whose other options are the defaults. `catalog` is of the whole cloud."""
    given = dict(engines or {})
    config = Config(state=str(folder)).with_sections(*sections)
    bus, metrics = InProcessBus(), Metrics()
    building = Building(
        config,
        database,
        tasks or Tasks(),
        bus,
        metrics,
        Fleet(database, bus, metrics),
        given.__getitem__,
        catalog,
        dict(facades or {}),
        events or Events(),
    )
    return service.build(Room(service, building))
