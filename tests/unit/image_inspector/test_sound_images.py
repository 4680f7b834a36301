"""What is harmless is recognised, measured and let through."""

from __future__ import annotations

import io
import tarfile
import tracemalloc

import pytest
from tests.unit.image_inspector import corpus

from gureum.drivers.image.inspector import DECLARED_FORMATS, Inspector, inspect_file, mismatch, qemu_driver

MIB = 1 << 20


def inspect(image, chunk=1 << 16):
    inspector = Inspector()
    for start in range(0, len(image), chunk):
        inspector.feed(image[start : start + chunk])
    return inspector.finish()


@pytest.mark.parametrize("name", corpus.SOUND)
def test_sound_image_has_its_format_and_no_problem(name):
    found = inspect(corpus.SOUND[name])
    assert (found.format, found.problems) == (name, ())


@pytest.mark.parametrize("name", ["qcow2", "vmdk", "vhdx", "vdi", "ploop"])
def test_virtual_size_is_the_headers(name):
    assert inspect(corpus.SOUND[name]).virtual_size_bytes == 64 * MIB


def test_sizes_that_are_computed():
    assert inspect(corpus.vhd_fixed()).virtual_size_bytes == MIB
    assert inspect(corpus.iso()).virtual_size_bytes == MIB
    assert inspect(corpus.gpt()).virtual_size_bytes == MIB
    assert inspect(corpus.luks()).virtual_size_bytes == 4 * MIB - 4096 * 512
    # Readers that follow the geometry see a larger disk than the size field says: the larger counts for quotas.
    bigger = corpus.vhd_dynamic(size=MIB, geometry=(963, 8, 17))
    assert inspect(bigger).virtual_size_bytes == 963 * 8 * 17 * 512


@pytest.mark.parametrize(
    "image",
    [
        corpus.qcow2(version=2, extensions=()),
        corpus.qcow2(incompatible=1),
        corpus.qcow2(incompatible=8, header_length=112, compression=b"\1" + bytes(7)),
        corpus.qcow2(incompatible=16),
        corpus.qcow2(cluster_bits=9, size=MIB, l1_entries=32),
        corpus.qcow2(cluster_bits=21),
        corpus.qcow2(snapshots=2),
        corpus.vmdk(corpus.vmdk_descriptor("streamOptimized", ('RDONLY 131072 SPARSE "a b.vmdk"',)), version=3),
        corpus.vmdk(grains=2**64 - 1, footer=corpus.vmdk_header(grains=400)),
        corpus.vmdk(corpus.vmdk_descriptor().replace(b"\n", b"\r\n")),
        corpus.vhd_fixed(),
        corpus.vhd_fixed()[:-1],
        corpus.iso(identifier=b"NSR02"),
        corpus.overlay(corpus.iso(), 0, corpus.mbr()),
        corpus.ploop(magic=b"WithoutFreeSpace"),
        b"",
        b"\0",
        b"QFI",
        b"# just a text\nhello\n",
    ],
)
def test_rarer_but_sound(image):
    assert inspect(image).problems == ()


def test_a_hybrid_disc_is_an_iso_with_a_partition_table():
    found = inspect(corpus.overlay(corpus.iso(), 0, corpus.mbr()))
    assert (found.format, found.partition_table) == ("iso", "mbr")


def test_partition_tables_stay_raw():
    assert inspect(corpus.gpt()).partition_table == "gpt"
    assert inspect(corpus.mbr()).partition_table == "mbr"
    assert inspect(bytes(510) + b"\x55\xaa").partition_table is None
    assert {inspect(image).format for image in (corpus.gpt(), corpus.mbr())} == {"raw"}


def test_a_tar_is_raw():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("disk.vmdk"))
    assert inspect(buffer.getvalue()).format == "raw"


@pytest.mark.parametrize("declared", DECLARED_FORMATS)
def test_a_declaration_accepts_its_own_content_and_no_other(declared):
    for name, image in corpus.SOUND.items():
        reason = mismatch(declared, inspect(image))
        assert (reason is None) == (DECLARED_FORMATS[declared] == name), (declared, name, reason)


def test_an_unknown_declaration_is_a_mismatch():
    assert mismatch("floppy", inspect(b"")) == "the disk format 'floppy' is not known"


def test_qemu_is_always_told_a_driver_that_it_has():
    assert [qemu_driver(name) for name in ("qcow2", "iso", "ploop", "vpc")] == ["qcow2", "raw", "parallels", "vpc"]


def test_inspecting_a_file_gives_the_streams_verdict(tmp_path):
    for number, image in enumerate([*corpus.SOUND.values(), corpus.vhd_fixed(), corpus.vhdx(cut=300_000), b""]):
        path = tmp_path / str(number)
        path.write_bytes(image)
        assert inspect_file(path) == inspect(image)


def test_memory_stays_bounded_however_large_the_stream():
    inspector = Inspector()
    inspector.feed(corpus.vhdx())
    chunk = bytes(MIB)
    tracemalloc.start()
    for _ in range(256):
        inspector.feed(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 10
    assert inspector.finish().format == "vhdx"
