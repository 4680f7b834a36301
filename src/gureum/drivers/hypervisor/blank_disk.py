"""The bytes of an empty qcow2 disk, for hosts and hypervisors that exist only in memory.

Laid out as: header, refcount table, one refcount block, L1 table; version 3, clusters of 64 KiB.
Source: QEMU docs/interop/qcow2.txt.
"""

from __future__ import annotations

import struct

_CLUSTER = 1 << 16
_MAPPED_BY_ONE_L2 = _CLUSTER // 8 * _CLUSTER


def blank_qcow2(size_bytes: int) -> bytes:
    """A whole, sound image of `size_bytes` zeros."""
    l1_entries = max(1, -(-size_bytes // _MAPPED_BY_ONE_L2))
    l1_clusters = -(-l1_entries * 8 // _CLUSTER)
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        *(b"QFI\xfb", 3, 0, 0, 16, size_bytes, 0, l1_entries, 3 * _CLUSTER),
        *(_CLUSTER, 1, 0, 0, 0, 0, 0, 4, 104),
    )
    clusters = 3 + l1_clusters
    table = struct.pack(">Q", 2 * _CLUSTER)
    counts = struct.pack(f">{clusters}H", *[1] * clusters)
    parts = (header, table, counts)
    return b"".join(part.ljust(_CLUSTER, b"\0") for part in parts) + bytes(l1_clusters * _CLUSTER)
