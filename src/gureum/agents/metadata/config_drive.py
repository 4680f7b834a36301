"""The metadata documents on a small disk: ISO 9660 with Joliet and Rock Ridge, label `config-2`.

The layout is the one that cloud-init's ConfigDrive source reads. The password document is not on it (it changes).
Read next: `formats.py`, which makes every document.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gureum.agents.hypervisor.files import PART
from gureum.agents.hypervisor.protocol import GuestData
from gureum.agents.hypervisor.tools import run_tool
from gureum.agents.metadata import formats

LABEL = "config-2"

_EC2_VERSIONS = ("2009-04-04", formats.LATEST)


def tree(guest: GuestData) -> Iterator[tuple[str, bytes]]:
    """Every file of the drive: (path, content). The administrator's password is told here, and only here."""
    if guest.admin_pass:
        told = {**json.loads(guest.meta_data), "admin_pass": guest.admin_pass}
        guest = msgspec.structs.replace(guest, meta_data=json.dumps(told))
    user_data = formats.user_data(guest)
    meta_data = json.dumps(_without_names(formats.ec2_tree(guest))).encode()
    for version in _EC2_VERSIONS:
        yield f"ec2/{version}/meta-data.json", meta_data
        if user_data is not None:
            yield f"ec2/{version}/user-data", user_data
    for version in (*formats.OPENSTACK_VERSIONS, formats.LATEST):
        for name in formats.openstack_names(guest, version):
            document = formats.openstack_document(guest, version, name)
            if document is not None:
                yield f"openstack/{version}/{name}", document.body
    for name in guest.content:
        document = formats.injected_file(guest, name)
        if document is not None and "/" not in name and not name.startswith("."):
            yield f"openstack/content/{name}", document.body


def build(guest: GuestData, target: Path) -> None:
    """Write the drive to `target`. Raises OSError, ToolFailed."""
    folder = Path(tempfile.mkdtemp(prefix="config-drive-", suffix=PART, dir=target.parent))
    try:
        _lay_out(guest, folder)
        options = ["-quiet", "-ldots", "-allow-lowercase", "-allow-multidot", "-l", "-J", "-r", "-V", LABEL]
        run_tool(["genisoimage", "-o", str(target), *options, str(folder)])
        target.chmod(0o600)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lay_out(guest: GuestData, folder: Path) -> None:
    # The versions mostly hold the same bytes: hard links make them one extent on the disk.
    written: dict[bytes, Path] = {}
    for name, content in tree(guest):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content in written:
            os.link(written[content], path)
        else:
            path.write_bytes(content)
            written[content] = path


def _without_names(node: formats.Tree) -> formats.Tree:
    return {
        name: _without_names(child) if isinstance(child, dict) else child
        for name, child in node.items()
        if name != "_name"
    }
