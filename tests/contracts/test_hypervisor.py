"""What every hypervisor driver promises (`gureum.drivers.hypervisor.interface`), checked on the fake and on libvirt.

A driver comes inside a *bench*, which also does what the outside world does to machines: a guest process that is
killed, the engine's service restarted. The real guests are boot sectors on emulation. What only the real engine
can show is in `test_libvirt.py`.
"""

from __future__ import annotations

import queue
import time
import uuid
from dataclasses import replace

import pytest
from tests.contracts.hypervisor_bench import LibvirtBench, a_machine, a_nic, open_lab, power
from tests.contracts.hypervisor_lab import eventually

from gureum.drivers.hypervisor.fake import FakeHypervisor
from gureum.drivers.hypervisor.interface import HypervisorError, MachineIsOff, MachineNotFound

_QUIET_S = 0.3


class FakeBench:
    def __init__(self):
        self.driver = FakeHypervisor()

    def disk(self, name):
        return f"/nowhere/{name}.raw"

    def console(self, name):
        return f"/nowhere/{name}.log"

    def until_booted(self, machine):
        pass

    def kill_guest(self, machine):
        self.driver.die(machine.server_id)

    def restart_service(self):
        pass

    def close(self):
        pass


@pytest.fixture(scope="module")
def lab():
    yield from open_lab()


@pytest.fixture(params=["fake", pytest.param("libvirt", marks=pytest.mark.engines)])
def bench(request):
    bench = FakeBench() if request.param == "fake" else LibvirtBench(request.getfixturevalue("lab"))
    yield bench
    bench.close()


@pytest.fixture
def changes(bench):
    """Server ids that a watcher was told of."""
    told = queue.Queue()
    stop = bench.driver.watch(told.put)
    yield told
    stop()


def off(bench, machine):
    return power(bench, machine) in ("stopped", "crashed")


def running(bench, **changes):
    machine = a_machine(bench, **changes)
    bench.driver.define(machine)
    bench.driver.start(machine.server_id)
    return machine


def test_capabilities_are_whole(bench):
    offered = bench.driver.capabilities()
    assert offered.vcpus > 0
    assert offered.ram_mib > 256
    assert offered.disk_gib > 0
    assert offered.hypervisor_type == "QEMU"
    assert offered.hypervisor_version > 1_000_000
    assert "COMPUTE_NODE" in offered.traits
    assert "HW_CPU_X86_SSE42" in offered.traits
    assert bench.driver.capabilities() == offered


def test_a_defined_machine_is_listed_stopped(bench):
    nic = a_nic()
    machine = a_machine(bench, nics=(nic,), vcpus=2, ram_mib=96)
    for _ in range(2):
        bench.driver.define(machine)
        state = bench.driver.machines()[machine.server_id]
        assert (state.server_id, state.power) == (machine.server_id, "stopped")
        assert (state.vcpus, state.ram_mib) == (2, 96)
        assert state.nics == (nic.port_id,)
        assert state.disks == (machine.disks[0].source,)


def test_defining_again_changes_the_definition(bench):
    machine = a_machine(bench)
    bench.driver.define(machine)
    bench.driver.define(replace(machine, ram_mib=128, name=f"{machine.name}-renamed"))
    assert bench.driver.machines()[machine.server_id].ram_mib == 128


def test_a_life_with_every_step_repeated(bench, changes):
    machine = a_machine(bench, nics=(a_nic(),))
    driver, server_id = bench.driver, machine.server_id
    driver.define(machine)
    for paused in (True, True, False):
        driver.start(server_id, paused)
        assert power(bench, machine) == "paused"
    for _ in range(2):
        driver.resume(server_id)
        assert power(bench, machine) == "running"
    for paused in (True, False):
        driver.start(server_id, paused)
        assert power(bench, machine) == "running"
    for _ in range(2):
        driver.pause(server_id)
        assert power(bench, machine) == "paused"
    driver.resume(server_id)
    for _ in range(2):
        driver.power_off(server_id)
        assert power(bench, machine) == "stopped"
    for _ in range(2):
        driver.remove(server_id)
        assert server_id not in driver.machines()
    # What the driver did itself is not told.
    with pytest.raises(queue.Empty):
        changes.get(timeout=_QUIET_S)


