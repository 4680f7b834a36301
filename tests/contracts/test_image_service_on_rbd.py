"""The image service over a folder and a real Ceph pool: upload, ranges, copies both ways, removal, a cluster that is gone."""

from __future__ import annotations

import hashlib
import os
import shutil
import time

import pytest
from tests.api.client import Client
from tests.api.image import conftest as images
from tests.ceph_cluster import CephCluster

from gureum.foundation.config import Config, ConfigError
from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row
from gureum.roles.drivers.image import image_outside
from gureum.services.image.config import ImageConfig, ImageStoreConfig

pytestmark = pytest.mark.engines
MIB = 1 << 20
DATA = os.urandom(2 * MIB) + bytes(MIB) + b"end"


def rbd_section(ceph: CephCluster) -> ImageStoreConfig:
    return ImageStoreConfig(
        kind="rbd", user="images", conf=str(ceph.conf), chunk_mib=1, weight=1, answer_s=1, stall_s=1
    )


@pytest.fixture
def cloud(ceph, tmp_path):
    """`file` is the default; copies in `ceph` are read first."""
    database = Database(f"sqlite:///{tmp_path}/test.sqlite")
    Row.metadata.create_all(database.engine)
    stores = {"file": ImageStoreConfig(folder="images"), "ceph": rbd_section(ceph)}
    section = ImageConfig(stores=stores, show_locations=True)
    outside = image_outside(Config(state=str(tmp_path)).with_sections(section))
    cloud = images.cloud_on(database, tmp_path, show_locations=True, stores=outside.stores)
    yield cloud
    database.close()


def show(client: Client, image_id: str):
    return client.get(f"{images.IMAGES}/{image_id}").json()


def copy(client: Client, image_id: str, store: str):
    return client.post(f"{images.IMAGES}/{image_id}/import", {"method": {"name": "copy-image"}, "stores": [store]})


def names(ceph) -> list[str]:
    return ceph.rbd("ls", "images").split()


def test_an_image_lives_in_the_pool_and_moves_between_stores(ceph, cloud):
    root = cloud.as_("root")
    image_id = images.register(root)["id"]
    answer = images.upload(root, image_id, DATA, x_image_meta_store="ceph")
    assert answer.status == 204, answer.content
    [name] = names(ceph)
    [place] = show(root, image_id)["locations"]
    assert place == {"url": f"rbd://{ceph.fsid}/images/{name}/snap", "metadata": {"store": "ceph"}}
    assert root.get(f"{images.IMAGES}/{image_id}/file").content == DATA
    part = root.get(f"{images.IMAGES}/{image_id}/file", range=f"bytes={2 * MIB - 5}-{3 * MIB + 1}")
    assert (part.status, part.content) == (206, DATA[2 * MIB - 5 : 3 * MIB + 2])
    with cloud.database.read() as tx:
        source = cloud.facade.source(tx, image_id)
    assert (source.url, source.path, source.sha512) == (place["url"], "", hashlib.sha512(DATA).hexdigest())

    assert copy(root, image_id, "file").status == 202
    cloud.engine.run_due()
    assert sorted(show(root, image_id)["stores"].split(",")) == ["ceph", "file"]
    assert root.delete(f"/image/v2/stores/ceph/{image_id}").status == 204
    cloud.engine.run_due()
    assert names(ceph) == []
    assert show(root, image_id)["stores"] == "file"
    assert root.get(f"{images.IMAGES}/{image_id}/file").content == DATA
    assert copy(root, image_id, "ceph").status == 202
    cloud.engine.run_due()
    assert len(names(ceph)) == 1
    assert root.delete(f"/image/v2/stores/file/{image_id}").status == 204
    assert root.delete(f"/image/v2/stores/ceph/{image_id}").status == 403, "the last copy"
    assert root.get(f"{images.IMAGES}/{image_id}/file").content == DATA
    assert root.delete(f"{images.IMAGES}/{image_id}").status == 204
    cloud.engine.run_due()
    assert names(ceph) == []

    listed = root.get("/image/v2/info/stores").json()["stores"]
    assert {one["id"] for one in listed} == {"file", "ceph"}
    [detail] = [one for one in root.get("/image/v2/info/stores/detail").json()["stores"] if one["id"] == "ceph"]
    assert detail == {
        "id": "ceph",
        "type": "rbd",
        "weight": 1,
        "properties": {"pool": "images", "user": "images", "chunk_size": MIB, "thin_provisioning": True},
    }


def test_calls_end_with_503_while_the_cluster_is_gone_and_work_again_after(ceph, cloud):
    root = cloud.as_("root")
    kept, queued, copied = (images.register(root)["id"] for _ in range(3))
    assert images.upload(root, kept, DATA, x_image_meta_store="ceph").status == 204
    assert images.upload(root, copied, DATA).status == 204
    assert copy(root, copied, "ceph").status == 202
    cloud.engine.run_due()
    ceph.freeze()
    began = time.monotonic()
    assert root.get(f"{images.IMAGES}/{kept}/file").status == 503
    assert images.upload(root, queued, DATA, x_image_meta_store="ceph").status == 503
    assert show(root, queued)["status"] == "queued"
    assert root.get(f"{images.IMAGES}/{copied}/file").content == DATA, "another store has it"
    assert root.delete(f"{images.IMAGES}/{kept}").status == 204
    assert time.monotonic() - began < 45
    ceph.thaw()
    end = time.monotonic() + 20
    while cloud.stores.engine("ceph").problem() and time.monotonic() < end:
        time.sleep(0.2)
    assert images.upload(root, queued, DATA, x_image_meta_store="ceph").status == 204


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pool": "a/b"}, "cannot name a Ceph pool"),
        ({"user": "x --help"}, "cannot name a Ceph user"),
        ({"chunk_mib": 3}, "power of two"),
        ({"conf": "nowhere.conf"}, "cannot be read"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused_at_the_start(ceph, tmp_path, changes, words):
    section = rbd_section(ceph)
    for key, value in changes.items():
        setattr(section, key, value)
    with pytest.raises(ConfigError, match=words):
        image_outside(Config(state=str(tmp_path)).with_sections(ImageConfig(stores={"ceph": section})))


def test_a_missing_program_and_a_pool_that_is_none_are_said_with_their_remedy(ceph, tmp_path, monkeypatch, caplog):
    section = rbd_section(ceph)
    section.pool = "nothing"
    config = Config(state=str(tmp_path)).with_sections(ImageConfig(stores={"ceph": section}))
    image_outside(config)
    assert "ceph osd pool create nothing" in caplog.text
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(ConfigError, match="apt-get install ceph-common"):
        image_outside(config)
