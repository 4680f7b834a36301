"""Events of nobody's, and a subscriber that notes in a table what it handled."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import select

from gureum.foundation.bus.in_process import InProcessBus
from gureum.foundation.events.event import Durable, Event
from gureum.foundation.events.model import EventRow
from gureum.foundation.events.outbox import Events
from gureum.foundation.events.reader import EventReader
from gureum.foundation.tasks.model import Lease


class Rained(Event, frozen=True):
    KIND: ClassVar[str] = "weather.rained"
    drops: int
    project_id: str = "p1"


class Snowed(Event, frozen=True):
    KIND: ClassVar[str] = "weather.snowed"
    flakes: int


class Glanced(Event, frozen=True):
    KIND: ClassVar[str] = "weather.glanced"
    DURABLE: ClassVar[bool] = False


class Gauge:
    """A durable subscriber. Each event that it handles is a row `drops-N` in a table that is at hand: that of leases."""

    def __init__(self, store, name="gauge", kinds=(Rained,), bus=None):
        self.events, self.store, self.broken = Events(), store, set()
        self.events.subscribe([Durable(name, kinds, self.handle)])
        self.bus = bus or InProcessBus()
        self.reader = EventReader(store, self.events, self.bus, lambda: f"owner-{id(self)}")
        store.write(self.events.bootstrap)

    def handle(self, tx, event):
        if event.drops in self.broken:
            raise ValueError("the gauge is full")
        tx.add(Lease(name=f"drops-{event.drops:04}", owner="", until=0.0))

    def rain(self, *drops):
        self.store.write(lambda tx: [self.events.emit(tx, Rained(one)) for one in drops])

    def handled(self):
        with self.store.read() as tx:
            names = tx.scalars(select(Lease.name).where(Lease.name.startswith("drops-")).order_by(Lease.name))
            return [int(name.removeprefix("drops-")) for name in names]


def rows(store):
    with store.read() as tx:
        return list(tx.scalars(select(EventRow).order_by(EventRow.number)))
