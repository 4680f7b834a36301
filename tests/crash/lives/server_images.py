"""Making an image of a server: whole, as one of a rotation, or ended by a host, by the image or by the server.

The worker that takes over is a new control plane on the same state; hosts live on.
"""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

from sqlalchemy import select
from tests.cloud import SimulatedCloud
from tests.crash.lives.worker import CloudLife

from gureum.agents.hypervisor.faults import Fault
from gureum.drivers.image.file.store import FileImageStore
from gureum.drivers.image.stores import NamedStore
from gureum.foundation.tasks.hooks import Hooks
from gureum.foundation.tasks.model import Task
from gureum.services.compute.servers.model import Server, ServerAction
from gureum.services.image.images.lifecycle import requeue_dead_uploads, sweep_store
from gureum.services.image.images.model import Image

KINDS = ("snapshot", "backup", "refused", "image deleted", "server deleted")


@contextmanager
def ground(folder):
    cloud = SimulatedCloud(folder, hosts=1)
    prepared = SimpleNamespace(image=cloud.image(), headers=cloud.client().headers)
    cloud.close()
    yield prepared


class Life(CloudLife):
    """One image of a server, from its request to its end."""

    def __init__(self, ground, folder, moving, hooks):
        super().__init__(SimulatedCloud(folder, hosts=1), moving, hooks, ground.headers)
        self.folder = folder
        self.server = self.cloud.server(self.client, imageRef=ground.image)
        self.cloud.settle()
        self.host = self.cloud.simulated["host1"]

    def between(self):
        requeue_dead_uploads(self.cloud.control.database)

    def act(self, body):
        path = f"/compute/v2.1/servers/{self.server}/action"
        answer = self.client.post(path, body, OpenStack_API_Version="compute 2.79")
        assert answer.status == 202, answer.content
        return answer.json()["image_id"]

    def live(self, kind):
        name = {"name": "image"}
        if kind == "backup":
            backup = {"createBackup": name | {"backup_type": "daily", "rotation": 1}}
            self.act(backup)
            self.cloud.settle()
            self.disturb()
            self.image = self.act(backup)
        else:
            if kind == "refused":
                fault = Fault("fail", "read_copy", public="No.", retry=False)
                self.cloud.simulated.world.faults.add("host1", fault)
            self.disturb()
            self.image = self.act({"createImage": name})
        if kind == "image deleted":
            assert self.client.delete(f"/image/v2/images/{self.image}").status == 204
        elif kind == "server deleted":
            self.cloud.control.engine.hooks = Hooks()
            assert self.client.delete(f"/compute/v2.1/servers/{self.server}").status == 204
            self.disturb()
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
            data = self.client.get(f"/image/v2/images/{self.image}/file").content
            assert (len(data), data[:4]) == (images[self.image].size_bytes, b"QFI\xfb")
