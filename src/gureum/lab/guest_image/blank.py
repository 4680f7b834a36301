"""A blank disk under the name of the guest image, for simulated clouds on machines where no guest image was built.

Simulated servers run no code, so the disk may be empty; it must be a sound qcow2 file. Source: QEMU's
docs/interop/qcow2.rst, version 2.
"""

from __future__ import annotations

import struct

VIRTUAL_BYTES = 64 << 20
_CLUSTER_BITS = 16
_CLUSTER = 1 << _CLUSTER_BITS
_REFCOUNT_TABLE, _REFCOUNT_BLOCK, _L1_TABLE, _END = (number * _CLUSTER for number in (1, 2, 3, 4))


def blank_qcow2() -> bytes:
    """A whole file: header, refcount table, refcount block and an L1 table with no cluster of data."""
    header = struct.pack(
        ">4sIQIIQIIQQIIQ",
        b"QFI\xfb", 2, 0, 0, _CLUSTER_BITS, VIRTUAL_BYTES, 0,
        1, _L1_TABLE, _REFCOUNT_TABLE, 1, 0, 0,
    )  # fmt: skip
    content = bytearray(_END)
    content[: len(header)] = header
    struct.pack_into(">Q", content, _REFCOUNT_TABLE, _REFCOUNT_BLOCK)
    struct.pack_into(">4H", content, _REFCOUNT_BLOCK, 1, 1, 1, 1)
    return bytes(content)
