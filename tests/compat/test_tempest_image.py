"""All of Tempest's image tests, unchanged, on a simulated cloud with every switch of the image service on.

Two stores of folders and one of outside locations; the outside place is a web server of the test. Formats are always
enforced: Tempest's lists upload noise, so the formats that it takes first are those whose content is free. Three runs
beside the main one take the settings that exclude what that one tries. One process is one API; with
GUREUM_JUDGES=postgresql the main run has two.
"""

from __future__ import annotations

import os
import time

import pytest
from tests.api.image.web_place import Place, serving
from tests.compat.disk_images import make_images
from tests.compat.judged_cloud import SimulatedProcess, TwoApis
from tests.compat.tempest_runner import judge
from tests.unit.image_inspector.corpus import qcow2

pytestmark = pytest.mark.filterwarnings("ignore")

# Content of these formats is free, and a combination of six is what the lists are tested with.
DISK_FORMATS = "raw,ami,ari,aki,raw,ami,qcow2,iso,vhd,vmdk,vdi,vhdx,ploop"
OCTETS = {"Content-Type": "application/octet-stream"}
CLOUD = {
    "image": {"show_locations": True, "cache": "image-cache", "default_store": "file", "convert_to": "raw"},
    "image.stores.file": {"kind": "file", "folder": "images", "weight": 2},
    "image.stores.second": {"kind": "file", "folder": "images-second", "weight": 1},
    "image.stores.web": {"kind": "web"},
    "image.web": {"ports": [], "networks": ["0.0.0.0/0"]},
}
ANOTHER_RUN = {"test_add_location_with_do_secure_hash_false": "do_secure_hash is enabled"}
SECOND_API = {"test_remote_": "No image_remote service"}
NOWHERE = {
    "test_image_volume_server_snapshot_dependency": "volume service is not available",  # Cinder's
    "test_image_tasks_create": "Skipped until bug",  # Tempest's own 2030527
    "test_accept_usable_formats": "does not currently reject unusable images",  # hostile ones; `refused_anyway` asks
}


@pytest.fixture(scope="module")
def disks(tmp_path_factory):
    """The manifest of disk images that ImagesFormatTest reads, and what is in it."""
    return make_images(tmp_path_factory.mktemp("disks") / "images")


@pytest.fixture
def outside():
    """An image of noise and a qcow2 image behind URLs."""
    place = Place()
    place.files = {"/raw": os.urandom(300_000), "/qcow2": qcow2()}
    with serving(place):
        yield place


def options(outside, disks, *, secure_hash=True):
    return {
        "image": {
            "images_manifest_file": disks[0],
            "disk_formats": DISK_FORMATS,
            "http_image": f"{outside.url}/raw",
            "http_qcow2_image": f"{outside.url}/qcow2",
            "image_caching_enabled": True,
            "build_interval": 0,
        },
        "image-feature-enabled": {
            "import_image": True,
            "manage_locations": True,
            "http_store_enabled": True,
            "do_secure_hash": secure_hash,
            "store_weight_enabled": True,
            "image_conversion": True,
            "image_format_enforcement": False,
        },
        "compute": {"build_interval": 0},
    }


def refused_anyway(cloud, disks):
    """What Tempest does not ask: data that must not be stored never makes an image active, uploaded or imported."""
    image_api = cloud.connection("gureum").image
    hostile = [disk for disk in disks[1] if not disk.usable]
    assert len(hostile) >= 10
    for disk in hostile:
        data = (disks[0].parent / disk.filename).read_bytes()
        image = image_api.create_image(disk.name, disk_format=disk.format, container_format="bare")
        answer = image_api.put(f"/images/{image.id}/file", data=data, headers=OCTETS)
        assert (answer.status_code, image_api.get_image(image.id).status) == (400, "queued"), disk
        assert image_api.put(f"/images/{image.id}/stage", data=data, headers=OCTETS).status_code == 204
        body = {"method": {"name": "glance-direct"}}
        assert image_api.post(f"/images/{image.id}/import", json=body).status_code == 202
        ended = until(lambda one=image.id: ended_tasks(image_api, one), f"the import of {disk.name} ends")
        assert [task["status"] for task in ended] == ["failure"], ended
        assert image_api.get_image(image.id).status == "queued", disk


