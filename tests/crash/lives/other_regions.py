"""An image that comes over from another region's service, asked with the token of who began the import.

The token is never to be read from what the cloud keeps; sealed, it is there until it was used, and gone at the end.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from types import SimpleNamespace

from sqlalchemy import select, text
from tests.api.image.conftest import IMAGES, register
from tests.api.image.test_other_regions import announce, asked_for
from tests.api.image.web_place import Place, serving
from tests.cloud import SimulatedCloud
from tests.crash.lives.worker import CloudLife

from gureum.drivers.image.stores import NamedStore
from gureum.foundation.tasks.model import Task
from gureum.services.image.config import ImageConfig, ImageWebConfig
from gureum.services.image.images.lifecycle import sweep_store
from gureum.services.image.images.model import Image

KINDS = ("whole", "another hash", "cancelled")
DATA = bytes(range(256)) * 50
SOURCE = {kind: f"11111111-2222-3333-4444-{number:012}" for number, kind in enumerate(KINDS)}


def cloud_in(folder):
    web = ImageWebConfig(ports=[], networks=["127.0.0.0/8"])
    return SimulatedCloud(folder, hosts=1, image=ImageConfig(folder=str(folder / "images"), web=web))


@contextmanager
def ground(folder):
    """A cloud whose catalog has a second region, and that region: one image for each kind of life."""
    place = Place()
    for kind, image_id in SOURCE.items():
        content = DATA if kind != "another hash" else DATA[1:]
        said = {"status": "active", "disk_format": "raw", "container_format": "bare", "hw_cpu_cores": "5"}
        said |= {"os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(content).hexdigest()}
        place.files[f"/v2/images/{image_id}"] = json.dumps(said).encode()
        place.files[f"/v2/images/{image_id}/file"] = DATA
    with serving(place):
        cloud = cloud_in(folder)
        announce(cloud, place.url)
        prepared = SimpleNamespace(place=place, headers=cloud.client("demo").headers)
        cloud.close()
        yield prepared


class Life(CloudLife):
    """One import from the other region."""

    def __init__(self, ground, folder, moving, hooks):
        super().__init__(cloud_in(folder), moving, hooks, ground.headers)
        self.folder, self.place = folder, ground.place
        self.token = self.client.headers["X-Auth-Token"]

    def live(self, kind):
        self.image = register(self.client)["id"]
        self.place.asked.clear()
        self.disturb()
        method = {"name": "glance-download", **asked_for(SOURCE[kind])}
        answer = self.client.post(f"{IMAGES}/{self.image}/import", {"method": method})
        assert answer.status == 202, answer.content
        [self.sealed] = self.sealed_tokens()
        assert self.sealed
        if kind == "cancelled":
            assert self.client.delete(f"{IMAGES}/{self.image}").status == 204
        self.settle()

    def between(self):
        """Whatever struck: the token itself is kept nowhere, and sealed only for as long as data is to be fetched."""
        assert self.token not in self.kept()
        with self.cloud.control.database.read() as tx:
            staged = tx.scalar(select(Image.staged).where(Image.id == self.image))
        assert staged is None or self.sealed_tokens() == [""]

    def sealed_tokens(self):
        with self.cloud.control.database.read() as tx:
            return [data["sealed_token"] for data in tx.scalars(select(Task.data).where(Task.kind == "image-import"))]

    def kept(self):
        """Every value of every table."""
        with self.cloud.control.database.read() as tx:
            tables = tx.scalars(text("select name from sqlite_master where type = 'table'")).all()
            return str([list(tx.execute(text(f"select * from {table}"))) for table in tables])

    def assert_clean(self, kind):
        kept = self.kept()
        assert self.sealed not in kept
        assert self.token not in kept
        assert [
            file for file in self.folder.rglob("*") if file.is_file() and self.token.encode() in file.read_bytes()
        ] == []
        assert {headers["X-Auth-Token"] for _, _, headers in self.place.asked} <= {self.token}
        with self.cloud.control.database.read() as tx:
            assert [found for found in tx.scalars(select(Task.kind)) if found.startswith("image")] == []
            row = tx.get(Image, self.image)
            assert (row.import_task_id, row.staged, row.upload_id) == (None, None, None)
        engine = self.cloud.deps("image").stores.default.engine
        sweep_store(self.cloud.control.database, NamedStore("file", "file", engine))
        status, held = {"whole": ("active", 1), "cancelled": ("deleted", 0)}.get(kind, ("queued", 0))
        assert (row.status, len(list(engine.locations()))) == (status, held)
        if kind == "whole":
            assert self.client.get(f"{IMAGES}/{self.image}/file").content == DATA
            assert self.client.get(f"{IMAGES}/{self.image}").json()["hw_cpu_cores"] == "5"
