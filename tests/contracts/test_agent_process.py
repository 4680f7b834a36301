"""The agent as a process of its own: served over a unix socket, small, and ended without touching its guests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.contracts.agent_hosts import eventually, make_image
from tests.contracts.test_hypervisor_agent import spec_of

from gureum.agents.hypervisor.protocol import HostObserved, ServerObserved
from gureum.agents.hypervisor.remote import listen_to_agents, remote_agent
from gureum.foundation.bus.interface import BusError
from gureum.foundation.bus.open import open_bus

PSS_LIMIT_KIB = 35 << 10


class Listener:
    def __init__(self):
        self.beats: list[HostObserved] = []

    def heartbeat(self, observed: HostObserved) -> None:
        self.beats.append(observed)

    def server_changed(self, host: str, observed: ServerObserved) -> None:
        pass


class Process:
    """`gureum.roles.agent` over the fake driver, and the bus of a control plane."""

    def __init__(self, folder: Path, image):
        self.image = image
        self.folder = folder
        self.bus = open_bus(f"unix:{folder}/bus", role="control")
        self.listener = Listener()
        listen_to_agents(self.bus, self.listener)
        self.agent = remote_agent(self.bus, "host-1")
        (folder / "settings.json").write_text(json.dumps({"driver": "fake", "metadata": "none", "heartbeat_s": 0.3}))
        self.process = None

    def start(self):
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gureum.roles.agent", "--host", "host-1", "--state", str(self.folder / "state"),
                 "--bus", f"unix:{self.folder}/bus", "--settings", str(self.folder / "settings.json")],
                env={**os.environ, "PYTHONPATH": "src"},
                stderr=log,
            )  # fmt: skip
        self.listener.beats.clear()
        eventually(lambda: self.listener.beats, "a heartbeat")

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(15)

    def pss_kib(self):
        lines = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


@pytest.fixture
def process(tmp_path):
    process = Process(tmp_path, make_image(tmp_path / "image.qcow2"))
    process.start()
    yield process
    if process.process.poll() is None:
        process.end(signal.SIGKILL)
    process.bus.close()


def test_a_life_over_the_bus_in_little_memory(process):
    answer = process.agent.ensure_server(spec_of(process))
    assert (answer.power, answer.boot, answer.nics) == ("running", 1, ("port-server-1",))
    assert process.pss_kib() < PSS_LIMIT_KIB
    assert process.end(signal.SIGTERM) == 0
    assert "its guests run on" in (process.folder / "log").read_text()
    with pytest.raises(BusError):
        process.agent.observe()


def test_a_killed_agent_comes_back_knowing_its_servers(process):
    process.agent.ensure_server(spec_of(process))
    process.end(signal.SIGKILL)
    process.start()
    seen = process.agent.observe().servers
    assert [(server.server_id, server.boot, server.disk) for server in seen] == [("server-1", 1, 1)]
    process.agent.remove_server("server-1")
    assert process.agent.observe().servers == ()


def test_bad_settings_are_told_in_a_sentence(tmp_path):
    (tmp_path / "settings.json").write_text('{"drivr": "fake"}')
    done = subprocess.run(
        [sys.executable, "-m", "gureum.roles.agent", "--host", "h", "--state", str(tmp_path / "s"), "--bus", "unix:/x",
         "--settings", str(tmp_path / "settings.json")],
        env={**os.environ, "PYTHONPATH": "src"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "drivr" in done.stderr
    assert "Traceback" not in done.stderr