def ended_tasks(image_api, image_id):
    tasks = image_api.get(f"/images/{image_id}/tasks").json()["tasks"]
    return [task for task in tasks if task["status"] in ("success", "failure")]


def until(found, what, within_s=30):
    deadline = time.monotonic() + within_s
    while not (answer := found()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.05)
    return answer


def test_every_image_test(tmp_path, outside, disks, judged_database):
    """All but the two tests that need hostile images in the image service (`test_hosts_refuse_by_themselves`)."""
    more = options(outside, disks)
    folder = tmp_path / "cloud"
    folder.mkdir()
    tests = r"^tempest\.api\.image\.(?!.*ImagesFormatTest\.test_compute)"
    database = judged_database()
    kind, left_out = (TwoApis, {}) if database else (SimulatedProcess, SECOND_API)
    if database:
        more["image"]["alternate_image_endpoint"] = "image_remote"
    with kind(folder, hosts=1, more=CLOUD, database=database) as cloud:
        found = judge(cloud, tmp_path / "image", tests, guests=False, timeout_s=900, more=more)
        refused_anyway(cloud, disks)
    assert not found.failed, found.story()
    surprises = {
        name: reason
        for name, reason in found.skipped.items()
        if not any(noun in name and text in reason for noun, text in (ANOTHER_RUN | NOWHERE | left_out).items())
    }
    assert not surprises, "Tempest leaves out what it did not leave out before"
    assert len(found.passed) >= 90 + accepted(disks), found.passed


def accepted(disks):
    """How many tests of ImagesFormatTest ask the image service: an upload of each sound image, an import of each."""
    return sum(disk.usable for disk in disks[1]) + len(disks[1])


def test_hosts_refuse_by_themselves(tmp_path, outside, disks, judged_database):
    """Images whose data was never inspected: a host boots the sound ones, and no other, nor one that lies."""
    more = options(outside, disks)
    folder = tmp_path / "cloud"
    folder.mkdir()
    with SimulatedProcess(folder, hosts=1, program="tests.compat.open_door", database=judged_database()) as cloud:
        tests = r"^tempest\.api\.image\..*ImagesFormatTest\.test_compute"
        found = judge(cloud, tmp_path / "image", tests, guests=False, timeout_s=300, at_once=1, more=more)
    assert not found.failed, found.story()
    assert not found.skipped, found.skipped
    assert len(found.passed) == 2 * len(disks[1]), found.passed


def test_locations_without_hashing(tmp_path, outside, disks, judged_database):
    """The other setting of `secure_hash`, which leaves out what the first one tries."""
    cloud_options = CLOUD | {"image": {**CLOUD["image"], "secure_hash": False}}
    tests = r"^tempest\.api\.image\..*(do_secure_hash_false|_location)"
    folder = tmp_path / "cloud"
    folder.mkdir()
    with SimulatedProcess(folder, hosts=1, more=cloud_options, database=judged_database()) as cloud:
        more = options(outside, disks, secure_hash=False)
        found = judge(cloud, tmp_path / "image", tests, guests=False, timeout_s=300, more=more)
    assert not found.failed, found.story()
    assert any("do_secure_hash_false" in name for name in found.passed), found.story()


@pytest.mark.postgresql
def test_two_apis_of_one_cloud(tmp_path, outside, disks, postgresql_server):
    """What needs a second API of the same cloud: staged and imported, or deleted, and cached, at different ones."""
    more = options(outside, disks)
    more["image"]["alternate_image_endpoint"] = "image_remote"
    folder = tmp_path / "cloud"
    folder.mkdir()
    with TwoApis(folder, hosts=0, more=CLOUD, database=postgresql_server.new_database()) as cloud:
        tests = r"^tempest\.api\.image\..*(test_remote_|ImageCachingTest|HashCalculationRemoteDeletionTest)"
        found = judge(cloud, tmp_path / "image", tests, guests=False, timeout_s=300, more=more)
    assert not found.failed, found.story()
    assert not found.skipped, found.skipped
    assert len(found.passed) == 5, found.passed
