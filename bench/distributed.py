"""A cloud of many processes: PostgreSQL, RabbitMQ (or a unix socket without it), API processes, workers, simulated hosts.

All of it in a folder of its own and gone with the `with` block. PostgreSQL runs with Debian's own settings: a commit is
on the disk when it is answered, unlike in tests.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.contracts.rabbitmq_broker import SERVER, Broker
from tests.postgresql_server import PostgresqlServer, binaries

from bench.client import CLONE, BenchError
from bench.cloud import PASSWORD, Cloud, cpu_seconds, environment, free_port

DURABLE = {"max_connections": "200"}
_STARTS_WITHIN_S = 90.0
CONFIG = """state = "{folder}"
[api]
port = {port}
[database]
url = "{database}"
[bus]
url = "{bus}"
[hypervisor]
mode = "simulated"
simulated_hosts = 8
[bootstrap]
admin_password = "{password}"
demo_password = "{password}"
"""


class DistributedCloud(Cloud):
    """Measured as one: its processor time is that of the API processes and workers. `bus` says what carries calls."""

    def __init__(self, folder: Path, port: int, processes: list[subprocess.Popen[bytes]], bus: str) -> None:
        self.processes = processes
        self.bus = bus
        super().__init__(folder, port, processes[0])

    def cpu_s(self) -> float:
        return sum(cpu_seconds(process.pid) for process in self.processes)


def missing() -> str:
    """Why this machine cannot run one; empty when it can."""
    return "" if binaries() is not None else "PostgreSQL is not installed: apt-get install postgresql"


@contextmanager
def distributed_cloud(apis: int, workers: int) -> Iterator[DistributedCloud]:
    """A cloud that answers, with so many processes of each kind."""
    programs = binaries()
    assert programs is not None
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="gureum-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        database = PostgresqlServer(programs, DURABLE)
        stack.callback(database.stop)
        bus, kind = _bus(stack, folder)
        port = free_port()
        config = folder / "gureum.toml"
        config.write_text(
            CONFIG.format(folder=folder, port=port, database=database.new_database(), bus=bus, password=PASSWORD)
        )
        roles = ["simulated_hosts", *["worker"] * workers, *["api"] * apis]
        started = [stack.enter_context(_process(folder, role, config)) for role in roles]
        _until_ready(folder, started, apis + workers)
        yield DistributedCloud(folder, port, started[1:], kind)


def _bus(stack: ExitStack, folder: Path) -> tuple[str, str]:
    if not SERVER.exists():
        return f"unix:{folder}/bus.sock", "a unix socket"
    place = folder / "rabbitmq"
    place.mkdir()
    broker = Broker(place)
    broker.start()
    stack.callback(broker.stop)
    return broker.url, "RabbitMQ"


@contextmanager
def _process(folder: Path, role: str, config: Path) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-m", f"gureum.roles.{role}", "--config", str(config)]
    with (folder / f"{role}.log").open("ab") as log:
        process = subprocess.Popen(argv, env=environment(), cwd=CLONE, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_ready(folder: Path, processes: list[subprocess.Popen[bytes]], count: int) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while len(list(folder.glob("run/api-*.ready")) + list(folder.glob("run/worker-*.ready"))) < count:
        if any(process.poll() is not None for process in processes) or time.monotonic() > deadline:
            logs = "\n".join(file.read_text()[-1500:] for file in sorted(folder.glob("*.log")))
            raise BenchError(f"the cloud does not start:\n{logs}")
        time.sleep(0.05)
