"""VHD, the format of Virtual PC: fixed, with a footer at the end, or dynamic, with a copy of it at the start too.

Differencing disks are refused; block tables are not walked.
Invariant: an image without a problem has no parent, and both copies of its footer agree on what it is.
Source: Microsoft, Virtual Hard Disk Image Format Specification 1.0 (footer, dynamic disk header).
"""

from __future__ import annotations

from gureum.drivers.image.formats.regions import SECTOR, Examination, Regions, TruncatedHeader, big, piece

NAME = "vpc"
COOKIE = b"conectix"

_FIXED, _DYNAMIC, _DIFFERENCING = 2, 3, 4
# Versions before Virtual PC 2004 wrote a footer one byte short.
_SHORT_FOOTER = SECTOR - 1


def matches(regions: Regions) -> bool:
    """The cookie at the start, or where a footer belongs."""
    return regions.head.startswith(COOKIE) or _end_footer(regions) is not None


def examine(regions: Regions) -> Examination:
    """Raises TruncatedHeader when the footer is not all there."""
    problems: list[str] = []
    end = _end_footer(regions)
    first = regions.head[:SECTOR] if regions.head.startswith(COOKIE) else None
    footer = first or end
    if footer is None:
        raise TruncatedHeader
    kind = big(footer, 60, 4)
    if end is None:
        problems.append("its footer is missing: the image is cut off")
    elif first is not None and end != first[: len(end)]:
        problems.append("its two footers contradict each other")
    if not _checksum_holds(footer):
        problems.append("its footer's checksum is wrong")
    if kind == _DIFFERENCING:
        problems.append("it has a parent image")
    elif kind not in (_FIXED, _DYNAMIC):
        problems.append(f"a VHD of type {kind} is not known")
    if kind == _DYNAMIC:
        problems += _dynamic_problems(regions, big(footer, 16, 8), first is not None)
    if kind == _FIXED and first is not None and regions.total > SECTOR:
        problems.append("a fixed VHD has no footer at its start")
    size = _disk_bytes(footer)
    if kind == _FIXED and size > regions.total:
        problems.append("its disk is larger than the file: the image is cut off")
    return Examination(size, tuple(problems))


def _end_footer(regions: Regions) -> bytes | None:
    for length in (SECTOR, _SHORT_FOOTER):
        footer = regions.tail[-length:]
        if len(footer) == length and footer.startswith(COOKIE):
            return footer
    return None


def _disk_bytes(footer: bytes) -> int:
    """The current size, or the geometry's where that is larger: readers differ in which one they follow."""
    cylinders, heads, sectors = big(footer, 56, 2), big(footer, 58, 1), big(footer, 59, 1)
    return max(big(footer, 48, 8), cylinders * heads * sectors * SECTOR)


def _checksum_holds(footer: bytes) -> bool:
    """One's complement of the sum of all bytes but the checksum's own four (64..67)."""
    total = sum(footer[:64]) + sum(footer[68:])
    return big(footer, 64, 4) == ~total & 0xFFFF_FFFF


def _dynamic_problems(regions: Regions, offset: int, first: bool) -> list[str]:
    if not first:
        return ["the copy of its footer at the start is missing"]
    if offset % SECTOR or offset + 1024 > len(regions.head):
        return ["its dynamic header is not where it belongs"]
    header = piece(regions.head, offset, 1024)
    problems: list[str] = []
    if not header.startswith(b"cxsparse"):
        problems.append("its dynamic header is missing")
    if any(header[40:56]) or any(header[64:768]):
        problems.append("it names a parent image")
    if big(header, 16, 8) + big(header, 28, 4) * 4 > regions.total:
        problems.append("its block table lies beyond the end of the file: the image is cut off")
    return problems