def test_one_machine_can_be_asked_for_alone(bench):
    machine, other = running(bench), running(bench)
    assert bench.driver.machines(machine.server_id) == {machine.server_id: bench.driver.machines()[machine.server_id]}
    assert set(bench.driver.machines()) >= {machine.server_id, other.server_id}
    assert bench.driver.machines(str(uuid.uuid4())) == {}


def test_a_running_machine_can_be_removed(bench):
    machine = running(bench)
    bench.driver.remove(machine.server_id)
    assert machine.server_id not in bench.driver.machines()


def test_removing_an_unknown_machine_is_no_error(bench):
    bench.driver.remove(str(uuid.uuid4()))


@pytest.mark.parametrize("method", ["start", "resume", "pause", "shutdown", "power_off"])
def test_an_unknown_machine_is_not_found(bench, method):
    with pytest.raises(MachineNotFound):
        getattr(bench.driver, method)(str(uuid.uuid4()))


def test_nics_of_an_unknown_machine_are_not_found(bench):
    with pytest.raises(MachineNotFound):
        bench.driver.attach_nic(str(uuid.uuid4()), a_nic())
    with pytest.raises(MachineNotFound):
        bench.driver.detach_nic(str(uuid.uuid4()), str(uuid.uuid4()))


@pytest.mark.parametrize("method", ["resume", "pause"])
def test_a_stopped_machine_can_neither_be_paused_nor_resumed(bench, method):
    machine = a_machine(bench)
    bench.driver.define(machine)
    with pytest.raises(HypervisorError):
        getattr(bench.driver, method)(machine.server_id)
    assert power(bench, machine) == "stopped"


def test_defining_while_running_takes_effect_at_the_next_start(bench):
    machine = running(bench)
    bench.driver.define(replace(machine, ram_mib=128, nics=(a_nic(),)))
    state = bench.driver.machines()[machine.server_id]
    assert (state.power, state.ram_mib, state.nics) == ("running", 64, ())
    bench.driver.power_off(machine.server_id)
    bench.driver.start(machine.server_id)
    state = bench.driver.machines()[machine.server_id]
    assert (state.power, state.ram_mib, len(state.nics)) == ("running", 128, 1)


def test_shutdown_asks_the_guest_and_its_end_is_told(bench, changes):
    machine = a_machine(bench)
    bench.driver.define(machine)
    bench.driver.shutdown(machine.server_id)
    bench.driver.start(machine.server_id)
    bench.until_booted(machine)
    bench.driver.shutdown(machine.server_id)
    assert changes.get(timeout=10) == machine.server_id
    assert power(bench, machine) == "stopped"


def test_nics_come_and_go_while_running(bench):
    first, second = a_nic(), a_nic()
    machine = running(bench, nics=(first,))
    bench.until_booted(machine)
    for _ in range(2):
        bench.driver.attach_nic(machine.server_id, second)
        assert bench.driver.machines()[machine.server_id].nics == (first.port_id, second.port_id)
    for _ in range(2):
        bench.driver.detach_nic(machine.server_id, first.port_id)
        assert bench.driver.machines()[machine.server_id].nics == (second.port_id,)
    bench.driver.power_off(machine.server_id)
    assert bench.driver.machines()[machine.server_id].nics == (second.port_id,)


def test_nics_come_and_go_while_stopped(bench):
    nic = a_nic()
    machine = a_machine(bench)
    bench.driver.define(machine)
    for _ in range(2):
        bench.driver.attach_nic(machine.server_id, nic)
        assert bench.driver.machines()[machine.server_id].nics == (nic.port_id,)
    for _ in range(2):
        bench.driver.detach_nic(machine.server_id, nic.port_id)
        assert bench.driver.machines()[machine.server_id].nics == ()


