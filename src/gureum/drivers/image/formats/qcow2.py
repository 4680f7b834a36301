"""qcow2, QEMU's own format, versions 2 and 3.

It does not walk the cluster tables: a broken table can only damage the guest's own disk.
Invariant: an image without a problem names no other file and needs no feature that we do not know.
Source: QEMU docs/interop/qcow2 (header, feature bits, header extensions); limits of QEMU block/qcow2.h.
"""

from __future__ import annotations

from gureum.drivers.image.formats.regions import Examination, Regions, big

NAME = "qcow2"
MAGIC = b"QFI\xfb"

_CORRUPT = 1 << 1
_EXTERNAL_DATA = 1 << 2
_COMPRESSION = 1 << 3
_EXTENDED_L2 = 1 << 4
_KNOWN_FEATURES = (1 << 5) - 1
_RAW_EXTERNAL = 1 << 1
_EXTENSION_DATA_FILE = 0x44415441
_MAX_L1_BYTES = 32 << 20
_MAX_SNAPSHOTS = 65536


def matches(regions: Regions) -> bool:
    """The magic with any version but 1, which is the older qcow."""
    return regions.head.startswith(MAGIC) and regions.head[4:8] != b"\0\0\0\1"


def examine(regions: Regions) -> Examination:
    """Header fields in bytes; raises TruncatedHeader when they are not all there."""
    head = regions.head
    version = big(head, 4, 4)
    size = big(head, 24, 8)
    if version not in (2, 3):
        return Examination(size, (f"qcow2 version {version} is not known",))
    problems: list[str] = []
    if big(head, 8, 8):
        problems.append("it has a backing file")
    if big(head, 32, 4):
        problems.append("it is encrypted")
    features = big(head, 72, 8) if version == 3 else 0
    if version == 3:
        problems += _version_3(head, features)
    cluster_bits = big(head, 20, 4)
    if not 9 <= cluster_bits <= 21:
        return Examination(size, (*problems, f"a cluster of 2^{cluster_bits} bytes is out of range"))
    problems += _tables(regions, 1 << cluster_bits, 16 if features & _EXTENDED_L2 else 8)
    problems += _extensions(head, big(head, 100, 4) if version == 3 else 72, 1 << cluster_bits)
    return Examination(size, tuple(problems))


def _version_3(head: bytes, features: int) -> list[str]:
    problems: list[str] = []
    if features & _EXTERNAL_DATA or big(head, 88, 8) & _RAW_EXTERNAL:
        problems.append("its data lies in an external data file")
    if features & ~_KNOWN_FEATURES:
        problems.append(f"it needs features that are not known (bits {features & ~_KNOWN_FEATURES:#x})")
    if features & _CORRUPT:
        problems.append("it is marked as corrupt")
    header_length = big(head, 100, 4)
    if header_length < 104 or header_length % 8 or header_length > 4096:
        problems.append(f"a header of {header_length} bytes is out of range")
    elif features & _COMPRESSION and (header_length < 112 or big(head, 104, 1) != 1):
        problems.append("it is compressed in a way that is not known")
    if big(head, 96, 4) > 6:
        problems.append("its reference counts are too wide")
    return problems


def _tables(regions: Regions, cluster: int, entry_bytes: int) -> list[str]:
    head = regions.head
    problems: list[str] = []
    l1_entries, l1_offset = big(head, 36, 4), big(head, 40, 8)
    covered = l1_entries * cluster * (cluster // entry_bytes)
    if l1_entries * 8 > _MAX_L1_BYTES:
        problems.append("its cluster table is too large")
    elif covered < big(head, 24, 8):
        problems.append("its cluster table is smaller than its disk")
    snapshots = big(head, 60, 4)
    offsets = [l1_offset, big(head, 48, 8)] + ([big(head, 64, 8)] if snapshots else [])
    if any(offset % cluster for offset in offsets):
        problems.append("a table does not begin at a cluster")
    if any(offset >= regions.total for offset in offsets) or l1_offset + l1_entries * 8 > regions.total:
        problems.append("a table lies beyond the end of the file: the image is cut off")
    if snapshots > _MAX_SNAPSHOTS:
        problems.append(f"{snapshots} snapshots are too many")
    return problems


def _extensions(head: bytes, start: int, cluster: int) -> list[str]:
    """Walk the header extensions to the end mark, which the first cluster must hold."""
    end = min(cluster, len(head))
    offset = start
    while offset + 8 <= end:
        kind, length = big(head, offset, 4), big(head, offset + 4, 4)
        if kind == 0:
            return []
        if kind == _EXTENSION_DATA_FILE:
            return ["it names an external data file"]
        offset += 8 + (length + 7) // 8 * 8
    if offset == end == cluster:
        return []
    return ["its header extensions have no end"]
