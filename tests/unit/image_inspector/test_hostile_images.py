"""Attacks that image services have suffered, and their relatives: each must leave a problem or a mismatch.

A failure here means that an upload of this kind would be stored and used. Mend the inspector.
"""

from __future__ import annotations

import time

import pytest
from tests.unit.image_inspector import corpus
from tests.unit.image_inspector.corpus import overlay

from gureum.drivers.image.formats.verdict import MAX_VIRTUAL_SIZE_BYTES
from gureum.drivers.image.inspector import Inspector, mismatch

MIB = 1 << 20


def inspect(image):
    inspector = Inspector()
    inspector.feed(image)
    return inspector.finish()


def problems(image, expected_format):
    found = inspect(image)
    assert found.format == expected_format, found
    return "; ".join(found.problems)


# CVE-2022-47951: a VMDK descriptor names a file of the host.


@pytest.mark.parametrize("kind", ["monolithicFlat", "vmfs", "twoGbMaxExtentFlat", "custom", "fullDevice"])
@pytest.mark.parametrize("victim", ["/etc/passwd", "../../secret", "flat.vmdk", "nbd:host:10809", "c:\\boot.ini"])
def test_cve_2022_47951_vmdk_descriptor_names_host_file(kind, victim):
    text = corpus.vmdk_descriptor(kind, (f'RW 131072 FLAT "{victim}" 0',))
    assert "names other files" in problems(text, "vmdk")
    assert "not allowed" in problems(corpus.vmdk(text), "vmdk")
    assert "names another file" in problems(corpus.vmdk(text), "vmdk")


@pytest.mark.parametrize("victim", ["/etc/passwd", "../x.vmdk", "nbd:host:10809", "dir/x.vmdk", "a\\b"])
def test_cve_2022_47951_allowed_kind_with_a_path_as_its_extent(victim):
    assert "names another file" in problems(
        corpus.vmdk(corpus.vmdk_descriptor(extents=(f'RW 131072 SPARSE "{victim}"',))), "vmdk"
    )


def test_cve_2022_47951_a_second_extent_beside_the_own_one():
    extents = ('RW 131072 SPARSE "disk.vmdk"', 'RW 1 FLAT "/etc/shadow" 0')
    assert "names 2 extents" in problems(corpus.vmdk(corpus.vmdk_descriptor(extents=extents)), "vmdk")


@pytest.mark.parametrize("separator", ["\0", "\r", "\n \t", "\n\0\n"])
def test_cve_2022_47951_a_second_extent_hidden_from_naive_line_splitting(separator):
    extents = ('RW 131072 SPARSE "disk.vmdk"' + separator + 'RW 1 FLAT "/etc/shadow" 0',)
    assert "extents" in problems(corpus.vmdk(corpus.vmdk_descriptor(extents=extents)), "vmdk")


def test_cve_2022_47951_two_kinds_in_one_descriptor():
    text = corpus.vmdk_descriptor(more='CREATETYPE="monolithicFlat"')
    assert "say once" in problems(corpus.vmdk(text), "vmdk")


def test_cve_2022_47951_zero_capacity_makes_readers_trust_the_descriptor():
    assert "no capacity" in problems(corpus.vmdk(capacity=0), "vmdk")


@pytest.mark.parametrize("more", ['parentFileNameHint="/etc/passwd"', "parentCID=12345678"])
def test_vmdk_names_a_parent(more):
    assert "parent" in problems(corpus.vmdk(corpus.vmdk_descriptor(more=more)), "vmdk")


@pytest.mark.parametrize("prefix", [b"# a comment\n", b"\n", b"  \r\n# x\n", b"", b"#" + b"x" * 1500 + b"\n"])
def test_a_descriptor_behind_comments_is_still_a_descriptor(prefix):
    text = prefix + b'version=1\ncreateType="monolithicFlat"\nRW 1 FLAT "/etc/passwd" 0\n'
    if prefix == b"\n":
        text = b" " + text
    assert "names other files" in problems(text, "vmdk")
    assert mismatch("raw", inspect(text))


@pytest.mark.parametrize(("at", "sectors"), [(0, 0), (2, 20), (1, 0), (1, 129), (2**63, 1), (2**64 - 1, 2**64 - 1)])
def test_vmdk_descriptor_elsewhere(at, sectors):
    assert "not where it belongs" in problems(corpus.vmdk(at=at, sectors=sectors), "vmdk")


def test_vmdk_footer_that_readers_believe_contradicts_the_header():
    assert "contradicts" in problems(corpus.vmdk(grains=2**64 - 1, footer=corpus.vmdk_header(capacity=1)), "vmdk")
    assert "missing" in problems(corpus.vmdk(grains=2**64 - 1), "vmdk")


def test_vmdk_of_the_old_kind():
    assert problems(b"COWD" + bytes(2048), "vmdk")


