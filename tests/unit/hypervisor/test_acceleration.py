from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from gureum.drivers.hypervisor.interface import HypervisorError
from gureum.drivers.hypervisor.libvirt import acceleration

SOURCE = Path(acceleration.__file__).with_name("probe_guest.s")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A host with a device node and an emulator; `ran` lists the probes, `works` says how they end."""

    class Host:
        works = True
        ran: list[str] = []  # noqa: RUF012
        device = tmp_path / "kvm"
        cache = tmp_path / "state/acceleration.json"

        def probe(self, accelerator):
            self.ran.append(accelerator)
            return self.works

    host = Host()
    host.ran = []
    host.device.touch()
    emulator = tmp_path / "qemu"
    emulator.touch()
    monkeypatch.setattr(acceleration, "KVM_DEVICE", host.device)
    monkeypatch.setattr(acceleration, "probe_guest_runs", host.probe)
    monkeypatch.setattr(acceleration.shutil, "which", lambda _name: str(emulator) if emulator.exists() else None)
    host.emulator = emulator
    return host


@pytest.mark.parametrize(("works", "answer"), [(True, "kvm"), (False, "tcg")])
def test_the_guest_decides_and_is_remembered(machine, works, answer):
    machine.works = works
    assert acceleration.probe_acceleration(machine.cache) == answer
    machine.works = not works
    assert acceleration.probe_acceleration(machine.cache) == answer
    assert machine.ran == ["kvm"]


def test_without_a_device_nothing_is_run(machine):
    machine.device.unlink()
    assert acceleration.probe_acceleration(machine.cache) == "tcg"
    assert machine.ran == []


def test_another_boot_is_probed_anew(machine):
    acceleration.probe_acceleration(machine.cache)
    document = json.loads(machine.cache.read_text())
    document["conditions"]["boot"] = "another"
    machine.cache.write_text(json.dumps(document))
    acceleration.probe_acceleration(machine.cache)
    assert machine.ran == ["kvm", "kvm"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"accelerator": "kvm"}', '{"accelerator": 3, "conditions": {}}'])
def test_a_broken_cache_only_costs_the_probe(machine, content):
    machine.cache.parent.mkdir()
    machine.cache.write_text(content)
    machine.works = False
    assert acceleration.probe_acceleration(machine.cache) == "tcg"
    assert machine.ran == ["kvm"]


def test_without_an_emulator_it_says_what_to_install(machine):
    machine.emulator.unlink()
    with pytest.raises(HypervisorError, match="apt-get install"):
        acceleration.probe_acceleration(machine.cache)


def test_the_firmware_is_a_whole_image():
    image = acceleration.firmware_image()
    assert len(image) == 65536
    assert image[-16] == 0xE9, "the processor starts 16 bytes before the end, on a jump"


@pytest.mark.skipif(not (shutil.which("as") and shutil.which("objcopy")), reason="needs binutils")
def test_the_bytes_are_those_of_the_source(tmp_path):
    """When it fails: assemble probe_guest.s as its head says and paste the bytes into acceleration.py."""
    subprocess.run(["as", "--64", SOURCE, "-o", tmp_path / "g.o"], check=True)
    subprocess.run(["objcopy", "-O", "binary", tmp_path / "g.o", tmp_path / "g.bin"], check=True)
    assert acceleration.firmware_image().endswith((tmp_path / "g.bin").read_bytes())


@pytest.mark.skipif(shutil.which(acceleration.EMULATOR) is None, reason="needs QEMU")
def test_the_guest_runs_to_its_end_under_emulation():
    assert acceleration.probe_guest_runs("tcg", 20)
    assert not acceleration.probe_guest_runs("no-such-accelerator", 20)
