"""A simulated cloud in a process of its own, on a free port and in a folder of its own; gone with the `with` block."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bench import client
from bench.client import CLONE, CONNECTIONS, BenchError, Client, Rate, Request
from bench.sizes import Sizes
from gureum.lab.plan import MEMORY

T = TypeVar("T")
PASSWORD = "bench-secret"
COMPUTE = {"OpenStack-API-Version": "compute 2.79"}

CONFIG = """state = "{folder}"
[api]
port = {port}
[hypervisor]
mode = "simulated"
simulated_hosts = {hosts}
[bootstrap]
admin_password = "{password}"
demo_password = "{password}"
[log]
file = "control.log"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment() -> dict[str, str]:
    """What the cloud's own process runs with, as `gureum up` gives it."""
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**ours, "PYTHONPATH": f"{CLONE / 'src'}:{CLONE}", **MEMORY}


@dataclass(frozen=True, slots=True)
class Load:
    """What a load saw from outside, and the milliseconds of processor that the cloud used for one request."""

    rate: Rate
    cpu_ms: float

    def note(self) -> str:
        """The processor time, and a word where the client may have been the limit."""
        return "; ".join(part for part in (f"{self.cpu_ms:.2f} ms CPU each", self.rate.client_note()) if part)


class Cloud:
    """The process that is measured, and the ways to look at it from outside."""

    def __init__(self, folder: Path, port: int, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.port = port
        self.process = process
        self.admin = self.client()

    def client(self, user: str = "admin") -> Client:
        """A client with a token for the user's own project."""
        return logged_in(self.port, user, PASSWORD)

    def counters(self) -> dict[str, float]:
        """Every counter of /metrics, summed over its labels. Asking adds one to the counted HTTP requests."""
        _, _, content = self.admin.send(Request("GET", "/metrics"))
        return read_counters(content.decode())

    def steady(self, request: Request, *, seconds: float, connections: int = CONNECTIONS) -> Load:
        """The request without pause for `seconds`. Raises BenchError when an answer is no success."""
        cpu = self.cpu_s()
        rate = client.steady(self.port, request, connections=connections, seconds=seconds)
        return Load(rate, (self.cpu_s() - cpu) / rate.count * 1000)

    def cpu_s(self) -> float:
        """Processor seconds that the process has used."""
        return cpu_seconds(self.process.pid)

    def until(self, done: Callable[[], bool], timeout_s: float = 120.0, poll_s: float = 0.02) -> None:
        """Wait for something to be seen from outside."""
        deadline = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > deadline:
                raise BenchError("the cloud does not come to rest in time")
            time.sleep(poll_s)

    # -- things to measure on ----------------------------------------------------------------------------

    def image(self) -> str:
        """A small image that servers can be built from."""
        view = {"name": "tiny", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
        image_id = str(self.admin.call("POST", "/image/v2/images", view)["id"])
        request = self.admin.request("PUT", f"/image/v2/images/{image_id}/file")
        request.headers["Content-Type"] = "application/octet-stream"
        status, _, content = self.admin.send(Request("PUT", request.path, request.headers, bytes(1 << 16)))
        if status != 204:
            raise BenchError(f"upload: {status} {content[:300]!r}")
        return image_id

    def flavor(self) -> str:
        """A flavor of which any number of servers fits."""
        body = {"flavor": {"name": "bench", "vcpus": 1, "ram": 64, "disk": 1}}
        return str(self.admin.call("POST", "/compute/v2.1/flavors", body)["flavor"]["id"])

    def network(self) -> str:
        """A network with room for 65,000 ports."""
        made = self.admin.call("POST", "/network/v2.0/networks", {"network": {"name": "bench"}})["network"]
        subnet = {"network_id": made["id"], "ip_version": 4, "cidr": "172.20.0.0/16"}
        self.admin.call("POST", "/network/v2.0/subnets", {"subnet": subnet})
        return str(made["id"])

    def no_quotas(self) -> None:
        """The admin project may have as much as it likes."""
        project = self.admin.call("GET", "/identity/v3/auth/projects")["projects"][0]["id"]
        everything = dict.fromkeys(("cores", "instances", "ram"), -1)
        self.admin.call("PUT", f"/compute/v2.1/os-quota-sets/{project}", {"quota_set": everything})
        self.admin.call("PUT", f"/network/v2.0/quotas/{project}", {"quota": {"port": -1}})


def read_counters(text: str) -> dict[str, float]:
    """Prometheus' text format as name -> value, summed over labels, names without `_total`."""
    found: dict[str, float] = {}
    for name, value in re.findall(r"^(\w+?)(?:_total)?(?:{[^}]*})? ([\d.e+-]+)$", text, re.MULTILINE):
        found[name] = found.get(name, 0.0) + float(value)
    return found


def password_body(user: str, password: str) -> dict[str, Any]:
    """The body that asks for a token for the project of the user's own name."""
    domain = {"name": "Default"}
    methods = {"methods": ["password"], "password": {"user": {"name": user, "domain": domain, "password": password}}}
    return {"auth": {"identity": methods, "scope": {"project": {"name": user, "domain": domain}}}}


def logged_in(port: int, user: str, password: str) -> Client:
    """A client with a token. Raises BenchError when there is none."""
    anonymous = Client(port)
    asked = anonymous.request("POST", "/identity/v3/auth/tokens", password_body(user, password))
    status, headers, content = anonymous.send(asked)
    anonymous.close()
    if status != 201:
        raise BenchError(f"no token: {status} {content[:300]!r}")
    return Client(port, {"X-Auth-Token": headers["x-subject-token"], **COMPUTE})


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pids: list[int]) -> float:
    """Proportional set size of processes in MiB; those that ended meanwhile count nothing."""
    total_kib = 0
    for pid in pids:
        with suppress(OSError):
            found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            total_kib += int(found[1]) if found else 0
    return total_kib / 1024


def on_fresh_clouds(sizes: Sizes, measure: Callable[[Cloud], T], hosts: int = 8) -> list[T]:
    """What `measure` gives on a new cloud for each run."""
    found = []
    for _ in range(sizes.runs):
        with simulated_cloud(hosts) as cloud:
            found.append(measure(cloud))
    return found


@contextmanager
def simulated_cloud(hosts: int = 8) -> Iterator[Cloud]:
    """A cloud that answers, with `hosts` simulated hosts that have all been heard."""
    folder = Path(tempfile.mkdtemp(prefix="gureum-bench-"))
    port = free_port()
    config = folder / "gureum.toml"
    config.write_text(CONFIG.format(folder=folder, port=port, hosts=hosts, password=PASSWORD))
    argv = [sys.executable, "-m", "gureum.roles.all_in_one", "--config", str(config)]
    process = subprocess.Popen(argv, env=environment(), cwd=CLONE)
    try:
        _until_ready(folder, process)
        yield Cloud(folder, port, process)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder)


def _until_ready(folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not (folder / "run/control.ready").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            log = folder / "control.log"
            raise BenchError("the cloud does not start:\n" + (log.read_text()[-3000:] if log.exists() else ""))
        time.sleep(0.01)
