"""A guest in a bare QEMU, without any cloud, and the moment at which an SSH server first speaks.

The bare guest has the image, memory, processor model and accelerator of the cloud's, a config drive so that it waits
for no metadata, and user networking. It is the limit of `rows/real.py`: a cloud cannot be quicker than this.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.client import BenchError
from bench.cloud import free_port
from gureum.lab.process import working_on

TIMEOUT_S = 180.0
KNOCK_EVERY_S = 0.05
PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Shape:
    """What the cloud's QEMU was started with. `accelerator` and `cpu` are QEMU's own words."""

    accelerator: str
    cpu: str
    ram_mib: int
    vcpus: int


def shape_of(server_id: str, ram_mib: int, vcpus: int) -> Shape:
    """Read from the running server's command line. Raises BenchError when no QEMU runs for it."""
    for process in working_on(server_id.encode()):
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode().split("\0")
        if "-accel" in words and "-cpu" in words:
            after = {word: words[number + 1] for number, word in enumerate(words[:-1]) if word.startswith("-")}
            return Shape(after["-accel"], after["-cpu"], ram_mib, vcpus)
    raise BenchError(f"no QEMU runs for server {server_id}")


def until_ssh(address: str, port: int, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether an SSH server sends its banner within the time. A new connection knocks every 50 ms and waits 2 s, so
    that no retransmission's pause is measured."""
    deadline = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as waiting:
        try:
            while (now := time.monotonic()) < deadline:
                _knock(waiting, address, port, now)
                if _spoken(waiting, now + KNOCK_EVERY_S):
                    return True
        finally:
            for key in list(waiting.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
    return False


def _knock(waiting: selectors.BaseSelector, address: str, port: int, now: float) -> None:
    """Open another connection and let go of those that waited long enough."""
    for key in list(waiting.get_map().values()):
        if now - key.data > PATIENCE_S:
            _forget(waiting, key)
    knocking = socket.socket()
    knocking.setblocking(False)
    with suppress(BlockingIOError, OSError):
        knocking.connect((address, port))
    waiting.register(knocking, selectors.EVENT_READ, now)


def _spoken(waiting: selectors.BaseSelector, until: float) -> bool:
    while (left := until - time.monotonic()) > 0:
        for key, _ in waiting.select(left):
            try:
                banner = key.fileobj.recv(64)  # type: ignore[union-attr]
            except OSError:
                banner = b""
            if banner.startswith(b"SSH-2.0"):
                return True
            _forget(waiting, key)
    return False


def _forget(waiting: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    waiting.unregister(key.fileobj)
    key.fileobj.close()  # type: ignore[union-attr]


def bare_boot_s(image: str, shape: Shape) -> float:
    """Seconds from starting QEMU until SSH answers."""
    with tempfile.TemporaryDirectory(prefix="gureum-bench-") as folder:
        disk, drive, port = Path(folder, "disk.qcow2"), _config_drive(Path(folder)), free_port()
        made = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, str(disk)]
        subprocess.run(made, check=True)
        argv = _command(disk, drive, port, shape)
        began = time.perf_counter()
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            try:
                if not until_ssh("127.0.0.1", port):
                    raise BenchError("the bare guest does not answer")
                return time.perf_counter() - began
            finally:
                process.kill()


def _command(disk: Path, drive: Path, port: int, shape: Shape) -> list[str]:
    return [
        "qemu-system-x86_64", "-M", "q35", "-accel", shape.accelerator, "-cpu", shape.cpu, "-m", str(shape.ram_mib),
        "-smp", str(shape.vcpus), "-nodefaults", "-display", "none", "-serial", "null",
        "-drive", f"file={disk},format=qcow2,if=none,id=root", "-device", "virtio-blk-pci,drive=root,bootindex=1",
        "-drive", f"file={drive},format=raw,if=none,id=config,readonly=on", "-device", "virtio-blk-pci,drive=config",
        "-netdev", f"user,id=nic0,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-net-pci,netdev=nic0",
        "-device", "virtio-rng-pci",
    ]  # fmt: skip


def _config_drive(folder: Path) -> Path:
    """The least that the guest takes for an identity (OpenStack's config drive layout)."""
    latest = folder / "drive/openstack/latest"
    latest.mkdir(parents=True)
    identity = {"uuid": "00000000-0000-4000-8000-000000000001", "hostname": "bare", "name": "bare"}
    (latest / "meta_data.json").write_text(json.dumps(identity))
    drive = folder / "drive.iso"
    made = ["genisoimage", "-quiet", "-V", "config-2", "-J", "-R", "-o", str(drive), str(folder / "drive")]
    subprocess.run(made, check=True)
    return drive
