"""Partition tables, by which a raw disk is recognised as a disk. They are no format of their own and never refused.

Source: UEFI specification 2.10, section 5 (protective MBR, GPT header).
"""

from __future__ import annotations

from gureum.drivers.image.formats.regions import Regions

_ENTRIES = range(446, 510, 16)


def partition_table(regions: Regions) -> str | None:
    """'gpt', 'mbr' or None."""
    head = regions.head
    if head[510:512] != b"\x55\xaa":
        return None
    if head[512:520] == b"EFI PART" or head[4096:4104] == b"EFI PART":
        return "gpt"
    plausible = all(head[entry] in (0x00, 0x80) for entry in _ENTRIES)
    return "mbr" if plausible and any(head[entry + 4] for entry in _ENTRIES) else None
