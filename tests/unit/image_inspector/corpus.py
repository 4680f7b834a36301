"""Images built byte by byte: a sound one of each format, with knobs that make it hostile.

Nothing here imports the inspector: the builders know the formats from their specifications, so that a wrong offset on
either side shows.
"""

from __future__ import annotations

import struct

MIB = 1 << 20


def qcow2(
    *,
    version=3,
    backing=0,
    backing_size=0,
    cluster_bits=16,
    size=64 * MIB,
    crypt=0,
    l1_entries=1,
    l1_offset=None,
    snapshots=0,
    incompatible=0,
    autoclear=0,
    refcount_order=4,
    header_length=104,
    compression=b"",
    extensions=((0x6803F857, b"\0" * 48),),
    tail=b"",
):
    cluster = 1 << cluster_bits if cluster_bits < 22 else 65536
    l1_offset = 3 * cluster if l1_offset is None else l1_offset
    head = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", version, backing, backing_size, cluster_bits, size, crypt,
        l1_entries, l1_offset, cluster, 1, snapshots, 3 * cluster if snapshots else 0,
    )  # fmt: skip
    if version >= 3:
        head += struct.pack(">QQQII", incompatible, 0, autoclear, refcount_order, header_length) + compression
    for kind, data in extensions:
        head += struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)
    head += bytes(8)
    return head.ljust(4 * cluster, b"\0") + tail


def vmdk_descriptor(create_type="monolithicSparse", extents=('RW 131072 SPARSE "disk.vmdk"',), more=""):
    lines = ["# Disk DescriptorFile", "version=1", "CID=12345678", "parentCID=ffffffff"]
    lines += [f'createType="{create_type}"', more, "# Extent description", *extents, 'ddb.adapterType = "ide"', ""]
    return "\n".join(lines).encode()


def vmdk_header(capacity=131072, version=1, at=1, sectors=20, grains=26):
    return struct.pack("<4sIIQQQQIQQQ", b"KDMV", version, 3, capacity, 128, at, sectors, 512, 21, grains, 128).ljust(
        512, b"\0"
    )


def vmdk(descriptor=None, footer=None, **header):
    text = vmdk_descriptor() if descriptor is None else descriptor
    body = vmdk_header(**header) + text.ljust(20 * 512, b"\0") + bytes(64 << 10)
    if footer is not None:
        body += bytes(512) + footer + bytes(512)
    return body


def vhd_footer(kind=3, size=64 * MIB, data_offset=512, checksum=None, geometry=(963, 8, 17)):
    footer = bytearray(
        struct.pack(
            ">8sIIQI4sI4sQQHBBI", b"conectix", 2, 0x10000, data_offset if kind != 2 else 2**64 - 1, 0, b"test",
            0x10000, b"Wi2k", size, size, *geometry, kind,
        ).ljust(512, b"\0")
    )  # fmt: skip
    footer[64:68] = struct.pack(">I", ~sum(footer) & 0xFFFFFFFF if checksum is None else checksum)
    return bytes(footer)


def vhd_dynamic(*, parent_name=b"", end=None, cut=False, **footer):
    first = vhd_footer(**footer)
    header = struct.pack(">8sQQIII", b"cxsparse", 2**64 - 1, 1536, 0x10000, 32, 2 * MIB).ljust(64, b"\0")
    body = first + (header + parent_name).ljust(1024, b"\0") + b"\xff" * 512
    return body if cut else body + (first if end is None else end)


def vhd_fixed(size=MIB):
    return bytes(size) + vhd_footer(kind=2, size=size, geometry=(30, 4, 17))


BLOCK_TABLE = bytes.fromhex("6677c22d23f600429d64115e9bfd4a08")
METADATA = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
FILE_PARAMETERS = bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b")
DISK_SIZE = bytes.fromhex("2442a52f1bcd7648b2115dbed83bf4b8")
PARENT_LOCATOR = bytes.fromhex("2d5fd3a80bb34d45abf7d3d84834ab0c")


def vhdx(
    *,
    size=64 * MIB,
    parameter_flags=0,
    metadata_at=MIB,
    regions=(),
    items=(),
    count=None,
    second_table=None,
    size_offset=65536 + 8,
    cut=None,
):
    table = struct.pack("<4sIII", b"regi", 0, 2 + len(regions), 0)
    for guid, offset in ((BLOCK_TABLE, 3 * MIB), (METADATA, metadata_at), *regions):
        table += struct.pack("<16sQII", guid, offset, MIB, 1)
    table = table.ljust(64 << 10, b"\0")
    head = b"vhdxfile".ljust(192 << 10, b"\0") + table + (table if second_table is None else second_table)
    entries = [(FILE_PARAMETERS, 65536, 8), (DISK_SIZE, size_offset, 8), *items]
    metadata = struct.pack("<8sHH20x", b"metadata", 0, len(entries) if count is None else count)
    for guid, offset, length in entries:
        metadata += struct.pack("<16sIII4x", guid, offset, length, 4)
    metadata = metadata.ljust(64 << 10, b"\0") + struct.pack("<IIQ", MIB, parameter_flags, size)
    image = head.ljust(MIB, b"\0") + metadata.ljust(128 << 10, b"\0")
    return image[:cut]


def vdi(*, size=64 * MIB, kind=1, parent=bytes(32), version=0x10001, block=MIB, blocks=64):
    head = b"<<< disk >>>\n".ljust(64, b"\0") + struct.pack("<IIIII", 0xBEDA107F, version, 400, kind, 0)
    head = head.ljust(340, b"\0") + struct.pack("<IIIIIIIQIIII", 512, 1024, 0, 0, 0, 512, 0, size, block, 0, blocks, 0)
    return (head.ljust(424, b"\0") + parent).ljust(1024, b"\0")


def ploop(*, magic=b"WithouFreSpacExt", version=2, entries=64, sectors=131072, cluster=2048, in_use=0):
    head = struct.pack("<16sIIIIIQIIIQ", magic, version, 16, 100, cluster, entries, sectors, in_use, 2048, 0, 0)
    return head.ljust(MIB, b"\0")


def luks(*, version=1, payload=4096, size=4 * MIB):
    head = struct.pack(">6sH32s32s32sI", b"LUKS\xba\xbe", version, b"aes", b"xts-plain64", b"sha256", payload)
    return head.ljust(size, b"\0")


def iso(*, identifier=b"CD001", size=MIB):
    return bytes(32768) + (b"\1" + identifier + b"\1").ljust(2048, b"\0") + bytes(size - 32768 - 2048)


def mbr(kind=0x83):
    return bytes(446) + b"\x80\0\0\0" + bytes([kind]) + bytes(59) + b"\x55\xaa"


def gpt(size=MIB):
    return (mbr(0xEE) + b"EFI PART").ljust(size, b"\0")


def overlay(image, offset, piece):
    """`image` with `piece` written over it at `offset`, grown as needed."""
    grown = bytearray(image.ljust(offset + len(piece), b"\0"))
    grown[offset : offset + len(piece)] = piece
    return bytes(grown)


SOUND = {
    "qcow2": qcow2(),
    "vmdk": vmdk(),
    "vpc": vhd_dynamic(),
    "vhdx": vhdx(),
    "vdi": vdi(),
    "ploop": ploop(),
    "luks": luks(),
    "iso": iso(),
    "raw": gpt(),
}
