"""Hosts that exist only in memory: the whole protocol, a thousand of them in one process, with faults on demand.

It decides with the same `rules.py` as the real agent, and has no disks, packets or time: a guest shuts down
as soon as it is asked to. An image whose file it can open is inspected as the real agent does. For
`--simulate`, for scheduling at scale, and for the tests of services.
Invariant: it passes the contract suite of the real agent; one host costs a few hundred bytes and no thread.
A heartbeat tells the same objects until something changes.
Read next: `faults.py`, `protocol.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import msgspec

from gureum.agents.hypervisor.faults import FaultPlan
from gureum.agents.hypervisor.image_cache import NOT_WHAT_IT_SAYS
from gureum.agents.hypervisor.protocol import (
    COPY_PIECE_BYTES,
    PROTOCOL_VERSION,
    AgentEvents,
    DiskCopy,
    HostObserved,
    HostResources,
    ImageSource,
    ObservedPower,
    ServerObserved,
    ServerSpec,
)
from gureum.agents.hypervisor.rules import Action, is_late, next_action, shown_power
from gureum.agents.hypervisor.server_store import Effect
from gureum.agents.hypervisor.uptime import uptime_text
from gureum.drivers.hypervisor.blank_disk import blank_qcow2
from gureum.drivers.image.inspector import inspect_file, mismatch
from gureum.foundation.fleet.failure import AgentFailure

DEFAULT_RESOURCES = HostResources(
    vcpus=64,
    ram_mib=262_144,
    disk_gib=4096,
    hypervisor_type="QEMU",
    hypervisor_version=7_002_000,
    accelerator="none",
    traits=("COMPUTE_ACCELERATORS", "HW_CPU_X86_SSE2"),
)

_CONSOLE_LINES = 400
_BEGAN, _STARTED_AT = time.monotonic(), time.time()


class Plugs(Protocol):
    """Who hears that a guest's port is plugged or not: the fake network driver, usually."""

    def bring_up(self, port_id: str, host: str) -> None: ...

    def bring_down(self, port_id: str) -> None: ...


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(ServerSpec).decode


class _Server:
    """A server that a host holds. Its spec is kept packed: hardly anything reads it again, and thousands are held."""

    __slots__ = ("_packed", "console", "copies", "effect", "password", "plugged", "power", "seen", "starts")

    def __init__(self, spec: ServerSpec) -> None:
        self._packed = _pack(spec)
        self.seen: ServerObserved | None = None
        self.power: ObservedPower = "absent"
        self.effect = Effect()
        self.plugged: tuple[str, ...] = ()
        self.console: list[str] = []
        self.starts = 0
        self.password = ""
        self.copies: frozenset[str] = frozenset()

    @property
    def spec(self) -> ServerSpec:
        return _unpack(self._packed)

    @spec.setter
    def spec(self, spec: ServerSpec) -> None:
        self._packed = _pack(spec)

    def observed(self) -> ServerObserved:
        """As heartbeats tell it; kept as `seen` until something changes."""
        if self.seen is None:
            spec = self.spec
            self.seen = ServerObserved(
                server_id=spec.server_id,
                power=shown_power(spec, self.power),
                boot=self.effect.boot,
                disk=self.effect.disk,
                nics=self.plugged,
                guest_password=self.password,
            )
        return self.seen


@dataclass(slots=True, frozen=True)
class World:
    """What all simulated hosts share."""

    faults: FaultPlan = field(default_factory=FaultPlan)
    plugs: Plugs | None = None
    events: AgentEvents | None = None


