"""Disk images for Tempest's ImagesFormatTest: sound ones of every format, and ones that would lead a tool astray.

QEMU's own tool makes what it can make; the rest is built byte by byte. The manifest has the keys that Tempest reads:
`name`, `format` (what the image is declared as), `filename`, and `usable`.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.unit.image_inspector import corpus
from tests.unit.image_inspector.corpus import overlay

# Image format as declared, QEMU's name for it, its options.
_SOUND = {
    "qcow2": ("qcow2", "qcow2", ""),
    "qcow2-old": ("qcow2", "qcow2", "compat=0.10"),
    "vmdk": ("vmdk", "vmdk", ""),
    "vmdk-stream": ("vmdk", "vmdk", "subformat=streamOptimized"),
    "vhd": ("vhd", "vpc", ""),
    "vhd-fixed": ("vhd", "vpc", "subformat=fixed"),
    "vhdx": ("vhdx", "vhdx", ""),
    "vdi": ("vdi", "vdi", ""),
    "ploop": ("ploop", "parallels", ""),
}
_FOREIGN = corpus.vmdk_descriptor("monolithicFlat", ('RW 131072 FLAT "/etc/passwd" 0',))
_SECOND = corpus.vmdk_descriptor(extents=('RW 131072 SPARSE "disk.vmdk"', 'RW 1 FLAT "/etc/shadow" 0'))
_BUILT = {
    "raw": ("raw", corpus.mbr().ljust(corpus.MIB, b"\0"), True),
    "raw-gpt": ("raw", corpus.gpt(), True),
    "iso": ("iso", corpus.iso(), True),
    "qcow2-backing": ("qcow2", overlay(corpus.qcow2(backing=600, backing_size=11), 600, b"/etc/passwd"), False),
    "qcow2-data-file": ("qcow2", corpus.qcow2(incompatible=4, extensions=((0x44415441, b"/etc/passwd"),)), False),
    "qcow2-unknown-feature": ("qcow2", corpus.qcow2(incompatible=1 << 63), False),
    "vmdk-foreign-extent": ("vmdk", corpus.vmdk(_FOREIGN), False),
    "vmdk-second-extent": ("vmdk", corpus.vmdk(_SECOND), False),
    "vmdk-descriptor": ("vmdk", _FOREIGN, False),
    "vhd-differencing": ("vhd", corpus.vhd_dynamic(kind=4), False),
    "vhdx-parent": ("vhdx", corpus.vhdx(parameter_flags=2), False),
    "vdi-parent": ("vdi", corpus.vdi(parent=b"\1" * 32), False),
    "iso-and-qcow2": ("iso", overlay(corpus.iso(), 0, corpus.qcow2()[:512]), False),
}


@dataclass(frozen=True)
class DiskImage:
    """`usable` is false for one that must never be stored or booted."""

    name: str
    format: str
    filename: str
    usable: bool


def make_images(folder: Path) -> tuple[Path, list[DiskImage]]:
    """Write the images and their manifest; needs qemu-img."""
    folder.mkdir(parents=True)
    content = folder / "content"
    content.write_bytes(os.urandom(1 << 20).ljust(4 << 20, b"\0"))
    images = []
    for name, (declared, qemu_format, options) in _SOUND.items():
        words = ["qemu-img", "convert", "-f", "raw", "-O", qemu_format, *(("-o", options) if options else ())]
        subprocess.run([*words, str(content), str(folder / f"{name}.{declared}")], check=True, timeout=60)
        images.append(DiskImage(name, declared, f"{name}.{declared}", usable=True))
    for name, (declared, data, usable) in _BUILT.items():
        (folder / f"{name}.{declared}").write_bytes(data)
        images.append(DiskImage(name, declared, f"{name}.{declared}", usable))
    manifest = folder / "manifest.yaml"  # JSON is YAML
    manifest.write_text(json.dumps({"images": [vars(image) for image in images]}, indent=1))
    return manifest, images
