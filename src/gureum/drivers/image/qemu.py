"""Converts images by qemu-img, in a box: no network, no environment, limits of memory, time and space.

It is never asked what an image is: both formats are named on the command line, and the inspector saw the source before.
The attack (CVE-2015-5162): an image made so that the tool takes memory or time without end.
Sources: qemu-img(1), prlimit(1), unshare(1).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gureum.drivers.image.errors import ImageStoreError, StoreFull
from gureum.drivers.image.interface import Look, look_away

_SAID_CHARACTERS = 500
_LOOK_S = 1.0


@dataclass(frozen=True)
class Limits:
    """Of one conversion. `seconds` is wall time, `cpu_s` processor time; memory is address space."""

    memory_bytes: int = 2 << 30
    cpu_s: int = 3600
    seconds: float = 7200.0
    file_bytes: int = 1 << 41


@dataclass(frozen=True)
class QemuConverter:
    """`program` is qemu-img's path."""

    program: str
    limits: Limits = Limits()

    def convert(
        self, source: Path, source_format: str, target: Path, target_format: str, *, look: Look = look_away
    ) -> None:
        """See Converter. The target must not exist; it is gone again after a failure."""
        words = [
            *_box(self.limits),
            self.program,
            "convert",
            "-f",
            source_format,
            "-O",
            target_format,
            f"file:{source.absolute()}",
            f"file:{target.absolute()}",
        ]
        try:
            said, code = _run(words, target.parent, self.limits.seconds, look)
        except OSError as error:
            raise ImageStoreError(f"qemu-img cannot be started: {error}") from error
        if code != 0:
            target.unlink(missing_ok=True)
            kind = StoreFull if "No space left" in said or "File too large" in said else ImageStoreError
            raise kind(f"qemu-img ended with {code}: {said[-_SAID_CHARACTERS:]}")


def _run(words: list[str], folder: Path, seconds: float, look: Look) -> tuple[str, int]:
    process = subprocess.Popen(
        words,
        cwd=folder,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
        errors="replace",
    )
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            look()
            with contextlib.suppress(subprocess.TimeoutExpired):
                _, said = process.communicate(timeout=min(_LOOK_S, max(until - time.monotonic(), 0)))
                return said, process.returncode
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return f"it took more than {seconds:.0f} seconds", -signal.SIGKILL


def _box(limits: Limits) -> list[str]:
    """The words before the program that put it into its limits."""
    prlimit = shutil.which("prlimit")
    if prlimit is None:
        raise ImageStoreError("prlimit is missing (package util-linux): images are not converted without limits")
    return [
        *_without_network(),
        prlimit,
        f"--as={limits.memory_bytes}",
        f"--cpu={limits.cpu_s}",
        f"--fsize={limits.file_bytes}",
        "--nofile=256",
        "--core=0",
        "--",
    ]


@cache
def _without_network() -> tuple[str, ...]:
    """A network namespace with nothing in it, where the kernel lets us have one; tried once."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    words = (unshare, "--net", "--ipc", "--") if os.geteuid() == 0 else (unshare, "--user", "--net", "--ipc", "--")
    tried = subprocess.run([*words, "true"], capture_output=True, check=False, timeout=10)
    return words if tried.returncode == 0 else ()