def test_a_guest_that_dies_is_told_until_the_watcher_stops(bench):
    changes = queue.Queue()
    stop = bench.driver.watch(changes.put)
    machine = a_machine(bench)
    bench.driver.define(machine)
    for _ in range(2):
        bench.driver.start(machine.server_id)
        assert power(bench, machine) == "running"
        bench.kill_guest(machine)
        assert changes.get(timeout=10) == machine.server_id
        eventually(lambda: off(bench, machine), "the machine is off")
    bench.driver.start(machine.server_id)
    stop()
    bench.kill_guest(machine)
    eventually(lambda: off(bench, machine), "the machine is off")
    with pytest.raises(queue.Empty):
        changes.get(timeout=_QUIET_S)


def test_a_failing_watcher_does_not_silence_the_others(bench, changes):
    def fail(server_id):
        raise RuntimeError(server_id)

    stop = bench.driver.watch(fail)
    others = queue.Queue()
    stop_others = bench.driver.watch(others.put)
    machine = running(bench)
    bench.kill_guest(machine)
    for told in (changes, others):
        assert told.get(timeout=10) == machine.server_id
    stop()
    stop_others()


def test_guests_and_watchers_outlive_the_service(bench, changes):
    machine = running(bench)
    bench.restart_service()
    assert power(bench, machine) == "running"
    bench.driver.pause(machine.server_id)
    bench.driver.resume(machine.server_id)
    assert changes.empty()
    bench.kill_guest(machine)
    assert changes.get(timeout=15) == machine.server_id


def copied(bench, machine, target):
    """Until the copy is whole; how often the driver was asked."""
    asked = []

    def whole():
        asked.append(1)
        return bench.driver.copy_disk(machine.server_id, machine.disks[0].source, target)

    eventually(whole, "the copy is whole")
    return len(asked)


@pytest.mark.parametrize("paused", [False, True])
def test_a_disk_in_use_is_copied_as_a_whole_and_again(bench, tmp_path, paused):
    machine = a_machine(bench)
    bench.driver.define(machine)
    bench.driver.start(machine.server_id, paused)
    for name in ("first", "second", "second"):
        target = tmp_path / name
        assert copied(bench, machine, str(target)) >= 2
        assert target.read_bytes()[:8] == b"QFI\xfb\0\0\0\3"
        assert power(bench, machine) == ("paused" if paused else "running")


def test_a_copy_ends_with_the_machine(bench, tmp_path):
    machine = running(bench)
    source = machine.disks[0].source
    bench.driver.copy_disk(machine.server_id, source, str(tmp_path / "copy"))
    bench.driver.power_off(machine.server_id)
    for _ in range(2):
        with pytest.raises(MachineIsOff):
            bench.driver.copy_disk(machine.server_id, source, str(tmp_path / "copy"))
    bench.driver.start(machine.server_id)
    assert copied(bench, machine, str(tmp_path / "copy")) >= 2


def test_an_aborted_copy_is_not_whole(bench, tmp_path):
    machine = running(bench)
    source, target = machine.disks[0].source, str(tmp_path / "copy")
    bench.driver.copy_disk(machine.server_id, source, target)
    for _ in range(2):
        bench.driver.abort_copy(machine.server_id, target)
    assert bench.driver.copy_disk(machine.server_id, source, str(tmp_path / "other")) is False
    bench.driver.abort_copy(machine.server_id, target)
    assert copied(bench, machine, str(tmp_path / "other")) >= 1
    bench.driver.abort_copy(str(uuid.uuid4()), target)


def test_only_a_known_disk_of_a_known_machine_is_copied(bench, tmp_path):
    with pytest.raises(MachineNotFound):
        bench.driver.copy_disk(str(uuid.uuid4()), "/nowhere", str(tmp_path / "copy"))
    with pytest.raises(HypervisorError):
        bench.driver.copy_disk(running(bench).server_id, "/nowhere", str(tmp_path / "copy"))


def test_a_copy_survives_the_service(bench, tmp_path):
    machine = running(bench)
    target = str(tmp_path / "copy")
    bench.driver.copy_disk(machine.server_id, machine.disks[0].source, target)
    time.sleep(_QUIET_S)  # libvirtd takes long to end while a job begins
    bench.restart_service()
    assert copied(bench, machine, target) >= 1
