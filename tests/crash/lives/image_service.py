"""The image service alone with two stores, whose worker may die: the next has a new engine on the same
database and stores.
"""

from __future__ import annotations

import ipaddress
from contextlib import contextmanager

from tests.api.image.conftest import cloud_on
from tests.api.image.web_place import Place, serving
from tests.crash.lives.worker import MOST_ROUNDS, ROUND_S

from gureum.drivers.image.web.guard import Allowed
from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row
from gureum.foundation.tasks.hooks import WorkerDied
from gureum.services.image.images.lifecycle import sweep_store

DATA = bytes(range(256)) * 400
LOOPBACK = Allowed(ports=frozenset(), networks=(ipaddress.ip_network("127.0.0.0/8"),))


@contextmanager
def ground(folder):
    """Empty tables, and an outside place with the data at /image."""
    database = Database(f"sqlite:///{folder}/test.sqlite")
    Row.metadata.create_all(database.engine)
    database.close()
    place = Place()
    place.files["/image"] = DATA
    with serving(place):
        yield place


class ConverterToData:
    """Whatever comes becomes `DATA`: what is tested is the step, not the tool."""

    def convert(self, _source, _source_format, target, _target_format, **_options):
        target.write_bytes(DATA)


class ImageLife:
    """`cloud` runs undisturbed until `disturb`; what a dead worker left in the stores is swept by `sweep`."""

    def __init__(self, outside, folder, moving, hooks):
        self.folder, self.clock, self.hooks, self.outside = folder, moving, hooks, outside
        self.database = Database(f"sqlite:///{folder}/test.sqlite")
        self.start()

    def start(self):
        self.cloud = cloud_on(self.database, self.folder, LOOPBACK, converter=ConverterToData(), convert_to="raw")
        self.alice, self.root = self.cloud.as_("alice"), self.cloud.as_("root")

    def disturb(self):
        self.cloud.engine.hooks = self.hooks

    def settle(self):
        for _ in range(MOST_ROUNDS):
            before = len(self.hooks.steps)
            try:
                self.cloud.engine.run_due()
            except WorkerDied:
                self.start()
                self.disturb()
            self.clock.advance(ROUND_S)
            if len(self.hooks.steps) == before:
                return

    def sweep(self):
        for name in ("file", "second"):
            sweep_store(self.database, self.cloud.stores.get(name))

    def close(self):
        self.database.close()
