"""What Gureum asks of a hypervisor: a dozen idempotent methods named by server id.

The driver knows machines, disks' paths and taps; it knows no image store, no metadata and no
database: `agents/hypervisor/agent.py` prepares those and calls the driver. The word *domain* stays
inside the libvirt folder. The fake and the real driver pass `tests/contracts/test_hypervisor.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

Power = Literal["running", "paused", "stopped", "crashed"]


@dataclass(frozen=True, slots=True)
class Disk:
    """One block device. `source` is an absolute path, or a URL that the engine's block layer opens (rbd:, nbd://)."""

    source: str
    format: Literal["qcow2", "raw"]
    bus: Literal["virtio", "scsi", "ide", "sata"] = "virtio"
    kind: Literal["disk", "cdrom"] = "disk"
    serial: str = ""
    boot: bool = False


@dataclass(frozen=True, slots=True)
class Nic:
    """One network interface, wired by the host's virtual switch to the port of the same id."""

    port_id: str
    mac: str
    mtu: int
    tap: str
    model: Literal["virtio", "e1000", "rtl8139"] = "virtio"


@dataclass(frozen=True, slots=True)
class Machine:
    """A whole machine as it is to be defined: regenerated from the server's spec at every start.

    `guest_agent` gives it the channel on which QEMU's guest agent listens, where the guest runs one.
    """

    server_id: str
    name: str
    vcpus: int
    ram_mib: int
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]
    console_log: str
    firmware: Literal["bios", "uefi"] = "bios"
    guest_agent: bool = False


@dataclass(frozen=True, slots=True)
class MachineState:
    """What the engine says now. `nics` holds the port ids plugged at this moment."""

    server_id: str
    power: Power
    nics: tuple[str, ...] = ()
    disks: tuple[str, ...] = ()
    vcpus: int = 0
    ram_mib: int = 0


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the host can give: whole vCPUs, MiB of memory, GiB of disk under the instances folder."""

    vcpus: int
    ram_mib: int
    disk_gib: int
    hypervisor_type: str
    hypervisor_version: int
    accelerator: Literal["kvm", "tcg", "none"]
    traits: tuple[str, ...]
    cpu_info: str = "{}"


class HypervisorError(Exception):
    """The engine refused or failed. The text is for operators; tenants see a general fault."""


class MachineNotFound(HypervisorError):
    """No machine of this id is defined on this host."""


class MachineIsOff(HypervisorError):
    """The machine does not run: the engine holds none of its disks, whose files are the caller's to read."""


class Hypervisor(Protocol):
    """Every method may be repeated with the same arguments and may be interrupted at any point."""

    def capabilities(self) -> Capabilities: ...

    def machines(self, only: str | None = None) -> dict[str, MachineState]:
        """Every machine of ours on this host, by server id, defined or running; or that of one server alone."""
        ...

    def define(self, machine: Machine) -> None:
        """Make the definition match. A running machine is not touched: it takes effect at the next start."""
        ...

    def start(self, server_id: str, paused: bool = False) -> None:
        """Power on, or leave as it is when it already runs. `paused` holds the guest before its first instruction."""
        ...

    def resume(self, server_id: str) -> None: ...

    def pause(self, server_id: str) -> None: ...

    def shutdown(self, server_id: str) -> None:
        """Ask the guest to power off (ACPI); returns at once. The caller waits and falls back to `power_off`."""
        ...

    def power_off(self, server_id: str) -> None: ...

    def remove(self, server_id: str) -> None:
        """Power off and forget the machine; no error when it does not exist. Disks are the caller's."""
        ...

    def attach_nic(self, server_id: str, nic: Nic) -> None: ...

    def detach_nic(self, server_id: str, port_id: str) -> None: ...

    def watch(self, on_change: Callable[[str], None]) -> Callable[[], None]:
        """Call `on_change(server_id)` when a machine's power changes by itself; returns a stop function."""
        ...


class DiskCopier(Protocol):
    """What the engine does about a disk that a machine has in use; every driver is this beside `Hypervisor`.

    A copy belongs to one start of the machine: a machine that goes off, or an engine that is restarted, ends it.
    """

    def copy_disk(self, server_id: str, source: str, target: str) -> bool:
        """Begin a copy of the disk `source` as it is at this moment, or look after the one under way; never waits.

        True once `target` (a file's absolute path) is a whole qcow2 file without a backing file. The guest goes on,
        its file systems held for the beginning where something in it listens. A file that lies at `target` from
        another attempt is replaced. Raises MachineNotFound, MachineIsOff, and HypervisorError when the copy failed.
        """
        ...

    def abort_copy(self, server_id: str, target: str) -> None:
        """End the copy to `target`, if it is under way; the file is the caller's. No machine, no copy: no error."""
        ...


class HypervisorDriver(Hypervisor, DiskCopier, Protocol):
    """Both, as every driver is."""
