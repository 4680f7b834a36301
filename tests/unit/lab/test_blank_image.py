"""The blank disk that stands for the guest image in simulated clouds."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from gureum.lab.guest_image.blank import VIRTUAL_BYTES, blank_qcow2


@pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is not installed")
def test_qemu_finds_the_blank_disk_sound(tmp_path):
    file = tmp_path / "blank.qcow2"
    file.write_bytes(blank_qcow2())
    words = ["qemu-img", "info", "-f", "qcow2", "--output=json", str(file)]
    facts = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    assert facts["virtual-size"] == VIRTUAL_BYTES
    checked = subprocess.run(
        ["qemu-img", "check", "-f", "qcow2", str(file)], check=False, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