class SimulatedAgent:
    """Implements `HypervisorAgent` for one host in memory."""

    __slots__ = ("_lock", "_observed", "_servers", "_world", "host", "resources")

    def __init__(self, host: str, world: World | None = None, resources: HostResources = DEFAULT_RESOURCES) -> None:
        self.host = host
        self.resources = resources
        self._world = world or World()
        self._lock = threading.RLock()
        self._servers: dict[str, _Server] = {}
        self._observed: tuple[ServerObserved, ...] | None = None

    def ensure_server(self, spec: ServerSpec) -> ServerObserved:
        """As the protocol says, without taking time."""
        self._world.faults.meet(self.host, "ensure_server")
        if not spec.server_id:
            raise AgentFailure("server id '' is no id", retry=False)
        with self._lock:
            server = self._servers.get(spec.server_id)
            if server is None:
                server = self._servers[spec.server_id] = _Server(spec)
            elif is_late(spec, server.spec):
                return server.observed()
            else:
                server.spec = spec
            self._touch(server)
            while (action := next_action(spec, server.effect, server.power)) is not None:
                _act(server, spec, action)
            changes = self._replug(server, spec)
            observed = server.observed()
        self._tell_plugs(changes)
        return observed

    def remove_server(self, server_id: str) -> None:
        """As the protocol says."""
        self._world.faults.meet(self.host, "remove_server")
        with self._lock:
            server = self._servers.pop(server_id, None)
            self._observed = None
        if server is not None:
            self._tell_plugs([(port_id, False) for port_id in server.plugged])

    def observe(self) -> HostObserved:
        """As the protocol says."""
        self._world.faults.meet(self.host, "observe")
        with self._lock:
            if self._observed is None:
                self._observed = tuple(self._servers[server_id].observed() for server_id in sorted(self._servers))
            servers = self._observed
        uptime = uptime_text(time.localtime(), time.monotonic() - _BEGAN, 0, (0.0, 0.0, 0.0))
        return HostObserved(self.host, PROTOCOL_VERSION, self.resources, servers, uptime, started_at=_STARTED_AT)

    def console_log(self, server_id: str, lines: int | None) -> str:
        """As the protocol says."""
        self._world.faults.meet(self.host, "console_log")
        with self._lock:
            server = self._servers.get(server_id)
            kept = list(server.console) if server is not None else []
        if lines is not None:
            kept = kept[-lines:] if lines > 0 else []
        return "".join(line + "\n" for line in kept)

    def guest_password(self, server_id: str) -> str:
        """As the protocol says."""
        self._world.faults.meet(self.host, "guest_password")
        server = self._servers.get(server_id)
        return "" if server is None else server.password

    def forget_guest_password(self, server_id: str) -> None:
        """As the protocol says."""
        self._world.faults.meet(self.host, "guest_password")
        self.post_password(server_id, "")

    def post_password(self, server_id: str, password: str) -> None:
        """Let the guest post a password for its owner; nothing for a server that is not here."""
        with self._lock:
            server = self._servers.get(server_id)
            if server is not None:
                self._touch(server)
                server.password = password

    def copy_disk(self, server_id: str, copy_id: str) -> DiskCopy:
        """As the protocol says, at once: an empty disk of the server's size."""
        self._world.faults.meet(self.host, "copy_disk")
        with self._lock:
            server = self._servers.get(server_id)
            if server is None:
                raise AgentFailure(f"server {server_id} has no root disk here", retry=False)
            server.copies |= {copy_id}
            return DiskCopy(whole=True, size_bytes=len(_copied(server)))

    def read_copy(self, server_id: str, copy_id: str, offset: int) -> bytes:
        """As the protocol says."""
        self._world.faults.meet(self.host, "read_copy")
        with self._lock:
            server = self._servers.get(server_id)
            if server is None or copy_id not in server.copies:
                raise AgentFailure(f"server {server_id} has no copy {copy_id} here", retry=False)
            return _copied(server)[offset : offset + COPY_PIECE_BYTES]

    def drop_copy(self, server_id: str, copy_id: str) -> None:
        """As the protocol says."""
        self._world.faults.meet(self.host, "drop_copy")
        with self._lock:
            server = self._servers.get(server_id)
            if server is not None:
                server.copies -= {copy_id}

    def copies(self, server_id: str) -> set[str]:
        """The ids of the copies that nobody dropped yet."""
        server = self._servers.get(server_id)
        return set() if server is None else set(server.copies)

    def change_power(self, server_id: str, power: ObservedPower) -> None:
        """Let the guest do something by itself: power off ("stopped"), crash, or vanish ("absent")."""
        with self._lock:
            server = self._servers[server_id]
            self._touch(server)
            server.power = power
            changes = self._replug(server, server.spec)
            observed = server.observed()
        self._tell_plugs(changes)
        if self._world.events is not None:
            self._world.events.server_changed(self.host, observed)

    def write_console(self, server_id: str, *lines: str) -> None:
        """Let the guest print lines on its serial console."""
        with self._lock:
            for line in lines:
                _print(self._servers[server_id], line)

    def starts(self, server_id: str) -> int:
        """How often the server's machine was started since it was created here."""
        with self._lock:
            server = self._servers.get(server_id)
            return 0 if server is None else server.starts

    def _touch(self, server: _Server) -> None:
        """Something of the server is about to change, under the lock: what heartbeats tell is made anew."""
        self._observed = server.seen = None

    def _replug(self, server: _Server, spec: ServerSpec) -> list[tuple[str, bool]]:
        """Make what is plugged match; the changes to tell, which is done without the lock."""
        on = server.power in {"running", "paused"}
        wanted = tuple(nic.port_id for nic in spec.nics) if on else ()
        before, server.plugged = server.plugged, wanted
        gone = [(port_id, False) for port_id in before if port_id not in wanted]
        return gone + [(port_id, True) for port_id in wanted if port_id not in before]

    def _tell_plugs(self, changes: list[tuple[str, bool]]) -> None:
        plugs = self._world.plugs
        if plugs is None:
            return
        for port_id, up in changes:
            if up:
                plugs.bring_up(port_id, self.host)
            else:
                plugs.bring_down(port_id)


