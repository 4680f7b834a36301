"""All of Tempest's image tests, unchanged, on a simulated cloud with every switch of the image service on.

Two stores of folders and one of outside locations; the outside place is a web server of the test. Formats are always
enforced: Tempest's lists upload noise, so the formats that it takes first are those whose content is free.
"""

from __future__ import annotations

import os

import pytest
from tests.api.image.web_place import Place, serving
from tests.compat.judged_cloud import SimulatedProcess, TwoApis
from tests.compat.tempest_runner import judge
from tests.unit.image_inspector.corpus import qcow2

pytestmark = pytest.mark.filterwarnings("ignore")

# Content of these formats is free, and a combination of six is what the lists are tested with.
DISK_FORMATS = "raw,ami,ari,aki,raw,ami,qcow2,iso,vhd,vmdk,vdi,vhdx"
CLOUD = {
    "image": {"show_locations": True, "cache": "image-cache", "default_store": "file"},
    "image.stores.file": {"kind": "file", "folder": "images", "weight": 2},
    "image.stores.second": {"kind": "file", "folder": "images-second", "weight": 1},
    "image.stores.web": {"kind": "web"},
    "image.web": {"ports": [], "networks": ["0.0.0.0/0"]},
}
ANOTHER_PRODUCT_OR_SETTING = {
    "test_add_location_with_do_secure_hash_false": "do_secure_hash is enabled",
    "test_remote_": "No image_remote service",
    "test_image_volume_server_snapshot_dependency": "volume service is not available",
    "ImagesFormatTest": "Image format testing is not configured",
    "test_image_tasks_create": "Skipped until bug",
}


@pytest.fixture
def outside():
    """An image of noise and a qcow2 image behind URLs."""
    place = Place()
    place.files = {"/raw": os.urandom(300_000), "/qcow2": qcow2()}
    with serving(place):
        yield place


def options(outside, *, secure_hash):
    return {
        "image": {
            "disk_formats": DISK_FORMATS,
            "http_image": f"{outside.url}/raw",
            "http_qcow2_image": f"{outside.url}/qcow2",
            "image_caching_enabled": True,
        },
        "image-feature-enabled": {
            "import_image": True,
            "manage_locations": True,
            "http_store_enabled": True,
            "do_secure_hash": secure_hash,
            "store_weight_enabled": True,
            "image_format_enforcement": False,
        },
    }


def test_every_image_test(tmp_path, outside, judged_database):
    more = options(outside, secure_hash=True)
    folder = tmp_path / "cloud"
    folder.mkdir()
    with SimulatedProcess(folder, hosts=1, more=CLOUD, database=judged_database()) as cloud:
        found = judge(cloud, tmp_path / "image", r"^tempest\.api\.image\.", guests=False, timeout_s=900, more=more)
    assert not found.failed, found.story()
    surprises = {
        name: reason
        for name, reason in found.skipped.items()
        if not any(noun in name and text in reason for noun, text in ANOTHER_PRODUCT_OR_SETTING.items())
    }
    assert not surprises, "Tempest leaves out what it did not leave out before"
    assert len(found.passed) >= 90, found.passed


def test_locations_without_hashing(tmp_path, outside, judged_database):
    """The other setting of `secure_hash`, which leaves out what the first one tries."""
    cloud_options = CLOUD | {"image": {**CLOUD["image"], "secure_hash": False}}
    tests = r"^tempest\.api\.image\..*(do_secure_hash_false|_location)"
    folder = tmp_path / "cloud"
    folder.mkdir()
    with SimulatedProcess(folder, hosts=1, more=cloud_options, database=judged_database()) as cloud:
        more = options(outside, secure_hash=False)
        found = judge(cloud, tmp_path / "image", tests, guests=False, timeout_s=300, more=more)
    assert not found.failed, found.story()
    assert any("do_secure_hash_false" in name for name in found.passed), found.story()


@pytest.mark.postgresql
def test_two_apis(tmp_path, outside, postgresql_server):
    """What needs a second API of the same cloud: staged and imported, or deleted, and cached, at different ones."""
    more = options(outside, secure_hash=True)
    more["image"]["alternate_image_endpoint"] = "image_remote"
    folder = tmp_path / "cloud"
    folder.mkdir()
    with TwoApis(folder, more=CLOUD, database=postgresql_server.new_database()) as cloud:
        tests = r"^tempest\.api\.image\..*(test_remote_|ImageCachingTest|HashCalculationRemoteDeletionTest)"
        found = judge(cloud, tmp_path / "image", tests, guests=False, timeout_s=300, more=more)
    assert not found.failed, found.story()
    assert not found.skipped, found.skipped
    assert len(found.passed) == 5, found.passed
