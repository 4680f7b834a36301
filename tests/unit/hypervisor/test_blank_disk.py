"""The empty disks of hosts in memory are sound images, for our inspector and for QEMU."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from gureum.drivers.hypervisor.blank_disk import blank_qcow2
from gureum.drivers.image.inspector import inspect_file

GIB = 1 << 30


@pytest.mark.parametrize("size", [1 << 20, GIB, 10 * GIB, 4096 * GIB])
def test_a_blank_disk_is_sound(tmp_path, size):
    file = tmp_path / "disk"
    file.write_bytes(blank_qcow2(size))
    found = inspect_file(file)
    assert (found.format, found.problems, found.virtual_size_bytes) == ("qcow2", (), size)
    if shutil.which("qemu-img"):
        words = ["qemu-img", "check", "--output=json", "-f", "qcow2", str(file)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        assert "leaks" not in json.loads(done.stdout)
