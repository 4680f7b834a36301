"""What only the real engine can show of the libvirt driver: consoles, the switch, other buses, others' machines."""

from __future__ import annotations

import queue
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contracts.hypervisor_bench import LibvirtBench, a_machine, a_nic, open_lab, power
from tests.contracts.hypervisor_lab import eventually

from gureum.drivers.hypervisor.interface import Disk, HypervisorError
from gureum.drivers.image.inspector import inspect_file

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def lab():
    yield from open_lab()


@pytest.fixture
def real(lab):
    bench = LibvirtBench(lab)
    yield bench
    bench.close()


@pytest.fixture
def changes(real):
    told = queue.Queue()
    stop = real.driver.watch(told.put)
    yield told
    stop()


def running(real, **changes):
    machine = a_machine(real, **changes)
    real.driver.define(machine)
    real.driver.start(machine.server_id)
    return machine


def test_a_guest_that_dies_while_the_service_is_down_is_told(real, changes):
    machine = running(real)
    real.lab.stop_libvirtd()
    try:
        with pytest.raises(HypervisorError, match="does not answer"):
            real.driver.machines()
        real.kill_guest(machine)
    finally:
        real.lab.start_libvirtd()
    assert changes.get(timeout=15) == machine.server_id
    assert power(real, machine) in ("stopped", "crashed")


def test_a_driver_may_be_there_before_the_service(real, lab):
    machine = running(real)
    lab.stop_libvirtd()
    try:
        early = LibvirtBench(lab)
        told = queue.Queue()
        stop = early.driver.watch(told.put)
    finally:
        lab.start_libvirtd()
    assert told.get(timeout=15) == machine.server_id
    real.kill_guest(machine)
    assert told.get(timeout=15) == machine.server_id
    stop()
    early.driver.close()


def test_the_console_is_kept_over_boots_and_may_be_cut(real):
    machine = a_machine(real)
    log = Path(machine.console_log)
    real.driver.define(machine)
    for boots in (1, 2):
        real.driver.start(machine.server_id)
        eventually(lambda boots=boots: real.boots(machine) == boots, f"the console holds {boots} boots", 30)
        real.driver.power_off(machine.server_id)
    real.driver.start(machine.server_id)
    log.write_bytes(b"")
    eventually(lambda: real.boots(machine) == 1, "the guest goes on writing after the cut", 30)
    assert b"\0" not in log.read_bytes()


def test_the_switch_knows_the_port(real):
    nic = a_nic()
    machine = running(real, nics=(nic,))
    assert real.lab.run("ovs-vsctl", "get", "interface", nic.tap, "external_ids:iface-id").strip('"\n') == nic.port_id
    assert "mtu 1442" in real.lab.run("ip", "link", "show", nic.tap)
    real.driver.power_off(machine.server_id)
    assert nic.tap not in real.lab.run("ovs-vsctl", "list-ports", "br-int")


def test_a_guest_that_keeps_its_nic_is_an_error_that_can_be_repeated(real):
    nic = a_nic()
    machine = a_machine(real, nics=(nic,))
    real.driver.define(machine)
    real.driver.start(machine.server_id, paused=True)
    for _ in range(2):
        with pytest.raises(HypervisorError, match="let go"):
            real.driver.detach_nic(machine.server_id, nic.port_id)
        assert real.driver.machines()[machine.server_id].nics == (nic.port_id,)
    real.driver.resume(machine.server_id)
    real.until_booted(machine)
    real.driver.detach_nic(machine.server_id, nic.port_id)
    assert real.driver.machines()[machine.server_id].nics == ()


def test_machines_of_others_are_left_alone(real, changes):
    foreign = real.lab.folder / "foreign.xml"
    foreign.write_text(
        "<domain type='qemu'><name>foreign</name><memory>65536</memory><os><type>hvm</type></os></domain>"
    )
    try:
        real.lab.run("virsh", "define", str(foreign))
        real.lab.run("virsh", "start", "foreign")
        real.lab.run("virsh", "destroy", "foreign")
        assert real.driver.machines() == {}
        with pytest.raises(queue.Empty):
            changes.get(timeout=0.3)
    finally:
        real.lab.run("virsh", "undefine", "foreign", check=False)


def test_what_an_operator_does_behind_our_back_is_told(real, changes):
    machine = running(real)
    for command in ("suspend", "resume", "destroy", "start"):
        real.lab.run("virsh", command, machine.name)
        assert changes.get(timeout=10) == machine.server_id, command


@pytest.mark.parametrize(
    ("bus", "model"), [("virtio", "virtio"), ("scsi", "e1000"), ("sata", "rtl8139"), ("ide", "virtio")]
)
def test_every_bus_and_nic_model_boots(real, bus, model):
    machine = a_machine(real, nics=(replace(a_nic(), model=model),))
    drive = Disk(source=real.disk(f"{machine.name}-config"), format="raw", bus="sata", kind="cdrom")
    machine = replace(machine, disks=(replace(machine.disks[0], bus=bus), drive))
    real.driver.define(machine)
    real.driver.start(machine.server_id)
    real.until_booted(machine)


def test_eight_devices_can_be_plugged(real):
    machine = running(real)
    real.until_booted(machine)
    for _ in range(8):
        real.driver.attach_nic(machine.server_id, a_nic())
    assert len(real.driver.machines()[machine.server_id].nics) == 8


def test_uefi_starts_or_says_what_to_install(real):
    from gureum.drivers.hypervisor.libvirt.host import find_uefi

    machine = a_machine(real, firmware="uefi")
    if find_uefi() is not None:
        real.driver.define(machine)
        real.driver.start(machine.server_id)
        assert power(real, machine) == "running"
        real.driver.remove(machine.server_id)
        assert list(real.lab.folder.glob("var/lib/libvirt/qemu/nvram/*")) == []
    else:
        with pytest.raises(HypervisorError, match="ovmf"):
            real.driver.define(machine)


def test_a_copy_is_the_disk_and_what_it_stands_on(real, lab):
    base = Path(real.disk("copied-base"))
    base.write_bytes(base.read_bytes() + bytes(range(256)) * 8192)
    overlay, copy, flat = (lab.folder / f"copied{suffix}" for suffix in (".qcow2", ".copy", ".raw"))
    chain = ["-f", "qcow2", "-F", "raw", "-b", str(base), str(overlay)]
    subprocess.run(["qemu-img", "create", "-q", *chain], check=True)
    overlay_disk = Disk(source=str(overlay), format="qcow2", serial="disk-0", boot=True)
    machine = running(real, disks=(overlay_disk,), guest_agent=True)
    real.until_booted(machine)
    eventually(lambda: real.driver.copy_disk(machine.server_id, str(overlay), str(copy)), "the copy is whole")
    real.driver.remove(machine.server_id)
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", str(copy)], check=True)
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(copy), str(flat)], check=True)
    assert flat.read_bytes() == base.read_bytes()
    base.unlink()
    found = inspect_file(copy)
    assert (found.problems, found.virtual_size_bytes) == ((), flat.stat().st_size)
