"""Imports that are brought to another format by the real qemu-img in its box, and images made to exhaust it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.api.image.conftest import IMAGES, cloud_on, register
from tests.api.image.test_imports import begin, show, stage, tasks_of

from gureum.drivers.image.errors import ImageStoreError
from gureum.drivers.image.inspector import inspect_file
from gureum.drivers.image.qemu import Limits, QemuConverter
from gureum.foundation.db.engine import Database

PROGRAM = shutil.which("qemu-img")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="qemu-img is missing (package qemu-utils)")
DATA = bytes(range(256)) * 512


def made(folder, image_format, *options):
    """DATA as an image of another format."""
    raw, target = folder / "data.raw", folder / f"data.{image_format}"
    raw.write_bytes(DATA)
    words = [PROGRAM, "convert", "-f", "raw", "-O", image_format, *options, str(raw), str(target)]
    subprocess.run(words, check=True, capture_output=True)
    return target


def cloud_that_converts(empty_database, folder, wanted, limits=None):
    shutil.copy(empty_database, folder / "test.sqlite")
    database = Database(f"sqlite:///{folder}/test.sqlite")
    return cloud_on(
        database, folder, converter=QemuConverter(PROGRAM, limits or Limits()), convert_to=wanted, max_bytes=1 << 26
    )


@pytest.mark.parametrize(
    ("declared", "made_as", "options"),
    [
        ("qcow2", "qcow2", ("-c",)),
        ("vmdk", "vmdk", ("-o", "subformat=streamOptimized")),
        ("vdi", "vdi", ()),
        ("vhdx", "vhdx", ()),
        ("vhd", "vpc", ()),
    ],
)
def test_an_import_becomes_raw(empty_database, tmp_path, declared, made_as, options):
    cloud = cloud_that_converts(empty_database, tmp_path, "raw")
    alice = cloud.as_("alice")
    image_id = register(alice, disk_format=declared)["id"]
    assert stage(alice, image_id, made(tmp_path, made_as, *options).read_bytes()).status == 204
    assert begin(alice, image_id, all_stores=True).status == 202
    cloud.engine.run_due()
    view = show(alice, image_id)
    assert (view["status"], view["disk_format"], view["stores"]) == ("active", "raw", "file,second")
    data = alice.get(f"{IMAGES}/{image_id}/file").content
    assert data[: len(DATA)] == DATA
    assert data[len(DATA) :].count(0) == len(data) - len(DATA)
    assert (view["size"], view["virtual_size"]) == (len(data), len(data))
    cloud.engine.run_due()
    assert len(list(cloud.store.locations())) == 1
    assert list((tmp_path / "scratch").iterdir()) == []
    cloud.database.close()


def test_raw_becomes_qcow2_and_a_disc_stays_a_disc(empty_database, tmp_path):
    cloud = cloud_that_converts(empty_database, tmp_path, "qcow2")
    alice = cloud.as_("alice")
    raw, disc = register(alice)["id"], register(alice, disk_format="iso")["id"]
    stage(alice, raw, DATA)
    stage(alice, disc, bytes(32 << 10) + b"\1CD001\1" + bytes(4096))
    for image_id in (raw, disc):
        assert begin(alice, image_id).status == 202
    cloud.engine.run_due()
    assert (show(alice, raw)["disk_format"], show(alice, raw)["virtual_size"]) == ("qcow2", len(DATA))
    assert (show(alice, disc)["status"], show(alice, disc)["disk_format"]) == ("active", "iso")
    cloud.database.close()


@pytest.mark.parametrize("limits", [Limits(memory_bytes=1 << 20), Limits(seconds=0.001), Limits(file_bytes=4096)])
def test_a_conversion_beyond_its_limits_ends_the_import(empty_database, tmp_path, limits):
    """CVE-2015-5162: memory, time and space of the tool are bounded; the image is queued again and nothing is left."""
    cloud = cloud_that_converts(empty_database, tmp_path, "raw", limits)
    alice = cloud.as_("alice")
    image_id = register(alice, disk_format="qcow2")["id"]
    stage(alice, image_id, made(tmp_path, "qcow2").read_bytes())
    assert begin(alice, image_id).status == 202
    cloud.engine.run_due()
    assert show(alice, image_id)["status"] == "queued"
    [task] = tasks_of(alice, image_id)
    assert task["status"] == "failure"
    assert str(tmp_path) not in task["message"]
    assert list(cloud.store.locations()) == list((tmp_path / "scratch").iterdir()) == []
    cloud.database.close()


def test_the_tool_never_guesses_and_follows_no_other_file(tmp_path):
    """CVE-2024-44082: what is named raw is read as raw, also when it begins like a qcow2 image with a backing file."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret" * 1000)
    hostile = tmp_path / "hostile"
    words = [PROGRAM, "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(secret), str(hostile)]
    subprocess.run(words, check=True, capture_output=True)
    target = tmp_path / "target"
    QemuConverter(PROGRAM).convert(hostile, "raw", target, "qcow2")
    assert inspect_file(target).format == "qcow2"
    back = tmp_path / "back"
    QemuConverter(PROGRAM).convert(target, "qcow2", back, "raw")
    assert back.read_bytes()[: hostile.stat().st_size] == hostile.read_bytes()


def test_names_are_never_taken_for_options_or_protocols(tmp_path):
    source = tmp_path / "nbd:127.0.0.1:1"
    source.write_bytes(DATA)
    QemuConverter(PROGRAM).convert(source, "raw", tmp_path / "json:{}", "raw")
    assert (tmp_path / "json:{}").read_bytes() == DATA


def test_a_program_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ImageStoreError):
        QemuConverter(str(Path(tmp_path, "none"))).convert(tmp_path / "a", "raw", tmp_path / "b", "raw")