@pytest.mark.parametrize("filler", [b"\n", b" ", b"\0", b"createType", b"createtype =", b"RW ", b"RW\n", b'"', b"#\n"])
def test_cve_2015_5162_vmdk_descriptor_made_to_take_long(filler):
    """Parsing takes time in proportion to the descriptor; a pattern that backtracks needs minutes for one of these."""
    text = (filler * (64 << 10))[: 64 << 10]
    began = time.process_time()
    assert inspect(corpus.vmdk(text, sectors=128)).problems
    inspect(corpus.vmdk_descriptor() + text)
    assert time.process_time() - began < 1


# CVE-2024-32498: qcow2 with an external data file, or a backing file.


def test_cve_2024_32498_qcow2_external_data_file():
    image = corpus.qcow2(incompatible=4, extensions=((0x44415441, b"/etc/passwd"),))
    assert "external data file" in problems(image, "qcow2")


def test_cve_2024_32498_external_data_file_without_a_name():
    assert "external data file" in problems(corpus.qcow2(incompatible=4), "qcow2")


def test_cve_2024_32498_name_without_the_feature_bit():
    image = corpus.qcow2(extensions=((0x6803F857, bytes(48)), (0x44415441, b"/dev/sda")))
    assert "external data file" in problems(image, "qcow2")


def test_cve_2024_32498_raw_external_bit_alone():
    assert "external data file" in problems(corpus.qcow2(autoclear=2), "qcow2")


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("size", [0, 11, 2**32 - 1])
def test_cve_2024_32498_qcow2_backing_file(version, size):
    image = corpus.qcow2(version=version, backing=600, backing_size=size, extensions=())
    assert "backing file" in problems(overlay(image, 600, b"/etc/passwd"), "qcow2")


@pytest.mark.parametrize("bit", [5, 7, 31, 32, 63])
def test_qcow2_feature_that_is_not_known(bit):
    assert "not known" in problems(corpus.qcow2(incompatible=1 << bit), "qcow2")


@pytest.mark.parametrize(
    ("knobs", "word"),
    [
        ({"version": 4}, "version 4"),
        ({"version": 2**32 - 1}, "version"),
        ({"incompatible": 2}, "corrupt"),
        ({"incompatible": 8}, "compressed"),
        ({"incompatible": 8, "header_length": 112, "compression": b"\2" + bytes(7)}, "compressed"),
        ({"crypt": 1}, "encrypted"),
        ({"crypt": 2}, "encrypted"),
        ({"cluster_bits": 8}, "out of range"),
        ({"cluster_bits": 22}, "out of range"),
        ({"cluster_bits": 2**32 - 1}, "out of range"),
        ({"l1_entries": 0}, "smaller"),
        ({"l1_entries": 2**32 - 1}, "too large"),
        ({"l1_offset": 2**63}, "cut off"),
        ({"l1_offset": 5}, "begin at a cluster"),
        ({"size": 2**64 - 1}, "too large"),
        ({"size": 65 << 40, "cluster_bits": 21, "l1_entries": 130}, "too large"),
        ({"header_length": 0}, "out of range"),
        ({"header_length": 2**32 - 1}, "out of range"),
        ({"refcount_order": 7}, "reference counts"),
        ({"snapshots": 2**32 - 1}, "snapshots"),
        ({"extensions": ((1, bytes(65536)),)}, "no end"),
    ],
)
def test_cve_2015_5162_qcow2_header_made_to_exhaust_or_confuse(knobs, word):
    found = inspect(corpus.qcow2(**knobs))
    assert word in "; ".join(found.problems)
    assert 0 <= found.virtual_size_bytes <= MAX_VIRTUAL_SIZE_BYTES


def test_an_extension_as_long_as_a_word_can_say():
    lying = overlay(corpus.qcow2(), 108, b"\xff\xff\xff\xff")
    assert "no end" in problems(lying, "qcow2")


# CVE-2024-40767, CVE-2024-44082: declared raw, really something that a tool would follow.


@pytest.mark.parametrize("name", [name for name in corpus.SOUND if name != "raw"])
@pytest.mark.parametrize("declared", ["raw", "ami", "aki", "ari"])
def test_cve_2024_40767_declared_raw_really_something_else(name, declared):
    assert mismatch(declared, inspect(corpus.SOUND[name])) == (
        f"the image is declared as {declared}, but its content is {name}"
    )


def test_cve_2024_40767_declared_raw_really_qcow2():
    assert mismatch("raw", inspect(corpus.qcow2(backing=600, backing_size=11)))


def test_cve_2024_40767_declared_iso_really_qcow2():
    assert mismatch("iso", inspect(corpus.qcow2()))


def test_cve_2024_44082_declared_qcow2_really_vmdk():
    assert mismatch("qcow2", inspect(corpus.vmdk_descriptor()))


@pytest.mark.parametrize("declared", ["qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso", "ploop", "luks"])
def test_declared_something_really_nothing(declared):
    assert "content is raw" in (mismatch(declared, inspect(bytes(4096))) or "")


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("qcow", b"QFI\xfb\0\0\0\1" + bytes(4096)),
        ("qed", b"QED\0" + bytes(4096)),
        ("bochs", b"Bochs Virtual HD Image" + bytes(4096)),
        ("cloop", b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount" + bytes(4096)),
        ("dmg", bytes(8192) + b"koly".ljust(512, b"\0")),
    ],
)
def test_formats_that_tools_recognise_by_themselves_are_never_raw(name, image):
    assert "not allowed" in problems(image, name)
    assert mismatch("raw", inspect(image))


