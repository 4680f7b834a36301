"""`./gureum up` in a folder of its own, as a person runs it: how long to the first token, which processes, what memory.

Leaving the context purges the cloud, whatever happened. Read next: `rows/start.py`, `rows/real.py`.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.client import CLONE, BenchError, Client
from bench.cloud import free_port, logged_in, resident_mib
from gureum.lab.process import read_pid_file

UP_TIMEOUT_S = 900.0  # a fresh machine builds the guest image
OURS = re.compile(r"supervisor|control|bus-forward|.*\.agent")


class Lab:
    """A cloud that `up` started."""

    def __init__(self, folder: Path, port: int, *, simulate: bool, hosts: int) -> None:
        self.folder = folder
        self.port = port
        self._options = ["--hosts", str(hosts), *(["--simulate"] if simulate else [])]

    def up(self) -> float:
        """Seconds from the command to the first token. Raises BenchError when there is none."""
        log = self.folder.with_suffix(".log")
        argv = [str(CLONE / "gureum"), "up", "--state", str(self.folder), "--port", str(self.port), *self._options]
        with log.open("wb") as output:
            began = time.perf_counter()
            command = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            try:
                token = self._first_token(command)
                code = command.wait(UP_TIMEOUT_S)
            finally:
                if command.poll() is None:
                    command.terminate()
                    command.wait()
                said = log.read_text()[-2000:]
                log.unlink()
        if token is None or code:
            raise BenchError(f"up gave no token, or failed: {said}")
        return token - began

    def _first_token(self, command: subprocess.Popen[bytes]) -> float | None:
        """When a token was in hand, asked for every 10 ms from the beginning; None when `up` ended without one."""
        deadline = time.perf_counter() + UP_TIMEOUT_S
        while time.perf_counter() < deadline and command.poll() in (None, 0):
            with suppress(OSError, http.client.HTTPException):
                self.client()
                return time.perf_counter()
            time.sleep(0.01)
        return None

    def client(self) -> Client:
        """The administrator. Raises OSError while there is no cloud."""
        found = re.search(r"OS_PASSWORD=['\"]?([^'\"\n]+)", (self.folder / "openrc").read_text())
        if found is None:
            raise FileNotFoundError("openrc is not whole yet")
        return logged_in(self.port, "admin", found[1])

    def down(self) -> None:
        """Everything is gone, the folder too."""
        argv = [str(CLONE / "gureum"), "down", "--purge", "--state", str(self.folder)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- looks from outside ------------------------------------------------------------------------------

    def memory_mib(self) -> tuple[float, float]:
        """(Gureum's own processes, the engines): proportional set size. An agent's children are its own, guests are
        nobody's."""
        own, engines = set[int](), set[int]()
        for file in (self.folder / "run").glob("*.pid"):
            if process := read_pid_file(file):
                (own if OURS.fullmatch(file.stem) else engines).add(process.pid)
        own |= {pid for pid in _descendants(own) if pid not in engines and b"gureum" in _words(pid)}
        return resident_mib(sorted(own)), resident_mib(sorted(engines))

    def guest_image(self) -> str:
        """The file of the image `mini`, as the lab built it."""
        return str(json.loads((self.folder / "lab.json").read_text())["guest_image"])

    def engines_s(self) -> float:
        """Seconds from the supervisor's start until the last engine ran, by the supervisor's own account."""
        status = json.loads((self.folder / "run/status.json").read_text())
        times = [one["since"] for name, one in status["daemons"].items() if not OURS.fullmatch(name)]
        return float(max(times, default=status["since"]) - status["since"])


def _words(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _descendants(pids: set[int]) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = set(pids)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - pids


@contextmanager
def lab(*, simulate: bool, hosts: int = 1) -> Iterator[Lab]:
    """A folder in which nothing ran before, and nothing does afterwards."""
    made = Lab(Path(tempfile.mkdtemp(prefix="gureum-bench-")), free_port(), simulate=simulate, hosts=hosts)
    try:
        yield made
    finally:
        made.down()
