"""VMDK, VMware's format: a sparse extent with its descriptor inside (monolithicSparse, streamOptimized).

A descriptor that stands alone, and every kind that keeps its data elsewhere, is recognised and refused: such a file
is a list of other files' names. The tables of grains are not walked.
Invariant: an image without a problem has exactly one extent, itself.
Source: VMware Virtual Disk Format 1.1 (sparse extent header, descriptor, stream footer); for what a reader probes,
QEMU block/vmdk.c.
"""

from __future__ import annotations

import re

from gureum.drivers.image.formats.regions import SECTOR, Examination, Regions, little, piece

NAME = "vmdk"
SPARSE_MAGIC = b"KDMV"
COWD_MAGIC = b"COWD"
ALLOWED_TYPES = frozenset({"monolithicsparse", "streamoptimized"})

_GRAINS_AT_END = 0xFFFF_FFFF_FFFF_FFFF
_MAX_DESCRIPTOR_SECTORS = 128
_PROBED_BYTES = 2048
_CREATE_TYPE = re.compile(r'createtype\s*=\s*"?([^"\r\n]*)"?', re.IGNORECASE)
_PARENT_CID = re.compile(r"parentcid\s*=\s*\"?([0-9a-z]*)", re.IGNORECASE)
# Matched against single stripped lines only: over a whole descriptor, `^\s*` takes time that grows with the square
# of its length.
_EXTENT = re.compile(r"(?:RW|RDONLY|NOACCESS)\b", re.IGNORECASE)
_OWN_EXTENT = re.compile(r'(?:RW|RDONLY)\s+\d{1,20}\s+SPARSE\s+"([^"]*)"\Z', re.IGNORECASE)
_VERSION_LINE = re.compile(rb"version=[123]\r?\n")


def matches(regions: Regions) -> bool:
    """A sparse extent of either age, or a descriptor as text."""
    return regions.head.startswith((SPARSE_MAGIC, COWD_MAGIC)) or _is_descriptor(regions.head)


def examine(regions: Regions) -> Examination:
    """Raises TruncatedHeader when the header or its descriptor is not all there."""
    head = regions.head
    if head.startswith(COWD_MAGIC):
        return Examination(0, ("a VMDK of the COWD kind is not allowed",))
    if not head.startswith(SPARSE_MAGIC):
        text = head[: _MAX_DESCRIPTOR_SECTORS * SECTOR].decode("latin-1")
        return Examination(0, ("a VMDK descriptor without its data names other files", *_descriptor_problems(text)))
    piece(head, 0, SECTOR)
    problems: list[str] = []
    version, capacity = little(head, 4, 4), little(head, 12, 8)
    if version not in (1, 2, 3):
        problems.append(f"VMDK version {version} is not known")
    if capacity == 0:
        # Readers then trust the descriptor's extents instead of the header.
        problems.append("its header gives no capacity")
    if little(head, 56, 8) == _GRAINS_AT_END:
        problems += _footer_problems(regions)
    at, sectors = little(head, 28, 8), little(head, 36, 8)
    if at != 1 or not 1 <= sectors <= _MAX_DESCRIPTOR_SECTORS:
        problems.append("its descriptor is not where it belongs")
    else:
        problems += _descriptor_problems(piece(head, SECTOR, sectors * SECTOR).decode("latin-1"))
    return Examination(capacity * SECTOR, tuple(problems))


def _footer_problems(regions: Regions) -> list[str]:
    """The stream footer repeats the header and is what a reader believes (3 sectors: marker, footer, end mark)."""
    if len(regions.tail) < 3 * SECTOR:
        return ["its footer is cut off"]
    footer = regions.tail[-2 * SECTOR : -SECTOR]
    if not footer.startswith(SPARSE_MAGIC):
        return ["its footer is missing: the image is cut off"]
    # Version, capacity, grain size, descriptor place: 4..44, without the flags, which only say how grains are kept.
    if footer[4:8] != regions.head[4:8] or footer[12:44] != regions.head[12:44]:
        return ["its footer contradicts its header"]
    return []


def _descriptor_problems(text: str) -> list[str]:
    problems: list[str] = []
    kinds = [kind.strip().lower() for kind in _CREATE_TYPE.findall(text)]
    if len(kinds) != 1:
        problems.append("its descriptor does not say once what kind it is")
    elif kinds[0] not in ALLOWED_TYPES:
        problems.append("a VMDK other than monolithicSparse or streamOptimized is not allowed")
    parents = _PARENT_CID.findall(text)
    if any(parent.lower() != "ffffffff" for parent in parents) or "parentfilenamehint" in text.lower():
        problems.append("it has a parent image")
    lines = (line.strip() for line in text.replace("\0", "\n").splitlines())
    extents = [line for line in lines if _EXTENT.match(line)]
    if len(extents) != 1:
        problems.append(f"its descriptor names {len(extents)} extents instead of itself")
    for extent in extents[:1]:
        own = _OWN_EXTENT.match(extent)
        if own is None or re.search(r"[/\\:]|\.\.", own.group(1)):
            problems.append("its descriptor names another file")
    return problems


def _is_descriptor(head: bytes) -> bool:
    """What QEMU would take for a descriptor, and what says so itself: comments and blank lines, then a version."""
    start = head[:_PROBED_BYTES]
    if start.lstrip().lower().startswith(b"# disk descriptorfile"):
        return True
    while start:
        line, _, rest = start.partition(b"\n")
        if not line.startswith(b"#") and line.strip(b" \r"):
            return _VERSION_LINE.match(start) is not None
        start = rest
    return False
