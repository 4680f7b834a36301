"""From a server's spec to the machine that the driver defines: pure, regenerated at every start.

Nothing is read back from an old definition, so a stale or edited one cannot live on (CVE-2020-17376).
Image properties are taken from a closed list; an unknown value falls to the default.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from gureum.agents.hypervisor.disks import ServerDisks
from gureum.agents.hypervisor.protocol import ServerSpec
from gureum.drivers.hypervisor.interface import Disk, Machine, Nic

DiskBus = Literal["virtio", "scsi", "ide", "sata"]
NicModel = Literal["virtio", "e1000", "rtl8139"]

_BUSES = ("virtio", "scsi", "ide", "sata")
_MODELS = ("virtio", "e1000", "rtl8139")
_TAP_CHARS = 11
_TRUE = ("yes", "true", "on", "1")


def machine_of(spec: ServerSpec, disks: ServerDisks) -> Machine:
    """The whole machine. `disks` says which of the server's files there are."""
    return Machine(
        server_id=spec.server_id,
        name=spec.name,
        vcpus=spec.vcpus,
        ram_mib=spec.ram_mib,
        disks=_disks(spec, disks),
        nics=nics_of(spec),
        console_log=str(disks.console_log),
        firmware="uefi" if spec.hardware.get("hw_firmware_type") == "uefi" else "bios",
        guest_agent=spec.hardware.get("hw_qemu_guest_agent", "").lower() in _TRUE,
    )


def nics_of(spec: ServerSpec) -> tuple[Nic, ...]:
    """The network interfaces in the spec's order; a tap is named after its port so that it can be found again."""
    return tuple(
        Nic(
            port_id=nic.port_id,
            mac=nic.mac,
            mtu=nic.mtu,
            tap=f"tap{nic.port_id[:_TAP_CHARS]}",
            model=cast("NicModel", nic.model if nic.model in _MODELS else "virtio"),
        )
        for nic in spec.nics
    )


def _disks(spec: ServerSpec, files: ServerDisks) -> tuple[Disk, ...]:
    bus = _bus(spec.hardware.get("hw_disk_bus", ""), "virtio")
    disks: list[Disk] = []
    if files.root.exists():
        disks.append(Disk(str(files.root), "qcow2", bus=bus, serial=_serial(spec, files.root), boot=True))
    blank = [path for path in (files.ephemeral, files.swap) if path.exists()]
    disks += [Disk(str(path), "raw", bus=bus, serial=_serial(spec, path)) for path in blank]
    if spec.config_drive and files.config_drive.exists():
        disks.append(_config_drive(spec, str(files.config_drive), bus))
    return tuple(disks)


def _config_drive(spec: ServerSpec, source: str, bus: DiskBus) -> Disk:
    # A guest that boots from virtio need not have a SATA or IDE driver, so its config drive comes the same way:
    # cloud-init finds it by its label. A guest on another bus, or an image that asks, gets an optical drive.
    wanted = _bus(spec.hardware.get("hw_cdrom_bus", ""), bus)
    if wanted == "virtio":
        return Disk(source, "raw", bus="virtio", kind="disk")
    return Disk(source, "raw", bus=wanted, kind="cdrom")


def _bus(text: str, default: DiskBus) -> DiskBus:
    return cast("DiskBus", text) if text in _BUSES else default


def _serial(spec: ServerSpec, path: Path) -> str:
    return f"{spec.server_id.replace('-', '')[:12]}-{path.name}"[:20]
