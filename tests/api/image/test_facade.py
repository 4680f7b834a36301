"""What compute and bootstrap ask of the image service."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.api.image.conftest import CALLERS, IMAGES, active, qcow2, register

from gureum.drivers.image.errors import ImageRefused
from gureum.foundation.errors import BadRequest


def boot(cloud, name, image_id):
    with cloud.database.read() as tx:
        return cloud.facade.boot_image(tx, CALLERS[name], image_id)


def source(cloud, image_id):
    with cloud.database.read() as tx:
        return cloud.facade.source(tx, image_id)


def test_an_active_image_boots_for_those_who_see_it(cloud, alice):
    image_id = active(alice, b"data", min_ram=64, min_disk=2, hw_disk_bus="virtio", tags=["t"])
    found = boot(cloud, "alice", image_id)
    assert (found.id, found.name, found.status, found.disk_format) == (image_id, "i", "active", "raw")
    assert (found.size_bytes, found.virtual_size_bytes, found.min_ram_mib, found.min_disk_gib) == (4, 4, 64, 2)
    assert (found.sha512, found.properties) == (hashlib.sha512(b"data").hexdigest(), {"hw_disk_bus": "virtio"})
    assert boot(cloud, "root", image_id).id == image_id
    for image in (image_id, "nonsense", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(BadRequest):
            boot(cloud, "bob", image)


def test_other_images_do_not_boot(cloud, alice):
    with pytest.raises(BadRequest, match="not active"):
        boot(cloud, "alice", register(alice)["id"])
    image_id = active(alice)
    alice.post(f"{IMAGES}/{image_id}/actions/deactivate")
    with pytest.raises(BadRequest, match="not active"):
        boot(cloud, "alice", image_id)


def test_a_host_takes_the_image_from_a_file(cloud, alice):
    image_id = active(alice, b"data")
    found = source(cloud, image_id)
    assert (found.image_id, found.disk_format, found.size_bytes, found.url) == (image_id, "raw", 4, "")
    assert found.path.startswith("/")
    assert Path(found.path).read_bytes() == b"data"
    assert found.sha512 == hashlib.sha512(b"data").hexdigest()


def test_there_is_no_source_without_data(cloud, alice):
    assert source(cloud, register(alice)["id"]) is None
    image_id = active(alice)
    for location in cloud.store.locations():
        cloud.store.delete(location)
    assert source(cloud, image_id) is None
    alice.delete(f"{IMAGES}/{image_id}")
    assert source(cloud, image_id) is None


def test_the_cloud_has_its_own_image_once(cloud, bob, tmp_path):
    file = tmp_path / "mini.qcow2"
    file.write_bytes(qcow2())
    first = cloud.facade.ensure_public("mini", file, properties={"hw_rng_model": "virtio"})
    assert cloud.facade.ensure_public("mini", file, properties={"hw_rng_model": "virtio"}) == first
    [image] = bob.get(IMAGES).json()["images"]
    assert (image["id"], image["name"], image["visibility"], image["owner"]) == (first, "mini", "public", None)
    assert (image["status"], image["disk_format"], image["hw_rng_model"]) == ("active", "qcow2", "virtio")
    assert bob.get(f"{IMAGES}/{first}/file").content == qcow2()


def test_a_newer_image_of_the_cloud_takes_the_older_ones_place(cloud, bob, tmp_path):
    file = tmp_path / "mini.qcow2"
    file.write_bytes(qcow2())
    first = cloud.facade.ensure_public("mini", file, properties={})
    file.write_bytes(qcow2(2 << 20))
    second = cloud.facade.ensure_public("mini", file, properties={})
    assert first != second
    assert [image["id"] for image in bob.get(IMAGES).json()["images"]] == [second]
    cloud.engine.run_due()
    assert len(list(cloud.store.locations())) == 1


def test_a_file_that_is_no_image_is_refused(cloud, bob, tmp_path):
    file = tmp_path / "mini.qcow2"
    file.write_bytes(b"nothing")
    with pytest.raises(ImageRefused):
        cloud.facade.ensure_public("mini", file, properties={})
    assert bob.get(IMAGES).json()["images"] == []
