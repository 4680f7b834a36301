"""What `doctor` says of the image stores of a configuration."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from gureum.drivers.image.rbd import command
from gureum.lab import image_store_checks
from gureum.lab.image_store_checks import image_stores

FSID = "3e5bdfbc-1398-45da-8dd1-b98216da494e"


@pytest.fixture
def look(tmp_path):
    """The findings of a configuration with these lines."""

    def look(*lines):
        file = tmp_path / "gureum.toml"
        file.write_text("\n".join([f'state = "{tmp_path}/state"', *lines]))
        return list(image_stores(file, tmp_path / "unused"))

    return look


@pytest.fixture
def ceph(tmp_path, monkeypatch):
    """Programs of Ceph that do what a test says, and a configuration file; the lines of a store."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "ceph.conf").write_text(f"[global]\nfsid = {FSID}\n")

    def make(script):
        for program in ("rbd", "rados"):
            (programs / program).write_text(f"#!/bin/sh\n{script}\n")
            (programs / program).chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
        monkeypatch.setitem(command._ENVIRONMENT, "PATH", f"{programs}:/usr/bin:/bin")
        return "[image.stores.fast]", 'kind = "rbd"', f'conf = "{tmp_path}/ceph.conf"', "answer_s = 0.2"

    return make


def test_a_cloud_that_never_was_up_has_one_store_in_its_folder(tmp_path):
    [found] = image_stores(None, tmp_path / "state")
    assert found.verdict == "good"
    assert f"file: {tmp_path}/state/images, made at the start" in found.text
    assert not (tmp_path / "state").exists(), "a look makes nothing"


def test_a_folder_that_is_there_is_told_with_its_room(look, tmp_path):
    (tmp_path / "images").mkdir()
    [found] = look("[image]", f'folder = "{tmp_path}/images"')
    assert (found.verdict, found.remedy) == ("good", "")
    assert "GiB free" in found.text
    assert "made" not in found.text


def test_a_folder_that_cannot_be(look, tmp_path):
    (tmp_path / "file").write_text("")
    [found] = look("[image]", f'folder = "{tmp_path}/file/images"')
    assert (found.verdict, found.text) == ("bad", f"file: {tmp_path}/file is not a folder")


def test_a_folder_that_may_not_be_written(look, monkeypatch, tmp_path):
    (tmp_path / "images").mkdir()
    monkeypatch.setattr(image_store_checks.os, "access", lambda *_: False)
    there, absent = look("[image.stores.a]", f'folder = "{tmp_path}/images"', "[image.stores.b]", 'folder = "/nowhere"')
    assert (there.verdict, absent.verdict) == ("bad", "bad")
    assert "a: " in there.text
    assert "is not writable" in there.text
    assert "may not make it in /" in absent.text
    assert absent.remedy.startswith("install -d -m 700 -o USER /nowhere")


def test_a_disk_that_is_full(look, monkeypatch):
    monkeypatch.setattr(image_store_checks.shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 28))
    [found] = look()
    assert found.verdict == "bad"
    assert "has 0.2 GiB free" in found.text
    assert found.remedy.startswith("Free some: df -h ")


def test_the_web_needs_nothing(look):
    [found] = look("[image.stores.web]", 'kind = "web"')
    assert found.verdict == "good"


def test_programs_that_are_missing(look, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "rbd" else f"/usr/bin/{name}")
    [found] = look("[image.stores.fast]", 'kind = "rbd"')
    assert (found.verdict, found.text) == ("bad", "fast: missing programs: rbd")
    assert found.remedy == "apt-get install ceph-common"


@pytest.mark.parametrize(
    ("script", "verdict", "words"),
    [
        ("echo 'No such file' >&2; exit 2", "good", "the Ceph pool images is open to client.gureum"),
        ("echo 'error opening pool' >&2; exit 2", "bad", "ceph osd pool create images"),
        ("exit 110", "bad", "see that its monitors run"),
        ("sleep 60", "bad", "did not answer in 0.2 s"),
    ],
)
def test_what_a_cluster_answers(look, ceph, script, verdict, words):
    [found] = look(*ceph(script))
    assert found.verdict == verdict, found
    assert words in f"{found.text} -> {found.remedy}"
    assert bool(found.remedy) is (verdict == "bad")


def test_a_cluster_without_its_file(look, ceph, tmp_path):
    lines = ceph("exit 0")
    (tmp_path / "ceph.conf").unlink()
    [found] = look(*lines)
    assert found.verdict == "bad"
    assert "ceph.conf cannot be read" in found.text


def test_every_store_is_told_and_the_default_must_be_one(look):
    wrong, first, second = look(
        "[image]", 'default_store = "fats"', "[image.stores.fast]", "[image.stores.web]", 'kind = "web"'
    )
    assert (wrong.verdict, wrong.remedy) == ("bad", "Name one of: fast web")
    assert (first.verdict, second.verdict) == ("good", "good")


def test_a_configuration_that_is_none(look):
    [found] = look("[image]", "folders = 1")
    assert found.verdict == "bad"
    assert "folders" in found.text
