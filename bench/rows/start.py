"""`./gureum up --simulate` to its first token, and the memory of all its processes."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bench.client import BenchError, Client
from bench.cloud import CLONE, environment, free_port, resident_mib
from bench.figures import Figure


def rows(runs: int) -> Iterator[Figure]:
    """Each run in a new folder; packages are installed."""
    measured = [_up_once() for _ in range(runs)]
    seconds, memory = min(s for s, _ in measured), min(m for _, m in measured)
    yield Figure("up --simulate to the first token", seconds, "s", 2, least=True, limit=_imports())
    yield Figure("memory (PSS) of all its processes", memory, "MiB", None, note="the real cloud adds an agent a host")


def _up_once() -> tuple[float, float]:
    folder = Path(tempfile.mkdtemp(prefix="gureum-bench-up-"))
    port = free_port()
    began = time.perf_counter()
    argv = [str(CLONE / "gureum"), "up", "--simulate", "--state", str(folder), "--port", str(port)]
    up = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    try:
        seconds = _first_token(folder, port, up) - began
        if up.wait(60):
            raise BenchError("up failed")
        return seconds, resident_mib(_processes(folder))
    finally:
        up.wait()
        subprocess.run(
            [str(CLONE / "gureum"), "down", "--purge", "--state", str(folder)], check=True, stdout=subprocess.DEVNULL
        )
        shutil.rmtree(folder, ignore_errors=True)


def _first_token(folder: Path, port: int, up: subprocess.Popen[bytes]) -> float:
    """When a token was in hand, asked for every 10 ms from the beginning."""
    deadline = time.perf_counter() + 60
    while time.perf_counter() < deadline and up.poll() in (None, 0):
        with suppress(OSError, http.client.HTTPException, AttributeError):
            text = (folder / "openrc").read_text()
            password = re.search(r"OS_PASSWORD=['\"]?([^'\"\n]+)", text)[1]  # type: ignore[index]  # not whole yet: again
            user = {"name": "admin", "domain": {"name": "Default"}, "password": password}
            auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
            Client(port).call("POST", "/identity/v3/auth/tokens", {"auth": auth})
            return time.perf_counter()
        time.sleep(0.01)
    raise BenchError("no token within 60 s of up")


def _processes(folder: Path) -> list[int]:
    """The processes whose command line names the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str(folder).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def _imports() -> str:
    argv = [sys.executable, "-c", "import gureum.roles.control"]
    times = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(argv, check=True, env=environment())
        times.append(time.perf_counter() - began)
    return f"Python with the control plane's modules alone {min(times):.2f} s"
