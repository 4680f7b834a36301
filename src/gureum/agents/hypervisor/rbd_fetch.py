"""An image's bytes from a Ceph pool to a new file, with this host's own key.

The URL rbd://fsid/pool/image/snapshot comes from the control plane and says nothing about who or how: the key and the
monitors are the host's. Not qemu-img: its RBD driver dies of an image whose size is no multiple of a sector (QEMU 7.2,
qemu_rbd_co_block_status), and a qcow2 file of any size is an image here.
Invariant: the bytes pass through the same sink as those of a path, and nothing looks at them on the way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from gureum.agents.hypervisor.image_fetch import Sink
from gureum.foundation.fleet.failure import AgentFailure

SCHEME = "rbd://"
_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,159}"
_URL = re.compile(rf"rbd://([0-9a-f-]{{36}})/({_NAME})/({_NAME})/({_NAME})\Z")


@dataclass(frozen=True, slots=True)
class CephAccess:
    """How this host opens its Ceph cluster: the configuration file, and the user whose keyring it names."""

    conf: Path
    user: str


def fetch_rbd(url: str, sink: Sink, access: CephAccess | None, *, limit_bytes: int) -> int:
    """Take the image's bytes; how many. Raises AgentFailure, and what the sink raises."""
    # Only a host that has images in Ceph pays the memory of the driver.
    from gureum.drivers.image.errors import ImageStoreError
    from gureum.drivers.image.rbd.command import Missing, RbdPool, Stream

    parts = _URL.match(url)
    if parts is None:
        raise AgentFailure(f"image URL {url[:200]!r} names no RBD snapshot", retry=False)
    fsid, pool, image, snapshot = parts.groups()
    if access is None:
        raise AgentFailure("the image is in Ceph and this host's settings name no ceph_user", retry=False)
    try:
        source = RbdPool(pool, access.user, access.conf)
        mine = source.fsid()
    except ValueError as error:
        raise AgentFailure(f"this host's settings of Ceph: {error}", retry=False) from error
    if mine != fsid:
        raise AgentFailure(f"{access.conf} is not of the Ceph cluster {fsid} but of {mine}", retry=False)
    try:
        stream = Stream(source, "rbd", "export", "--no-progress", f"{pool}/{image}@{snapshot}", "-", feeds=False)
        try:
            return sink.take(stream, limit_bytes)
        finally:
            stream.kill()
    except ImageStoreError as error:
        raise AgentFailure(f"{pool}/{image} of Ceph: {error}", retry=not isinstance(error, Missing)) from error
