"""An import of an image's data, by each method that stays within this cloud or asks the web, and what may end one."""

from __future__ import annotations

import hashlib

from sqlalchemy import select
from tests.api.image.conftest import IMAGES, OCTETS, active, qcow2, register
from tests.crash.lives import image_service
from tests.crash.lives.image_service import DATA, ImageLife

from gureum.foundation.tasks.model import Task
from gureum.services.image.images.model import Image

KINDS = (
    "glance-direct", "web-download", "copy-image", "glance-download", "converted", "refused", "cancelled",
    "location", "location with a promise",
)  # fmt: skip
STAGED = {"glance-direct": DATA, "cancelled": DATA, "converted": qcow2(), "refused": b"QFI\xfb\0\0\0\3" + DATA}

ground = image_service.ground


class Life(ImageLife):
    """One import from its request to its end."""

    def live(self, kind):
        body, client = self.prepare(kind)
        self.disturb()
        where = "locations" if kind.startswith("location") else "import"
        answer = client.post(f"{IMAGES}/{self.image}/{where}", body)
        assert answer.status == 202, answer.content
        if kind == "cancelled":
            assert self.alice.delete(f"{IMAGES}/{self.image}").status == 204
        self.settle()

    def prepare(self, kind):
        """What comes before the import; its body, and who asks for it."""
        if kind == "copy-image":
            self.image = active(self.alice, DATA)
            return {"method": {"name": kind}, "all_stores": True}, self.root
        self.image = register(self.alice, disk_format="qcow2" if kind == "converted" else "raw")["id"]
        url = self.outside.url + "/image"
        if kind.startswith("location"):
            promise = {"os_hash_algo": "sha256", "os_hash_value": hashlib.sha256(DATA).hexdigest()}
            return {"url": url} | ({"validation_data": promise} if "promise" in kind else {}), self.alice
        method = {"name": "glance-direct"}
        if kind == "web-download":
            method = {"name": kind, "uri": url}
        elif kind == "glance-download":
            method = {"name": kind, "glance_image_id": active(self.alice, DATA), "glance_region": "RegionOne"}
        else:
            path = f"{IMAGES}/{self.image}/stage"
            sent = self.alice.request("PUT", path, raw=STAGED[kind], content_type=OCTETS)
            assert sent.status == 204, sent.content
        return {"method": method, "all_stores": True}, self.alice

    def assert_clean(self, kind):
        with self.database.read() as tx:
            assert tx.scalars(select(Task.kind)).all() == []
            row = tx.get(Image, self.image)
            assert (row.import_task_id, row.staged, row.upload_id) == (None, None, None)
        # Data that a dead worker finished and nobody recorded belongs to the sweep.
        self.sweep()
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
        assert (view["status"], view["disk_format"], task["status"]) == ("active", "raw", "success")
        assert view["size"] == len(DATA)
        assert self.alice.get(f"{IMAGES}/{self.image}/file").content == DATA
        wanted = ("web", 0) if kind.startswith("location") else ("file,second", 2)
        assert (view["stores"], len(mine)) == wanted
