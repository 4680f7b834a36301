"""All families' answers put together: one format, one size, and every reason not to trust the image.

Pure: from `Regions` to `Inspection`, and it never raises, whatever the bytes are.
Invariant: an image that carries two signatures has a problem, whichever of them is named as its format.
Read next: `../inspector.py`, which fills the regions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from gureum.drivers.image.formats import qcow2, refused, simple, vhdx, vmdk, vpc
from gureum.drivers.image.formats.partitions import partition_table
from gureum.drivers.image.formats.regions import Examination, Regions, TruncatedHeader

# The largest disk that any format here documents (VHDX); larger claims only serve to exhaust whoever believes them.
MAX_VIRTUAL_SIZE_BYTES = 64 << 40


@dataclass(frozen=True)
class Inspection:
    """What an image is.

    `format` is QEMU's word for it, but 'iso' for an optical disc, 'ploop' for parallels, and 'raw' for all else.
    `virtual_size_bytes` is the guest's disk, 0 where unknown. `problems` are sentences; an image with one is not to
    be stored or used. `partition_table` is 'gpt', 'mbr' or None.
    """

    format: str
    virtual_size_bytes: int
    problems: tuple[str, ...]
    partition_table: str | None = None


@dataclass(frozen=True)
class _Family:
    name: str
    matches: Callable[[Regions], bool]
    examine: Callable[[Regions], Examination]


def _examine_refused(name: str, _regions: Regions) -> Examination:
    return Examination(0, (f"images of the format {name} are not allowed",))


# In the order of who reads the start of a file first: signatures at byte 0, inside the header, then at the end.
_FAMILIES = (
    _Family(qcow2.NAME, qcow2.matches, qcow2.examine),
    _Family(vmdk.NAME, vmdk.matches, vmdk.examine),
    _Family(vhdx.NAME, vhdx.matches, vhdx.examine),
    _Family(simple.LUKS_NAME, simple.luks_matches, simple.luks_examine),
    _Family(simple.PLOOP_NAME, simple.ploop_matches, simple.ploop_examine),
    _Family(vpc.NAME, vpc.matches, vpc.examine),
    _Family(simple.VDI_NAME, simple.vdi_matches, simple.vdi_examine),
    _Family(simple.ISO_NAME, simple.iso_matches, simple.iso_examine),
    *(_Family(name, partial(refused.matches, name), partial(_examine_refused, name)) for name in refused.NAMES),
)


def conclude(regions: Regions) -> Inspection:
    """The verdict over what was kept of an image."""
    families = [family for family in _FAMILIES if family.matches(regions)]
    table = partition_table(regions)
    if not families:
        return Inspection("raw", regions.total, (), table)
    found = _examine(families[0], regions)
    problems = list(found.problems)
    if len(families) > 1:
        names = " and ".join(family.name for family in families)
        problems.append(f"it is {names} at the same time")
    size = found.virtual_size_bytes
    if size > MAX_VIRTUAL_SIZE_BYTES:
        problems.append(f"a disk of {size} bytes is too large")
        size = MAX_VIRTUAL_SIZE_BYTES
    return Inspection(families[0].name, size, tuple(problems), table)


def _examine(family: _Family, regions: Regions) -> Examination:
    try:
        return family.examine(regions)
    except TruncatedHeader:
        return Examination(0, (f"its {family.name} header is cut off or makes no sense",))
