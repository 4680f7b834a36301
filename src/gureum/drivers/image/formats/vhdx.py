"""VHDX, Hyper-V's format: a region table leads to a metadata table, which leads to the disk's size and parent.

Logs are not replayed and checksums not recomputed: a reader that finds them wrong refuses the file itself.
Invariant: an image without a problem has no parent and no required item that we do not know.
Source: Microsoft Open Specifications, MS-VHDX (region table 2.2.3, metadata region 2.6).
"""

from __future__ import annotations

from gureum.drivers.image.formats.regions import (
    HEAD_BYTES,
    METADATA_BYTES,
    Examination,
    Regions,
    TruncatedHeader,
    little,
    piece,
)

NAME = "vhdx"
MAGIC = b"vhdxfile"

_TABLE_BYTES = 64 << 10
_TABLE_1 = 192 << 10
_TABLE_2 = 256 << 10
_MAX_ENTRIES = 2047
_MIN_REGION = 1 << 20
_REQUIRED_REGION = 1
_REQUIRED_ITEM = 4
_HAS_PARENT = 2

_BLOCK_TABLE = bytes.fromhex("6677c22d23f600429d64115e9bfd4a08")
_METADATA = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
_FILE_PARAMETERS = bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b")
_DISK_SIZE = bytes.fromhex("2442a52f1bcd7648b2115dbed83bf4b8")
_PARENT_LOCATOR = bytes.fromhex("2d5fd3a80bb34d45abf7d3d84834ab0c")
_PLAIN_ITEMS = frozenset(
    {
        bytes.fromhex("ab12cabee6b2234593efc309e000c746"),  # page 83 data
        bytes.fromhex("1dbf41816fa90947ba47f233a8faab5f"),  # logical sector size
        bytes.fromhex("c748a3cd5d4471449cc9e9885251c556"),  # physical sector size
    },
)


def matches(regions: Regions) -> bool:
    """The file type identifier."""
    return regions.head.startswith(MAGIC)


def metadata_offset(head: bytes) -> int | None:
    """Where the metadata region begins, once the whole head is known; None if there is none to wait for."""
    if len(head) < HEAD_BYTES or not head.startswith(MAGIC):
        return None
    found = [offset for guid, offset, _required in _region_entries(head, _TABLE_1) if guid == _METADATA]
    return found[0] if len(found) == 1 and found[0] >= _MIN_REGION else None


def examine(regions: Regions) -> Examination:
    """Raises TruncatedHeader when a table is not all there."""
    problems: list[str] = []
    first = piece(regions.head, _TABLE_1, _TABLE_BYTES)
    if first != piece(regions.head, _TABLE_2, _TABLE_BYTES):
        problems.append("its two region tables contradict each other")
    for guid, _offset, required in _region_entries(regions.head, _TABLE_1):
        if required and guid not in (_BLOCK_TABLE, _METADATA):
            problems.append("it needs a region that is not known")
            break
    if metadata_offset(regions.head) is None:
        return Examination(0, (*problems, "its metadata region is not where it belongs"))
    if not regions.metadata.startswith(b"metadata"):
        return Examination(0, (*problems, "its metadata table is missing: the image is cut off"))
    items, more = _metadata_items(regions.metadata)
    return Examination(_item(items, _DISK_SIZE, 8), (*problems, *more, *_parameter_problems(items)))


def _region_entries(head: bytes, table: int) -> list[tuple[bytes, int, bool]]:
    count = little(head, table + 8, 4)
    if piece(head, table, 4) != b"regi" or count > _MAX_ENTRIES:
        return []
    entries = [piece(head, table + 16 + 32 * index, 32) for index in range(count)]
    return [(entry[:16], little(entry, 16, 8), bool(little(entry, 28, 4) & _REQUIRED_REGION)) for entry in entries]


def _metadata_items(metadata: bytes) -> tuple[dict[bytes, bytes], list[str]]:
    """Content of each item that the kept piece holds, by its id, and what is wrong with the table."""
    count = little(metadata, 10, 2)
    if count > _MAX_ENTRIES:
        return {}, ["its metadata table is too long"]
    items: dict[bytes, bytes] = {}
    problems: list[str] = []
    for index in range(count):
        entry = piece(metadata, 32 + 32 * index, 32)
        guid, offset, length = entry[:16], little(entry, 16, 4), little(entry, 20, 4)
        required = little(entry, 24, 4) & _REQUIRED_ITEM
        if guid in items:
            problems.append("its metadata table names an item twice")
        if guid == _PARENT_LOCATOR:
            problems.append("it has a parent image")
        elif guid in (_FILE_PARAMETERS, _DISK_SIZE):
            if offset < _TABLE_BYTES or offset + length > METADATA_BYTES:
                problems.append("a metadata item is not where it belongs")
            items[guid] = metadata[offset : offset + length]
        elif required and guid not in _PLAIN_ITEMS:
            problems.append("it needs a metadata item that is not known")
        else:
            items[guid] = b""
    return items, list(dict.fromkeys(problems))


def _item(items: dict[bytes, bytes], guid: bytes, size: int) -> int:
    if guid not in items:
        raise TruncatedHeader
    return little(items[guid], 0, size)


def _parameter_problems(items: dict[bytes, bytes]) -> list[str]:
    block_bytes, flags = _item(items, _FILE_PARAMETERS, 4), _item(items, _FILE_PARAMETERS, 8) >> 32
    problems: list[str] = []
    if flags & _HAS_PARENT:
        problems.append("it has a parent image")
    if not 1 << 20 <= block_bytes <= 256 << 20 or block_bytes & (block_bytes - 1):
        problems.append(f"a block of {block_bytes} bytes is out of range")
    return problems
