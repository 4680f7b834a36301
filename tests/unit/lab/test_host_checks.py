"""What `doctor --host` makes of what the engines say."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from gureum.drivers.image.file.store import FileImageStore
from gureum.lab import host_checks

IDS = (
    '{hostname=host1, ovn-bridge=br-int, ovn-bridge-datapath-type=netdev, ovn-encap-ip="10.0.0.3", '
    'ovn-encap-type=geneve, ovn-remote="tcp:10.0.0.1:6642", system-id=host1}\n'
)


@pytest.fixture
def engines(tmp_path, monkeypatch):
    """Answers of the engines by program; all is well until a test changes one."""
    answers = {
        "virsh": ("", ""),
        "ovs-vsctl": (IDS, ""),
        "ovs-ofctl": ("flow\n" * 500, ""),
        "ovn-appctl": ("connected\n", ""),
        "systemctl": ("active\n", ""),
    }
    system_id = tmp_path / "system-id.conf"
    system_id.write_text("host1\n")
    (tmp_path / "agent.ready").touch()
    monkeypatch.setattr(host_checks, "SYSTEM_ID", system_id)
    monkeypatch.setattr(host_checks, "HOST_STATE", tmp_path)
    monkeypatch.setattr(host_checks, "missing", lambda _packages: ())
    monkeypatch.setattr(host_checks, "problems", lambda: iter(()))
    monkeypatch.setattr(host_checks, "_run", lambda words: ("", "") if "find" in words else answers[words[0]])
    settings = tmp_path / "agent.json"
    settings.write_text(json.dumps({"bus": "amqp://gureum:secret@10.0.0.1//"}))
    settings.chmod(0o600)
    return answers


def bad(tmp_path) -> list[str]:
    return [found.text for found in host_checks.host_findings(tmp_path / "agent.json") if found.verdict == "bad"]


def test_sound_host_has_nothing_bad(engines, tmp_path):
    assert bad(tmp_path) == []


def test_slow_libvirt_is_measured(engines, tmp_path, monkeypatch):
    monkeypatch.setattr(host_checks, "_SLOW_S", -1.0)
    (text,) = bad(tmp_path)
    assert text.endswith("to say what QEMU can do")


@pytest.mark.parametrize(
    ("program", "answer", "words"),
    [
        ("ovs-vsctl", (IDS.replace("ovn-encap-ip", "x"), ""), "external-ids lacks ovn-encap-ip"),
        ("ovs-vsctl", (IDS.replace("system-id=host1", "system-id=other"), ""), "is not external-ids:system-id"),
        ("ovs-ofctl", ("one\n", ""), "has written no flows into br-int"),
        ("ovn-appctl", ("not connected\n", ""), "ovn-controller has no southbound database: not connected"),
        ("systemctl", ("failed\n", "status 3"), "gureum-agent.service is failed"),
        ("virsh", ("", "cannot connect"), "it does not answer: cannot connect"),
    ],
)
def test_each_engine_that_is_wrong_is_named(engines, tmp_path, program, answer, words):
    engines[program] = answer
    (text,) = bad(tmp_path)
    assert words in text


def test_settings_that_others_read_or_that_name_no_bus(engines, tmp_path):
    file = tmp_path / "agent.json"
    file.chmod(0o644)
    assert bad(tmp_path) == [f"others can read {file}, a password is in it"]
    file.write_text("{}")
    assert bad(tmp_path) == [f"{file} names no bus"]


def test_image_folder_that_is_not_mounted_is_no_image_store(engines, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    (tmp_path / "agent.json").write_text(json.dumps({"bus": "amqp://10.0.0.1//", "images": str(images)}))
    assert bad(tmp_path) == [f"there is no image store at {images}"]
    FileImageStore(images)
    assert bad(tmp_path) == []


def test_dead_mount_of_the_images_is_told(engines, tmp_path, monkeypatch):
    def not_connected(_path):
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    (tmp_path / "agent.json").write_text(json.dumps({"bus": "amqp://10.0.0.1//", "images": "/srv/gureum/images"}))
    with monkeypatch.context() as dead:
        dead.setattr(Path, "is_dir", not_connected)
        texts = bad(tmp_path)
    assert texts == ["there is no image store at /srv/gureum/images"]


@pytest.mark.parametrize("mappings", ['"external:br-ex"', '"physnet2:br-2,external:br-ex"'])
def test_card_of_the_external_network_that_is_down_is_named(engines, tmp_path, monkeypatch, mappings):
    ids = IDS.replace("{", "{ovn-bridge-mappings=" + mappings + ", ")

    def ovs_vsctl(words):
        if "link_state=down" in words:
            return "eth1\ntap0\n", ""
        if "list-ports" in words:
            return ("eth1\n" if words[-1] == "br-ex" else "eth2\n"), ""
        return ("", "") if "find" in words else (ids, "") if words[0] == "ovs-vsctl" else engines[words[0]]

    monkeypatch.setattr(host_checks, "_run", ovs_vsctl)
    assert bad(tmp_path) == ["the card eth1 of br-ex is down: no packet passes"]
