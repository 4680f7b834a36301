"""Formats that no part of the cloud serves but that disk tools recognise by themselves: known, named, refused.

They are here so that none of them passes as raw.
Source: the probe functions of QEMU block/{qcow,qed,bochs,cloop,dmg}.c.
"""

from __future__ import annotations

from gureum.drivers.image.formats.regions import SECTOR, Regions

_STARTS = {
    "qcow": b"QFI\xfb\0\0\0\1",
    "qed": b"QED\0",
    "bochs": b"Bochs Virtual HD Image",
    "cloop": b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop",
}
_DMG_TRAILER = b"koly"

NAMES = (*_STARTS, "dmg")


def matches(name: str, regions: Regions) -> bool:
    """Whether the image carries this format's signature."""
    if name == "dmg":
        return len(regions.tail) >= SECTOR and regions.tail[-SECTOR:].startswith(_DMG_TRAILER)
    return regions.head.startswith(_STARTS[name])
