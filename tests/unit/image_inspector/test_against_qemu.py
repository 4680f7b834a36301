"""What QEMU's and others' tools write is recognised, measured as they measure it, and refused where it must be."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from gureum.drivers.image.inspector import inspect_file, mismatch, qemu_driver

pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(not shutil.which("qemu-img"), reason="needs qemu-img"),
]

SECRET = ("--object", "secret,id=key,data=password")


def create(path, image_format, size, *options, secret=False):
    command = ["qemu-img", "create", "-q", "-f", image_format, *(SECRET if secret else ())]
    for option in options:
        command += ["-o", option]
    for _ in range(10):
        done = subprocess.run([*command, str(path), str(size)], check=False, timeout=60, capture_output=True, text=True)
        if "accurate CPU usage" not in done.stderr:  # for LUKS it times its own hashing, by a clock that may be coarse
            break
    done.check_returncode()
    return path


def qemu_size(path, driver):
    shown = subprocess.run(
        ["qemu-img", "info", "--output=json", "-f", driver, str(path)], check=True, capture_output=True, timeout=60
    )
    return json.loads(shown.stdout)["virtual-size"]


@pytest.mark.parametrize("size", [0, 512, 1 << 20, 10 << 20, 5 << 30, 3 << 40])
@pytest.mark.parametrize(
    ("image_format", "options"),
    [
        ("qcow2", ()),
        ("qcow2", ("compat=0.10",)),
        ("qcow2", ("cluster_size=512",)),
        ("qcow2", ("cluster_size=2M",)),
        ("qcow2", ("extended_l2=on",)),
        ("qcow2", ("compression_type=zstd",)),
        ("vmdk", ()),
        ("vmdk", ("subformat=streamOptimized",)),
        ("vpc", ()),
        ("vpc", ("subformat=fixed",)),
        ("vpc", ("force_size=on",)),
        ("vhdx", ()),
        ("vhdx", ("subformat=fixed",)),
        ("vdi", ()),
        ("vdi", ("static=on",)),
        ("parallels", ()),
    ],
)
def test_what_qemu_creates_is_sound_and_as_large_as_qemu_says(tmp_path, image_format, options, size):
    if size > 10 << 20 and {"subformat=fixed", "static=on", "cluster_size=512"} & set(options):
        pytest.skip("takes real room, or more than the format holds")
    try:
        path = create(tmp_path / "image", image_format, size, *options)
        expected = qemu_size(path, image_format)
    except subprocess.CalledProcessError:
        pytest.skip("this format has no such size")
    found = inspect_file(path)
    assert (qemu_driver(found.format), found.problems) == (image_format, ())
    if (image_format, options) != ("vpc", ("force_size=on",)):
        assert found.virtual_size_bytes == expected
    assert found.virtual_size_bytes >= expected


@pytest.mark.parametrize("target", ["qcow2", "vmdk", "vpc", "vhdx", "vdi", "parallels"])
def test_what_qemu_converts_is_sound(tmp_path, target):
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 4096 + bytes(3 << 20))
    for options in ((), ("-o", "subformat=streamOptimized"), ("-c",)):
        if (options[:1] == ("-o",) and target != "vmdk") or (options == ("-c",) and target != "qcow2"):
            continue
        path = tmp_path / f"{target}{len(options)}"
        subprocess.run(
            ["qemu-img", "convert", "-f", "raw", "-O", target, *options, str(source), str(path)], check=True, timeout=60
        )
        found = inspect_file(path)
        assert (qemu_driver(found.format), found.problems) == (target, ())
        assert found.virtual_size_bytes == qemu_size(path, target)


def test_cve_2024_32498_as_qemu_writes_it(tmp_path):
    create(tmp_path / "backing", "qcow2", 1 << 20)
    subprocess.run(
        [
            "qemu-img",
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            "qcow2",
            "-b",
            str(tmp_path / "backing"),
            str(tmp_path / "top"),
        ],
        check=True,
        timeout=60,
    )
    assert any("backing file" in problem for problem in inspect_file(tmp_path / "top").problems)
    for raw in ("on", "off"):
        path = create(tmp_path / f"ext{raw}", "qcow2", 1 << 20, f"data_file={tmp_path}/data{raw},data_file_raw={raw}")
        assert any("external data file" in problem for problem in inspect_file(path).problems)


@pytest.mark.parametrize("kind", ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"])
def test_cve_2022_47951_as_qemu_writes_it(tmp_path, kind):
    found = inspect_file(create(tmp_path / "image.vmdk", "vmdk", 1 << 20, f"subformat={kind}"))
    assert found.format == "vmdk"
    assert found.problems


def test_encryption_as_qemu_writes_it(tmp_path):
    inner = create(
        tmp_path / "q", "qcow2", 1 << 20, "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10", secret=True
    )
    assert any("encrypted" in problem for problem in inspect_file(inner).problems)
    outer = inspect_file(create(tmp_path / "l", "luks", 1 << 20, "key-secret=key,iter-time=10", secret=True))
    assert (outer.format, outer.virtual_size_bytes, outer.problems) == ("luks", 1 << 20, ())


@pytest.mark.parametrize("old", ["qcow", "qed"])
def test_qemus_older_formats_are_refused(tmp_path, old):
    found = inspect_file(create(tmp_path / "image", old, 1 << 20))
    assert found.format == old
    assert found.problems
    assert mismatch("raw", found)


@pytest.mark.skipif(not shutil.which("genisoimage"), reason="needs genisoimage")
@pytest.mark.parametrize("options", [(), ("-R", "-J"), ("-udf",)])
def test_what_genisoimage_writes_is_an_iso(tmp_path, options):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "meta-data").write_text("{}")
    path = tmp_path / "image.iso"
    subprocess.run(
        ["genisoimage", "-quiet", *options, "-o", str(path), str(tmp_path / "tree")],
        check=True, timeout=60, capture_output=True,
    )  # fmt: skip
    found = inspect_file(path)
    assert (found.format, found.problems, found.virtual_size_bytes) == ("iso", (), path.stat().st_size)
    assert mismatch("iso", found) is None
