"""The agent's process over real engines: libvirt runs the machine, Open vSwitch holds its port and its metadata."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import msgspec
import pytest
from tests.contracts import hypervisor_lab
from tests.contracts.agent_hosts import eventually

from gureum.agents.hypervisor.protocol import GuestData, ImageSource, NicSpec, ServerSpec
from gureum.agents.hypervisor.remote import listen_to_agents, remote_agent
from gureum.foundation.bus.open import open_bus

# The lab lets go of its daemons, which end with their namespaces.
pytestmark = [
    pytest.mark.engines,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
PSS_LIMIT_KIB = 35 << 10
SERVER = str(uuid.uuid4())
NETWORK = str(uuid.uuid4())
PORT = str(uuid.uuid4())
SOURCE = Path(__file__).parents[2] / "src"


class Events:
    def __init__(self):
        self.beats = []
        self.changes = []

    def heartbeat(self, observed):
        self.beats.append(observed)

    def server_changed(self, host, observed):
        self.changes.append(observed)


class Host:
    """The agent's process inside a lab's namespaces; the control plane's end of the bus outside."""

    def __init__(self, lab):
        self.lab = lab
        self.folder = lab.folder / "agent"
        self.folder.mkdir()
        settings = {"datapath": "netdev", "heartbeat_s": 0.5, "prefix": "agt", "patience_s": 0.5}
        (self.folder / "settings.json").write_text(json.dumps(settings))
        self.url = f"unix:{self.folder}/bus"
        self.bus = open_bus(self.url, role="control")
        self.events = Events()
        self.stop_listening = listen_to_agents(self.bus, self.events)
        self.agent = remote_agent(self.bus, "host-1")
        self.process = None
        self.image = self._make_image()

    def _make_image(self):
        path = Path(self.lab.boot_disk("image"))
        content = path.read_bytes()
        return ImageSource("image-1", "raw", len(content), hashlib.sha512(content).hexdigest(), str(path))

    def start(self):
        self.events.beats.clear()
        command = [sys.executable, "-m", "gureum.roles.agent", "--host", "host-1", "--state", str(self.folder / "state"),
                   "--bus", self.url, "--settings", str(self.folder / "settings.json")]  # fmt: skip
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                self.lab._inside("env", f"PYTHONPATH={SOURCE}", *command), stdout=log, stderr=log
            )
        try:
            eventually(lambda: self.events.beats, "a heartbeat", 20)
        except AssertionError as error:
            raise AssertionError(self.log()) from error

    def log(self):
        return (self.folder / "log").read_text()[-3000:]

    def agent_pid(self):
        """The agent's process outside: the one that nsenter became or started."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if children else self.process.pid

    def pss_kib(self):
        lines = Path(f"/proc/{self.agent_pid()}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))

    def kill(self, number=signal.SIGKILL):
        subprocess.run(["kill", f"-{int(number)}", str(self.agent_pid())], check=True)
        self.process.wait(15)

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.stop_listening()
        self.bus.close()


@pytest.fixture
def host():
    if hypervisor_lab.missing():
        pytest.skip(hypervisor_lab.missing())
    with hypervisor_lab.Lab() as lab:
        host = Host(lab)
        try:
            host.start()
            yield host
        finally:
            host.close()


def spec_of(host, **changes):
    nic = NicSpec(
        PORT, NETWORK, "fa:16:3e:00:00:01", mtu=1442, fixed_ips=("10.0.0.5",),
        metadata_port_id=str(uuid.uuid4()), metadata_mac="fa:16:3e:00:00:02", metadata_addresses=("10.0.0.2/24",),
    )  # fmt: skip
    spec = ServerSpec(
        SERVER, "instance-1", 1, 64, 1, "running", 1, image=host.image, nics=(nic,), config_drive=True,
        guest=GuestData(meta_data='{"uuid": "1"}'),
    )  # fmt: skip
    return msgspec.structs.replace(spec, **changes)


def test_a_life_on_real_engines(host):
    agent = host.agent
    held = agent.ensure_server(spec_of(host, power="paused"))
    assert (held.power, held.nics, held.problem) == ("paused", (PORT,), ""), host.log()
    assert agent.console_log(SERVER, None) == ""
    assert agent.ensure_server(spec_of(host)).power == "running"
    eventually(lambda: agent.console_log(SERVER, 1) == "boot\n", "the guest speaks")
    assert host.pss_kib() < PSS_LIMIT_KIB
    print("PSS KiB", host.pss_kib())
    assert len(host.lab.run("ovs-vsctl", "list-ports", "br-int").split()) == 2
    assert NETWORK in host.lab.run("ip", "netns", "list")

    pid = host.lab.guest_pid("instance-1")
    host.kill()
    assert Path(f"/proc/{host.lab._init.pid}").exists()
    host.start()
    assert host.lab.guest_pid("instance-1") == pid, "a killed agent stops no guest"
    seen = agent.observe().servers[0]
    assert (seen.power, seen.boot, seen.disk, seen.nics) == ("running", 1, 1, (PORT,))

    eventually(lambda: agent.ensure_server(spec_of(host, boot=2, grace_s=30)).boot == 2, "the guest's own reboot")
    eventually(lambda: agent.console_log(SERVER, None).count("boot") == 2, "the second boot")
    assert agent.ensure_server(spec_of(host, boot=3, disk=2)).disk == 2
    eventually(lambda: agent.console_log(SERVER, None).count("boot") == 3, "the third boot")
    stopped = spec_of(host, boot=3, disk=2, power="stopped", grace_s=30)
    eventually(lambda: agent.ensure_server(stopped).power == "stopped", "the guest's own shutdown")

    agent.remove_server(SERVER)
    assert agent.observe().servers == ()
    assert host.lab.run("ovs-vsctl", "list-ports", "br-int").split() == []
    assert NETWORK not in host.lab.run("ip", "netns", "list")
    assert list((host.folder / "state" / "instances").iterdir()) == []
    host.kill(signal.SIGTERM)


def test_a_guest_that_powers_off_is_told_at_once(host):
    host.agent.ensure_server(spec_of(host))
    eventually(lambda: host.agent.console_log(SERVER, 1) == "boot\n", "the guest speaks")
    host.lab.run("virsh", "qemu-monitor-command", "instance-1", "--hmp", "system_powerdown")
    eventually(lambda: [told.power for told in host.events.changes] == ["stopped"], "the change", 10)
    host.agent.remove_server(SERVER)
