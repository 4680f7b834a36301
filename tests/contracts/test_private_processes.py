"""Each role started directly, with a umask that hides nothing: its files are its owner's alone, and no command line of
its processes, which every user of the machine reads, holds a secret.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
SECRET = "not-for-every-user"
CONFIG = """
state = "{folder}/state"
[api]
port = {port}
[database]
url = "{database}"
pool_size = 4
[bus]
url = "{bus}"
[hypervisor]
mode = "simulated"
[auth]
hash_time_cost = 1
hash_memory_kib = 8
[bootstrap]
admin_password = "{secret}"
[log]
file = "{folder}/state/{role}.log"
"""


class Roles:
    """Processes of one cloud; `start` waits until a file in the state folder says that it serves."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        self.state = folder / "state"
        self.state.mkdir(mode=0o700)

    def config(self, role, database, bus):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        words = {"folder": self.folder, "port": port, "database": database, "bus": bus, "secret": SECRET, "role": role}
        file = self.folder / f"{role}.toml"
        file.write_text(CONFIG.format(**words))
        return file

    def start(self, role, *words, ready):
        with (self.folder / f"{role}.out").open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", f"gureum.roles.{role}", *map(str, words)],
                env={**os.environ, "PYTHONPATH": str(SOURCE)}, stdout=output, stderr=output, umask=0,
            )  # fmt: skip
        self.processes.append(process)
        deadline = time.monotonic() + 60
        while not list(self.state.glob(ready)):
            assert process.poll() is None, (self.folder / f"{role}.out").read_text()
            assert time.monotonic() < deadline, f"{role} is not ready"
            time.sleep(0.05)

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(20)

    def open_to_others(self):
        """What anybody but the owner may do something with."""
        found = {}
        for path in [self.state, *self.state.rglob("*")]:
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode) and mode & 0o077:
                found[str(path.relative_to(self.folder))] = oct(stat.S_IMODE(mode))
        return found

    def command_lines(self):
        return [Path(f"/proc/{process.pid}/cmdline").read_bytes().decode() for process in self.processes]


@pytest.fixture
def roles(tmp_path):
    roles = Roles(tmp_path)
    yield roles
    roles.stop()


def test_all_in_one_keeps_its_files_to_itself(roles):
    url = f"sqlite:///{roles.state}/cloud.sqlite"
    roles.start("all_in_one", "--config", roles.config("all_in_one", url, "inprocess:"), ready="run/control.ready")
    names = {path.name for path in roles.state.rglob("*")}
    assert {"cloud.sqlite", "cloud.sqlite-wal", "cloud.sqlite-shm", "all_in_one.log"} <= names
    assert roles.open_to_others() == {}


def test_an_agent_keeps_its_files_and_its_brokers_password_to_itself(roles, tmp_path):
    settings = tmp_path / "agent.json"
    bus = f"amqp://agent:{SECRET}@127.0.0.1:1/cloud"  # nobody is there: an agent may come before its broker
    settings.write_text(json.dumps({"driver": "fake", "metadata": "none", "bus": bus}))
    roles.start("agent", "--host", "h1", "--state", roles.state, "--settings", settings, ready="agent.ready")
    assert roles.open_to_others() == {}
    assert not [line for line in roles.command_lines() if SECRET in line]
    assert SECRET not in (tmp_path / "agent.out").read_text()


def test_an_agent_refuses_a_password_on_its_command_line(tmp_path):
    words = ["--host", "h1", "--state", str(tmp_path), "--bus", f"amqp://agent:{SECRET}@broker"]
    ended = subprocess.run(
        [sys.executable, "-m", "gureum.roles.agent", *words],
        env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode != 0
    assert "--settings" in ended.stderr
    assert SECRET not in ended.stderr


@pytest.mark.postgresql
def test_the_processes_of_a_larger_cloud_keep_their_files_to_themselves(roles, postgresql_url):
    bus = f"unix:{roles.state}/run/bus"
    (roles.state / "run").mkdir(mode=0o700)
    for role, ready in (("worker", "worker-*"), ("api", "api-*"), ("simulated_hosts", "simulated-hosts")):
        roles.start(role, "--config", roles.config(role, postgresql_url, bus), ready=f"run/{ready}.ready")
    assert roles.open_to_others() == {}
    assert not [line for line in roles.command_lines() if "postgresql" in line]