# Two formats at once: one reader sees this, another that.


@pytest.mark.parametrize(
    "image",
    [
        overlay(corpus.qcow2(), 32769, b"CD001"),
        overlay(corpus.iso(), 0, corpus.qcow2()[:512]),
        overlay(corpus.iso(), 0, corpus.vmdk_descriptor()),
        overlay(corpus.iso(), 64, corpus.vdi()[64:512]),
        overlay(corpus.gpt(), 32769, b"CD001") + corpus.vhd_footer(kind=2),
        corpus.qcow2() + corpus.vhd_footer(kind=2),
        overlay(corpus.vhdx(), 64, corpus.vdi()[64:512]),
        corpus.vmdk() + b"koly".ljust(512, b"\0"),
    ],
)
def test_polyglot(image):
    assert "at the same time" in "; ".join(inspect(image).problems)


# The other families.


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (corpus.vhd_dynamic(kind=4), "parent"),
        (corpus.vhd_dynamic(parent_name=b"\0/\0e\0t\0c"), "parent"),
        (corpus.vhd_dynamic(kind=9), "type 9"),
        (corpus.vhd_dynamic(checksum=1), "checksum"),
        (corpus.vhd_dynamic(cut=True), "cut off"),
        (corpus.vhd_dynamic(data_offset=2**63), "not where it belongs"),
        (corpus.vhd_dynamic(data_offset=0), "dynamic header"),
        (corpus.vhd_dynamic(end=corpus.vhd_footer(kind=2)), "contradict"),
        (corpus.vhd_dynamic(size=2**64 - 1), "too large"),
        (bytes(512) + corpus.vhd_footer(kind=3), "start is missing"),
        (bytes(512) + corpus.vhd_footer(kind=2), "larger than the file"),
        (b"conectix", "cut off"),
    ],
)
def test_vhd(image, word):
    assert word in problems(image, "vpc")


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (corpus.vhdx(parameter_flags=2), "parent"),
        (corpus.vhdx(items=((corpus.PARENT_LOCATOR, 65600, 20),)), "parent"),
        (corpus.vhdx(items=((bytes(16), 65600, 20),)), "not known"),
        (corpus.vhdx(items=((corpus.DISK_SIZE, 65536 + 8, 8),)), "twice"),
        (corpus.vhdx(regions=((b"unknown region..", 3 * MIB),)), "not known"),
        (corpus.vhdx(regions=((corpus.METADATA, 3 * MIB),)), "not where it belongs"),
        (corpus.vhdx(metadata_at=65536), "not where it belongs"),
        (corpus.vhdx(metadata_at=2**63), "cut off"),
        (corpus.vhdx(metadata_at=2**64 - 1), "cut off"),
        (corpus.vhdx(second_table=bytes(65536)), "contradict"),
        (corpus.vhdx(size_offset=2**32 - 4), "header is cut off"),
        (corpus.vhdx(count=2048), "makes no sense"),
        (corpus.vhdx(size=2**64 - 1), "too large"),
        (corpus.vhdx(cut=8), "cut off"),
        (corpus.vhdx(cut=MIB), "cut off"),
        (corpus.vhdx(cut=MIB + 40), "cut off"),
    ],
)
def test_vhdx(image, word):
    assert word in problems(image, "vhdx")


@pytest.mark.parametrize(
    ("image", "expected", "word"),
    [
        (corpus.vdi(kind=4), "vdi", "parent"),
        (corpus.vdi(parent=b"\1" * 32), "vdi", "parent"),
        (corpus.vdi(version=9), "vdi", "version"),
        (corpus.vdi(block=0), "vdi", "out of range"),
        (corpus.vdi(blocks=1), "vdi", "smaller"),
        (corpus.vdi(blocks=2**32 - 1), "vdi", "cut off"),
        (corpus.vdi(size=2**64 - 1), "vdi", "too large"),
        (corpus.ploop(version=3), "ploop", "version"),
        (corpus.ploop(cluster=0), "ploop", "smaller"),
        (corpus.ploop(entries=2**32 - 1), "ploop", "cut off"),
        (corpus.ploop(sectors=2**64 - 1), "ploop", "too large"),
        (corpus.ploop(in_use=0x746F6E59), "ploop", "not closed"),
        (corpus.luks(version=2), "luks", "version 2"),
        (corpus.luks(payload=2**32 - 1), "luks", "cut off"),
        (corpus.iso()[:33000], "iso", "cut off"),
    ],
)
def test_other_families(image, expected, word):
    assert word in problems(image, expected)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("qcow2", 8),
        ("qcow2", 71),
        ("qcow2", 100),
        ("vmdk", 4),
        ("vmdk", 600),
        ("vdi", 70),
        ("ploop", 20),
        ("luks", 100),
    ],
)
def test_truncated_header_is_a_problem_and_no_exception(name, kept):
    assert problems(corpus.SOUND[name][:kept], name)
