"""Work inside another network namespace, done by a thread that ends there.

A thread that entered a namespace never runs anything else: the process's other threads stay where they are.
Read next: `ovs_wiring.py`.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

FOLDER = Path("/run/netns")

_CLONE_NEWNET = 0x40000000
_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM = 0x17  # linux/ethtool.h: switches transmit checksums, and what depends on them, off or on


def is_namespace(path: Path) -> bool:
    """Whether the file is a live namespace: after a crash of its mount namespace the bare file is left."""
    try:
        return path.stat().st_dev == Path("/proc/self/ns/net").stat().st_dev
    except OSError:
        return False


def inside(name: str, work: Callable[[], T]) -> T:
    """Run `work` in the named network namespace. Raises what it raises, and OSError."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            _enter(FOLDER / name)
            outcome.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name=f"in-{name}"[:32])
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def switch_off_checksum_offload(device: str) -> None:
    """What `ethtool -K DEVICE tx off` does, in the thread's own namespace. Raises OSError."""
    import fcntl

    value = ctypes.create_string_buffer(struct.pack("II", _ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sP16x", device.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCETHTOOL, request)


def _enter(path: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET):
            error = ctypes.get_errno()
            raise OSError(error, f"setns {path}: {os.strerror(error)}")
    finally:
        os.close(descriptor)