class SimulatedHosts:
    """`count` hosts named `<prefix>1`, `<prefix>2`, ... that share a world."""

    def __init__(
        self,
        count: int,
        world: World | None = None,
        *,
        prefix: str = "host",
        resources: HostResources = DEFAULT_RESOURCES,
    ) -> None:
        self.world = world or World()
        self.agents = {
            name: SimulatedAgent(name, self.world, resources)
            for name in (f"{prefix}{number}" for number in range(1, count + 1))
        }

    def __getitem__(self, host: str) -> SimulatedAgent:
        return self.agents[host]

    def __iter__(self) -> Iterator[str]:
        return iter(self.agents)

    def __len__(self) -> int:
        return len(self.agents)

    def beat(self, heard: Callable[[HostObserved], None]) -> None:
        """One heartbeat of every host; a host with a fault on "observe" stays silent."""
        for agent in self.agents.values():
            _beat(agent, heard)

    def keep_beating(self, heard: Callable[[HostObserved], None], heartbeat_s: float = 2.0) -> Callable[[], None]:
        """Beat for all hosts from one thread, spread over the interval; returns a stop function."""
        stopping = threading.Event()

        def run() -> None:
            slices = [list(self.agents.values())[start::10] for start in range(10)]
            while True:
                for agents in slices:
                    if stopping.wait(heartbeat_s / len(slices)):
                        return
                    for agent in agents:
                        _beat(agent, heard)

        thread = threading.Thread(target=run, name="simulated-heartbeats", daemon=True)
        self.beat(heard)
        thread.start()

        def stop() -> None:
            stopping.set()
            thread.join(timeout=5)

        return stop


def _beat(agent: SimulatedAgent, heard: Callable[[HostObserved], None]) -> None:
    try:
        observed = agent.observe()
    except AgentFailure:
        return
    heard(observed)


def _act(server: _Server, spec: ServerSpec, action: Action) -> None:
    match action:
        case "stop":
            server.power = "stopped"
            _print(server, "reboot: Power down")
        case "make_disks":
            _refuse_unless_sound(spec.image)
            server.effect = Effect(server.effect.boot, spec.disk)
        case "define":
            server.power = "stopped"
            server.effect = Effect(spec.boot, server.effect.disk)
        case "start":
            server.power = "paused" if spec.power == "paused" else "running"
            server.starts += 1
            server.effect = Effect(spec.boot, server.effect.disk)
            if server.power == "running":
                _boot(server, spec)
        case "pause":
            server.power = "paused"
        case "resume":
            server.power = "running"
            _boot(server, spec)


def _refuse_unless_sound(image: ImageSource | None) -> None:
    """Raises AgentFailure for an image that a real host refuses."""
    problem = _problem_of(image.path, image.disk_format) if image is not None and image.path else ""
    if problem:
        raise AgentFailure(f"the image is refused: {problem}", public=NOT_WHAT_IT_SAYS, retry=False)


@lru_cache(maxsize=1024)
def _problem_of(path: str, disk_format: str) -> str:
    """An image's file is never written again, so it is read once. One that is not on this machine is let be."""
    try:
        found = inspect_file(Path(path))
    except OSError:
        return ""
    return "; ".join(found.problems) or mismatch(disk_format, found) or ""


def _boot(server: _Server, spec: ServerSpec) -> None:
    _print(server, f"[    0.000000] simulated guest, boot {server.effect.boot}, {spec.vcpus} vCPU")
    _print(server, f"[    0.100000] {len(spec.nics)} network interfaces")
    _print(server, f"{spec.name} login: ")


def _print(server: _Server, line: str) -> None:
    server.console.append(line)
    del server.console[:-_CONSOLE_LINES]


def _copied(server: _Server) -> bytes:
    return blank_qcow2(max(server.spec.root_gib, 1) << 30)
