"""The libvirt driver in a lab, with what the outside world does to its machines; and machines to try things on."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contracts.hypervisor_lab import Lab, eventually, missing

from gureum.drivers.hypervisor.interface import Disk, Machine, Nic


def open_lab():
    """The body of a fixture: one lab, or a skip that says what is missing."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    with Lab() as lab:
        yield lab


class LibvirtBench:
    def __init__(self, lab):
        from gureum.drivers.hypervisor.libvirt.driver import LibvirtDriver, LibvirtOptions

        self.lab = lab
        self.driver = LibvirtDriver(
            LibvirtOptions(
                accelerator="tcg",
                userspace_datapath=True,
                instances=lab.folder,
                socket_path=str(lab.socket),
                detach_wait_s=1,
            )
        )

    def disk(self, name):
        return self.lab.boot_disk(name)

    def console(self, name):
        return str(self.lab.folder / f"{name}.log")

    def boots(self, machine):
        log = Path(machine.console_log)
        return log.read_text().count("boot\n") if log.exists() else 0

    def until_booted(self, machine):
        eventually(lambda: self.boots(machine), f"the guest of {machine.name} speaks", 30)

    def kill_guest(self, machine):
        self.lab.run("kill", "-9", self.lab.guest_pid(machine.name))

    def restart_service(self):
        self.lab.stop_libvirtd()
        self.lab.start_libvirtd()

    def close(self):
        try:
            for server_id in self.driver.machines():
                self.driver.remove(server_id)
        finally:
            self.driver.close()


_numbers = itertools.count(1)


def a_nic():
    number = next(_numbers)
    return Nic(
        port_id=str(uuid.uuid4()),
        mac=f"fa:16:3e:00:{number >> 8:02x}:{number & 255:02x}",
        mtu=1442,
        tap=f"tap-hv{number}",
    )


def a_machine(bench, **changes):
    name = f"hv-{next(_numbers):08x}"
    machine = Machine(
        server_id=str(uuid.uuid4()),
        name=name,
        vcpus=1,
        ram_mib=64,
        disks=(Disk(source=bench.disk(name), format="raw", serial="disk-0", boot=True),),
        nics=(),
        console_log=bench.console(name),
    )
    return replace(machine, **changes)


def power(bench, machine):
    return bench.driver.machines()[machine.server_id].power
