"""Formats whose safety is in one short header: VDI, ploop, LUKS, ISO 9660 and UDF.

Invariant: an image without a problem has no parent and says nothing about other files.
Sources: VirtualBox VDI header 1.1 (as in QEMU block/vdi.c), QEMU docs/interop/parallels, LUKS On-Disk Format 1.2.3,
ECMA-119 / ISO 9660 section 8 (volume descriptors), ECMA-167 part 2 (volume recognition).
"""

from __future__ import annotations

from gureum.drivers.image.formats.regions import SECTOR, Examination, Regions, big, little, piece

VDI_NAME = "vdi"
VDI_SIGNATURE = (0xBEDA107F).to_bytes(4, "little")
PLOOP_NAME = "ploop"
PLOOP_MAGICS = (b"WithoutFreeSpace", b"WithouFreSpacExt")
LUKS_NAME = "luks"
LUKS_MAGIC = b"LUKS\xba\xbe"
ISO_NAME = "iso"
ISO_DESCRIPTOR = 32 << 10

_VDI_DYNAMIC, _VDI_STATIC = 1, 2
_PLOOP_IN_USE = 0x746F6E59


def vdi_matches(regions: Regions) -> bool:
    """The signature after the free text of 64 bytes."""
    return regions.head[64:68] == VDI_SIGNATURE


def vdi_examine(regions: Regions) -> Examination:
    """Raises TruncatedHeader when the header is not all there."""
    head = piece(regions.head, 0, SECTOR)
    size, block, blocks = little(head, 368, 8), little(head, 376, 4), little(head, 384, 4)
    problems: list[str] = []
    if little(head, 68, 4) != 0x0001_0001:
        problems.append("its VDI version is not known")
    if little(head, 76, 4) not in (_VDI_DYNAMIC, _VDI_STATIC) or any(head[424:456]):
        problems.append("it has a parent image")
    if block != 1 << 20:
        problems.append(f"a block of {block} bytes is out of range")
    elif blocks * block < size:
        problems.append("its block table is smaller than its disk")
    if little(head, 340, 4) + blocks * 4 > regions.total:
        problems.append("its block table lies beyond the end of the file: the image is cut off")
    return Examination(size, tuple(problems))


def ploop_matches(regions: Regions) -> bool:
    """Either age of the magic."""
    return regions.head.startswith(PLOOP_MAGICS)


def ploop_examine(regions: Regions) -> Examination:
    """Raises TruncatedHeader when the header is not all there."""
    head = piece(regions.head, 0, 64)
    cluster, entries, sectors = little(head, 28, 4), little(head, 32, 4), little(head, 36, 8)
    if head.startswith(PLOOP_MAGICS[0]):
        # The older kind defines only the low half of the field.
        sectors &= 0xFFFF_FFFF
    problems: list[str] = []
    if little(head, 16, 4) != 2:
        problems.append("its ploop version is not known")
    if little(head, 44, 4) == _PLOOP_IN_USE:
        problems.append("it was not closed")
    if cluster == 0 or entries * cluster < sectors:
        problems.append("its block table is smaller than its disk")
    if 64 + entries * 4 > regions.total:
        problems.append("its block table lies beyond the end of the file: the image is cut off")
    return Examination(sectors * SECTOR, tuple(problems))


def luks_matches(regions: Regions) -> bool:
    """The magic of versions 1 and 2."""
    return regions.head.startswith(LUKS_MAGIC)


def luks_examine(regions: Regions) -> Examination:
    """The disk is what follows the key material. Raises TruncatedHeader when the header is not all there."""
    version = big(regions.head, 6, 2)
    if version != 1:
        return Examination(regions.total, (f"LUKS version {version} is not known",))
    piece(regions.head, 0, 592)
    payload = big(regions.head, 104, 4) * SECTOR
    if payload > regions.total:
        return Examination(0, ("its data lies beyond the end of the file: the image is cut off",))
    return Examination(regions.total - payload)


def iso_matches(regions: Regions) -> bool:
    """A volume descriptor of ISO 9660, or the start of UDF's recognition area, in the first place for one."""
    return regions.head[ISO_DESCRIPTOR + 1 : ISO_DESCRIPTOR + 6] in (b"CD001", b"BEA01", b"NSR02", b"NSR03")


def iso_examine(regions: Regions) -> Examination:
    """A disc is read as it is, so its size is the file's. Raises TruncatedHeader when the descriptor is cut off."""
    piece(regions.head, ISO_DESCRIPTOR, 2048)
    return Examination(regions.total)
