"""The life of an import, interrupted at every point of every step in every way; then it ends and nothing is left over.

The points are not listed here: a first, undisturbed life of each kind records them, so that a step added later is
covered. The worker that takes over has a new engine on the same database and stores.
"""

from __future__ import annotations

import hashlib
import ipaddress
import shutil
import time

import pytest
from sqlalchemy import select
from tests.api.image.conftest import IMAGES, OCTETS, active, cloud_on, register
from tests.api.image.web_place import Place, serving
from tests.crash.test_servers import MODES, Disturbance

from gureum.drivers.image.web.guard import Allowed
from gureum.foundation import clock
from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row
from gureum.foundation.tasks.engine import WorkerDied
from gureum.foundation.tasks.model import Task
from gureum.services.image.images import lifecycle
from gureum.services.image.images.model import Image

MOST_STEPS = 12
DATA = bytes(range(256)) * 400
LOOPBACK = Allowed(ports=frozenset(), networks=(ipaddress.ip_network("127.0.0.0/8"),))
KINDS = ("glance-direct", "web-download", "copy-image", "glance-download", "refused", "location", "cancelled")


class Recording(Disturbance):
    """Knows too which of the steps came to an outcome: one that raises by itself has no commit to die before."""

    def __init__(self, mode="", at=-1):
        super().__init__(mode, at)
        self.ended = set()

    def before_commit(self, task, outcome):
        self.ended.add(self.count - 1)
        super().before_commit(task, outcome)


class CopyingConverter:
    """Content stays: what is tested is the step, not the tool."""

    def convert(self, source, _source_format, target, _target_format):
        shutil.copy(source, target)


class Life:
    """One import from its request to its end."""

    def __init__(self, empty, folder, moving, hooks, outside):
        self.folder, self.clock, self.hooks, self.outside = folder, moving, hooks, outside
        shutil.copy(empty, folder / "test.sqlite")
        self.database = Database(f"sqlite:///{folder}/test.sqlite")
        self.start()

    def start(self):
        self.cloud = cloud_on(self.database, self.folder, LOOPBACK, converter=CopyingConverter())
        self.cloud.engine.hooks = self.hooks
        self.alice, self.root = self.cloud.as_("alice"), self.cloud.as_("root")

    def settle(self):
        for _ in range(6):
            try:
                self.cloud.engine.run_due()
            except WorkerDied:
                self.start()
            self.clock.advance(31)

    def begin(self, kind):
        undisturbed, self.cloud.engine.hooks = self.cloud.engine.hooks, type(self.hooks)()
        asked = {"all_stores": True}
        if kind == "copy-image":
            self.image, method, client = active(self.alice, DATA), {"name": kind}, self.root
        else:
            self.image, client = register(self.alice)["id"], self.alice
            method = {"name": "glance-direct"}
        if kind == "web-download":
            method = {"name": kind, "uri": self.outside.url + "/image"}
        elif kind == "glance-download":
            self.source = active(self.alice, DATA)
            method = {"name": kind, "glance_image_id": self.source, "glance_region": "RegionOne"}
        elif kind in ("glance-direct", "refused", "cancelled"):
            data = DATA if kind != "refused" else b"QFI\xfb\0\0\0\3" + DATA
            sent = self.alice.request("PUT", f"{IMAGES}/{self.image}/stage", raw=data, content_type=OCTETS)
            assert sent.status == 204, sent.content
        self.cloud.engine.hooks = undisturbed
        if kind == "location":
            promise = {"os_hash_algo": "sha256", "os_hash_value": hashlib.sha256(DATA).hexdigest()}
            body = {"url": self.outside.url + "/image", "validation_data": promise}
            answer = self.alice.post(f"{IMAGES}/{self.image}/locations", body)
        else:
            answer = client.post(f"{IMAGES}/{self.image}/import", {"method": method, **asked})
        assert answer.status == 202, answer.content

    def live(self, kind):
        self.begin(kind)
        if kind == "cancelled":
            assert self.alice.delete(f"{IMAGES}/{self.image}").status == 204
        self.settle()

    def assert_clean(self, kind):
        with self.database.read() as tx:
            assert tx.scalars(select(Task.kind)).all() == []
            row = tx.get(Image, self.image)
            assert (row.import_task_id, row.staged, row.upload_id) == (None, None, None)
        # Data that a dead worker finished and nobody recorded belongs to the sweep.
        for name in ("file", "second"):
            lifecycle.sweep_store(self.database, self.cloud.stores.get(name))
        held = [*self.cloud.store.locations(), *self.cloud.second.locations()]
        mine = [location for location in held if location.startswith(self.image)]
        [task] = self.root.get("/image/v2/tasks").json()["tasks"]
        if kind == "cancelled":
            assert (row.status, mine, task["status"]) == ("deleted", [], "failure")
            return
        view = self.alice.get(f"{IMAGES}/{self.image}").json()
        if kind == "refused":
            assert (view["status"], mine, task["status"]) == ("queued", [], "failure")
            return
        assert (view["status"], task["status"]) == ("active", "success")
        assert view["size"] == len(DATA)
        assert self.alice.get(f"{IMAGES}/{self.image}/file").content == DATA
        wanted = ("web", 0) if kind == "location" else ("file,second", 2)
        assert (view["stores"], len(mine)) == wanted

    def close(self):
        self.database.close()


@pytest.fixture(scope="module")
def outside():
    place = Place()
    place.files["/image"] = DATA
    with serving(place):
        yield place


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A database file with every table and no row: copying it is quicker than making it."""
    file = tmp_path_factory.mktemp("database") / "empty.sqlite"
    database = Database(f"sqlite:///{file}")
    Row.metadata.create_all(database.engine)
    database.close()
    return file


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, empty, outside):
    """The steps of each kind of import."""
    found = {}
    for kind in KINDS:
        moving = clock.VirtualClock(time.time() + 60)
        with clock.use(moving):
            hooks = Recording()
            life = Life(empty, tmp_path_factory.mktemp(kind), moving, hooks, outside)
            life.live(kind)
            life.assert_clean(kind)
            life.close()
        found[kind] = hooks
    return found


def test_a_life_passes_every_step(undisturbed):
    lived = {step for hooks in undisturbed.values() for step in hooks.steps}
    assert {"fetch", "judge", "copy", "hash", "finish", "fail", "remove"} <= lived
    assert max(len(hooks.steps) for hooks in undisturbed.values()) <= MOST_STEPS, "raise MOST_STEPS"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_import_interrupted(tmp_path, empty, undisturbed, outside, kind, mode):
    steps, ended = undisturbed[kind].steps, undisturbed[kind].ended
    for at in range(len(steps)):
        if mode in ("fails", "dies_before_commit") and at not in ended:
            continue
        moving = clock.VirtualClock(time.time() + 60)
        with clock.use(moving):
            folder = tmp_path / str(at)
            folder.mkdir()
            life = Life(empty, folder, moving, Disturbance(mode, at), outside)
            try:
                life.live(kind)
                assert life.hooks.done, f"the disturbance of {steps[at]} never struck"
                life.assert_clean(kind)
            finally:
                life.close()
