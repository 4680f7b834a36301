"""Processes that outlive who started them: start, recognise, signal. Linux only, standard library only.

A process is known by its id and its start time in clock ticks since boot, so that a number used again by the kernel is
never taken for ours. A zombie counts as dead.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Process:
    """A process that was alive when this was made."""

    pid: int
    started: int
    digest: str = "-"

    def alive(self) -> bool:
        return start_time(self.pid) == self.started

    def send(self, number: int) -> None:
        """Signal it; nothing happens when it is gone."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except (ProcessLookupError, OSError):
            return
        try:
            if self.alive():  # checked with the descriptor open: the id cannot change hands in between
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)

    def wait(self, timeout_s: float) -> bool:
        """Whether it is gone within the time. Works for children and strangers alike."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return True
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return not self.alive() or bool(poll.poll(timeout_s * 1000))
        finally:
            os.close(descriptor)

    def namespace(self, kind: str) -> str:
        """The kernel's name of its namespace, such as `net:[4026532000]`; empty when it is gone."""
        try:
            return str(Path(f"/proc/{self.pid}/ns/{kind}").readlink())
        except OSError:
            return ""


def start_time(pid: int) -> int:
    """Clock ticks after boot, from field 22 of proc(5)'s stat; 0 for no process or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = stat.rpartition(")")[2].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def identify(pid: int, digest: str = "-") -> Process | None:
    started = start_time(pid)
    return Process(pid, started, digest) if started else None


def read_pid_file(file: Path) -> Process | None:
    """The living process that a file of `PID START DIGEST` names, or None."""
    try:
        pid, started, digest = file.read_text().split()
        process = Process(int(pid), int(started), digest)
    except (OSError, ValueError):
        return None
    return process if process.alive() else None


def write_pid_file(file: Path, process: Process) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(f"{process.pid} {process.started} {process.digest}\n")
    fresh.replace(file)


def start_detached(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a session of its own, its output at the end of `log`, the owner's alone: it survives whoever started it."""
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab") as output:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=dict(environment),
            cwd="/",
        )


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """What daemons see: no variable of the user's shell but the few that Python and the network need."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TZ", "TMPDIR") if name in os.environ}
    return {"LANG": "C.UTF-8", **kept, "PATH": SYSTEM_PATH, **extra}


def living() -> Iterator[int]:
    """The ids of all processes."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            yield int(folder.name)


def inside(namespaces: set[str]) -> Iterator[Process]:
    """Every living process whose network or mount namespace is one of these."""
    for pid in living():
        process = identify(pid)
        if process and not namespaces.isdisjoint({process.namespace("net"), process.namespace("mnt")}):
            yield process


def working_on(mark: bytes) -> Iterator[Process]:
    """Every living process whose command line holds `mark`."""
    for pid in living():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if mark in words and (process := identify(pid)):
            yield process


def end(processes: Sequence[Process], number: int, timeout_s: float) -> None:
    """Signal all, wait for all, kill what is left."""
    for process in processes:
        process.send(number)
    deadline = time.monotonic() + timeout_s
    for process in processes:
        if not process.wait(max(0.0, deadline - time.monotonic())):
            process.send(signal.SIGKILL)
            process.wait(5.0)


def memory_kib(pid: int) -> int:
    """Proportional set size, the fair share of memory; 0 when it cannot be read."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
