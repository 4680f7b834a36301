"""Making an image of a server, interrupted at every point of every step in every way; then nothing is stuck or left.

The points are not listed here: a first, undisturbed life of each kind records them, so that a step added later is
covered. The worker that takes over is a new control plane on the same state; hosts live on.
"""

from __future__ import annotations

import time

import pytest
from sqlalchemy import select
from tests.cloud import SimulatedCloud
from tests.crash.image.test_imports_interrupted import Recording
from tests.crash.test_servers import MODES, Disturbance

from gureum.agents.hypervisor.faults import Fault
from gureum.drivers.image.file.store import FileImageStore
from gureum.drivers.image.stores import NamedStore
from gureum.foundation import clock
from gureum.foundation.tasks.engine import Hooks, WorkerDied
from gureum.foundation.tasks.model import Task
from gureum.services.compute.servers.model import Server, ServerAction
from gureum.services.image.images.lifecycle import requeue_dead_uploads, sweep_store
from gureum.services.image.images.model import Image

KINDS = ("snapshot", "backup", "refused", "image deleted", "server deleted")
MOST_STEPS = 12


class Life:
    """One image of a server, from its request to its end."""

    def __init__(self, folder, moving, hooks):
        self.folder, self.clock, self.hooks = folder, moving, hooks
        self.cloud = SimulatedCloud(folder, hosts=1)
        self.admin = self.cloud.client()
        self.server = self.cloud.server(self.admin, imageRef=self.cloud.image())
        self.cloud.settle()
        self.host = self.cloud.control.simulated["host-1"]

    def settle(self):
        for _ in range(6):
            try:
                self.cloud.settle()
            except WorkerDied:
                self.cloud.restart()
                self.cloud.control.engine.hooks = self.hooks
            self.clock.advance(31)
            self.cloud.beat()
            requeue_dead_uploads(self.cloud.control.database)

    def act(self, body):
        path = f"/compute/v2.1/servers/{self.server}/action"
        answer = self.admin.post(path, body, OpenStack_API_Version="compute 2.79")
        assert answer.status == 202, answer.content
        return answer.json()["image_id"]

    def live(self, kind):
        name = {"name": "image"}
        if kind == "backup":
            backup = {"createBackup": name | {"backup_type": "daily", "rotation": 1}}
            self.act(backup)
            self.cloud.settle()
            self.cloud.control.engine.hooks = self.hooks
            self.image = self.act(backup)
        else:
            if kind == "refused":
                fault = Fault("fail", "read_copy", public="No.", retry=False)
                self.cloud.control.simulated.world.faults.add("host-1", fault)
            self.cloud.control.engine.hooks = self.hooks
            self.image = self.act({"createImage": name})
        if kind == "image deleted":
            assert self.admin.delete(f"/image/v2/images/{self.image}").status == 204
        elif kind == "server deleted":
            self.cloud.control.engine.hooks = Hooks()
            assert self.admin.delete(f"/compute/v2.1/servers/{self.server}").status == 204
            self.cloud.control.engine.hooks = self.hooks
        self.settle()

    def assert_clean(self, kind):
        with self.cloud.control.database.read() as tx:
            at_rest = [kind for kind in tx.scalars(select(Task.kind)) if kind != "server"]
            assert at_rest == []
            images = {row.id: row for row in tx.scalars(select(Image).where(Image.deleted_at.is_(None)))}
            assert {row.status for row in images.values()} == {"active"}
            assert [row.upload_id for row in images.values() if row.upload_id] == []
            server = tx.get(Server, self.server)
            newest = select(ServerAction).where(ServerAction.action.in_(("createImage", "createBackup")))
            action = tx.scalars(newest.order_by(ServerAction.id.desc())).first()
        assert self.host.copies(self.server) == set()
        assert (server.vm_state, server.task_state) == ("deleted" if kind == "server deleted" else "active", None)
        assert action.finished_at is not None
        whole = kind in ("snapshot", "backup")
        assert bool(action.message) is not whole
        assert (self.image in images, len(images)) == (whole, 2 if whole else 1)
        store = FileImageStore(self.folder / "images")
        # Data that a dead worker finished and nobody recorded belongs to the sweep.
        sweep_store(self.cloud.control.database, NamedStore("file", "file", store))
        held = [location.rpartition(".")[0] for location in store.locations()]
        assert sorted(held) == sorted(images)
        if whole:
            data = self.admin.get(f"/image/v2/images/{self.image}/file").content
            assert (len(data), data[:4]) == (images[self.image].size_bytes, b"QFI\xfb")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The steps of each kind."""
    found = {}
    for kind in KINDS:
        moving = clock.VirtualClock(time.time())
        with clock.use(moving):
            hooks = Recording()
            life = Life(tmp_path_factory.mktemp("life"), moving, hooks)
            life.live(kind)
            life.assert_clean(kind)
            life.cloud.close()
        found[kind] = hooks
    return found


def test_a_life_passes_every_step(undisturbed):
    lived = {step for hooks in undisturbed.values() for step in hooks.steps}
    assert {"begin", "copy", "upload", "clear", "failed"} <= lived
    assert max(len(hooks.steps) for hooks in undisturbed.values()) <= MOST_STEPS, "raise MOST_STEPS"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("at", range(MOST_STEPS))
@pytest.mark.parametrize("kind", KINDS)
def test_an_image_of_a_server_interrupted(tmp_path, undisturbed, kind, at, mode):
    steps, ended = undisturbed[kind].steps, undisturbed[kind].ended
    if at >= len(steps):
        pytest.skip("the life has fewer steps")
    if mode in ("fails", "dies_before_commit", "dies_after_commit") and at not in ended:
        pytest.skip("the step comes to no outcome")
    moving = clock.VirtualClock(time.time())
    with clock.use(moving):
        life = Life(tmp_path, moving, Disturbance(mode, at))
        try:
            life.live(kind)
            assert life.hooks.done, f"the disturbance of {steps[at]} never struck"
            life.assert_clean(kind)
        finally:
            life.cloud.close()
