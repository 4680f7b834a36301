"""The guest's disk: a partition table, a FAT partition that syslinux boots, an ext4 root partition, as qcow2.

Made with ordinary tools on ordinary files; nothing is mounted and no loop device is used. The root partition is the
last one, so that the guest can let it grow with its disk. Read next: `build.py`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from gureum.lab.guest_image.failure import GuestImageError
from gureum.lab.guest_image.packages import run

_MIB = 1024 * 1024
_SECTOR = 512
_BOOT_START = 1 * _MIB
_BOOT_SIZE = 20 * _MIB
_ROOT_SIZE = 80 * _MIB
_ROOT_LABEL = "gureum-root"  # bootfs/init looks for it
_MBR = Path("/usr/lib/syslinux/mbr/mbr.bin")
_DISK_SIGNATURE = 0x6775726D
_FAT16_LBA, _LINUX = 0x0E, 0x83
# Room in the group descriptors for a root file system that grows online to 2 TiB, in blocks of 4 KiB.
_LARGEST_ROOT_BLOCKS = 2**29


@dataclass(frozen=True)
class BootFiles:
    """What the FAT partition holds."""

    kernel: Path
    initramfs: bytes
    syslinux_config: Path


def make_disk(root: Path, boot: BootFiles, folder: Path) -> Path:
    """Make the disk in folder from the root tree and the boot files, and return it as a compressed qcow2."""
    boot_part = _make_boot_partition(boot, folder)
    root_part = _make_root_partition(root, folder)
    raw = folder / "disk.raw"
    with raw.open("wb") as disk:
        disk.write(_partition_table())
        disk.truncate(_BOOT_START + _BOOT_SIZE + _ROOT_SIZE)
    _copy_sparse(boot_part, raw, _BOOT_START)
    _copy_sparse(root_part, raw, _BOOT_START + _BOOT_SIZE)
    image = folder / "disk.qcow2"
    run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", raw, image])
    return image


def _make_boot_partition(boot: BootFiles, folder: Path) -> Path:
    part = folder / "boot.fat"
    with part.open("wb") as file:
        file.truncate(_BOOT_SIZE)
    hidden_sectors = _BOOT_START // _SECTOR
    run(["mkfs.fat", "-F", "16", "-s", "8", "-h", str(hidden_sectors), "-n", "GUREUM-BOOT", part])
    initramfs = folder / "initramfs"
    initramfs.write_bytes(boot.initramfs)
    for source, name in ((boot.kernel, "vmlinuz"), (initramfs, "initramfs"), (boot.syslinux_config, "syslinux.cfg")):
        run(["mcopy", "-i", part, source, f"::{name}"])
    run(["syslinux", "--install", part])
    return part


def _make_root_partition(root: Path, folder: Path) -> Path:
    part = folder / "root.ext4"
    with part.open("wb") as file:
        file.truncate(_ROOT_SIZE)
    options = ["-q", "-F", "-t", "ext4", "-b", "4096", "-i", "16384", "-m", "0", "-L", _ROOT_LABEL]
    # Growing online adds sixteen block groups in one transaction, which a journal of 4 MiB refuses.
    options += ["-J", "size=8", "-E", f"resize={_LARGEST_ROOT_BLOCKS},lazy_itable_init=1"]
    run(["mke2fs", *options, "-d", root, part])
    return part


def _partition_table() -> bytes:
    if not _MBR.exists():
        raise GuestImageError(f"{_MBR} is missing: apt-get install syslinux-common")
    code = _MBR.read_bytes()[:440]
    boot = _table_entry(_FAT16_LBA, _BOOT_START, _BOOT_SIZE, bootable=True)
    root = _table_entry(_LINUX, _BOOT_START + _BOOT_SIZE, _ROOT_SIZE, bootable=False)
    return code.ljust(440, b"\0") + struct.pack("<IH", _DISK_SIGNATURE, 0) + boot + root + bytes(32) + b"\x55\xaa"


def _table_entry(kind: int, start: int, size: int, *, bootable: bool) -> bytes:
    # Cylinder fields at their largest value say: use the sector numbers.
    beyond = b"\xfe\xff\xff"
    head = bytes([0x80 if bootable else 0]) + beyond + bytes([kind]) + beyond
    return head + struct.pack("<II", start // _SECTOR, size // _SECTOR)


def _copy_sparse(source: Path, disk: Path, offset: int) -> None:
    with source.open("rb") as part, disk.open("r+b") as whole:
        position = offset
        while block := part.read(_MIB // 16):
            if block.count(0) != len(block):
                whole.seek(position)
                whole.write(block)
            position += len(block)
