"""Hosts for the agent's contract suite: the real agent over the fake hypervisor, and the simulated one.

Both look alike to a test: `agent`, `restart`, and what a guest or an engine does by itself.
"""

from __future__ import annotations

import hashlib
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable

from gureum.agents.hypervisor.agent import Agent, AgentOptions
from gureum.agents.hypervisor.protocol import ImageSource
from gureum.agents.hypervisor.remote import remote_agent, serve_agent
from gureum.agents.hypervisor.simulated import SimulatedHosts, World
from gureum.agents.metadata.wiring import LoopbackWiring


def eventually(check: Callable[[], object], what: str, limit_s: float = 15.0) -> None:
    """Wait until `check()` is true; fail with `what` after the limit."""
    deadline = time.monotonic() + limit_s
    while not check():
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}"
        time.sleep(0.02)


def make_image(path, *more) -> ImageSource:
    """A small, sound qcow2 image of 3 MiB; `more` words for qemu-img may make it unsound."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *more, str(path), "3M"], check=True)
    content = path.read_bytes()
    return ImageSource("image-1", "qcow2", len(content), hashlib.sha512(content).hexdigest(), str(path))


class Host:
    """What both kinds share: the agent may be reached directly or over a bus."""

    name = "host-1"

    def __init__(self):
        self._bus = None
        self._stop_serving = None
        self.direct = None

    @property
    def agent(self):
        return self.direct if self._bus is None else remote_agent(self._bus, self.name)

    def put_behind(self, bus):
        self._bus = bus
        self._stop_serving = serve_agent(bus, self.name, self.direct)

    def restart(self):
        if self._stop_serving is not None:
            self._stop_serving()
        self.replace_agent()
        if self._bus is not None:
            self.put_behind(self._bus)

    def close(self):
        if self._bus is not None:
            self._stop_serving()
            self._bus.close()


class CountingDriver:
    """The fake driver with its starts counted, and a place to be interrupted at."""

    def __init__(self, inner):
        self.inner = inner
        self.starts = Counter()
        self.before_call = lambda name: None
        self.after_call = lambda name: None

    def __getattr__(self, name):
        method = getattr(self.inner, name)

        def call(*arguments, **named):
            self.before_call(name)
            if name == "start":
                state = self.inner.machines().get(arguments[0])
                if state is None or state.power not in {"running", "paused"}:
                    self.starts[arguments[0]] += 1
            answer = method(*arguments, **named)
            self.after_call(name)
            return answer

        return call


class RealHost(Host):
    """The real agent on a folder, over the fake hypervisor driver and loopback wiring."""

    def __init__(self, folder, image, **options):
        super().__init__()
        from gureum.drivers.hypervisor.fake import FakeHypervisor

        self.folder = folder
        self.image = image
        self.fake = FakeHypervisor()
        self.driver = CountingDriver(self.fake)
        self.wiring = LoopbackWiring()
        self.options = {"answer_s": 10.0, "patience_s": 0.3, "upkeep_s": 0.5, **options}
        self._listening = None
        self.replace_agent()

    def replace_agent(self):
        self.stop_agent()
        self.direct = Agent(self.driver, self.folder, self.wiring, AgentOptions(self.name, **self.options))

    def stop_agent(self):
        if self.direct is not None:
            self.direct.stop()
            self.direct = None

    def report(self, events, heartbeat_s):
        self.options["heartbeat_s"] = heartbeat_s
        self.replace_agent()
        self.direct.report(events)

    def starts(self, server_id):
        return self.driver.starts[server_id]

    def change_power(self, server_id, power):
        if power == "crashed":
            self.fake.die(server_id)
        else:
            self.fake.power_off_from_inside(server_id)

    def set_deaf(self, server_id):
        """Let the guest ignore the power button."""
        self.fake.deaf.add(server_id)

    def write_console(self, server_id, *lines):
        with (self.folder / "instances" / server_id / "console.log").open("a") as log:
            log.writelines(line + "\n" for line in lines)

    def copies(self, server_id):
        """The ids of copies of the server's disk, whole or not."""
        folder = self.folder / "instances" / server_id
        return {path.name.removeprefix("copy-") for path in folder.glob("copy-*")}

    def leftovers(self):
        kept = [*(self.folder / "servers").iterdir(), *(self.folder / "instances").iterdir()]
        return [str(path) for path in kept] + list(self.fake.machines()) + sorted(self.wiring.existing())

    def close(self):
        super().close()
        self.stop_agent()


class SimulatedHost(Host):
    """One of the hosts in memory. Its `restart` forgets nothing: it has no process to kill."""

    name = "host1"

    def __init__(self, _folder, image):
        super().__init__()
        self.image = image
        self.hosts = SimulatedHosts(1)
        self.replace_agent()
        self._stop_beating = lambda: None
        self._lock = threading.Lock()

    def replace_agent(self):
        self.direct = self.hosts[self.name]

    def report(self, events, heartbeat_s):
        before = self.direct
        self.hosts = SimulatedHosts(1, World(events=events))
        assert not before.observe().servers
        self.replace_agent()
        self._stop_beating = self.hosts.keep_beating(events.heartbeat, heartbeat_s)

    def starts(self, server_id):
        return self.direct.starts(server_id)

    def change_power(self, server_id, power):
        self.direct.change_power(server_id, power)

    def write_console(self, server_id, *lines):
        self.direct.write_console(server_id, *lines)

    def leftovers(self):
        return []

    def copies(self, server_id):
        return self.direct.copies(server_id)

    def close(self):
        self._stop_beating()
        super().close()
