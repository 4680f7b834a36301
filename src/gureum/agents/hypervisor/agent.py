"""The real agent: makes this host's servers what the control plane wants, and tells it what is.

It has no database and no opinion: wanted comes in whole specs, observed goes out. It runs its host's metadata too.
Invariants: calls for one server take turns, calls for different servers never wait for one another; stopping or
killing the agent stops no guest; a new agent on the same folder goes on where the old one was.
Read next: `pursuit.py` (the steps), `lanes.py` (the turns), `reporter.py` (what it tells unasked).
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path

from gureum.agents.hypervisor import console
from gureum.agents.hypervisor.disk_copies import DiskCopies
from gureum.agents.hypervisor.disks import DiskFolder
from gureum.agents.hypervisor.files import is_safe_name
from gureum.agents.hypervisor.image_cache import ImageCache
from gureum.agents.hypervisor.lanes import Goal, Lanes, Turn
from gureum.agents.hypervisor.protocol import (
    PROTOCOL_VERSION,
    AgentEvents,
    DiskCopy,
    HostObserved,
    HostResources,
    ServerObserved,
    ServerSpec,
)
from gureum.agents.hypervisor.pursuit import Pursuit
from gureum.agents.hypervisor.rbd_fetch import CephAccess
from gureum.agents.hypervisor.reporter import Reporter
from gureum.agents.hypervisor.rules import is_late, shown_power
from gureum.agents.hypervisor.server_store import ServerStore, essence
from gureum.agents.hypervisor.tools import Limits
from gureum.agents.hypervisor.uptime import uptime_now
from gureum.agents.metadata.service import MetadataService
from gureum.agents.metadata.wiring import Wiring
from gureum.drivers.hypervisor.interface import HypervisorDriver, HypervisorError, MachineState
from gureum.foundation.fleet.failure import AgentFailure

_log = logging.getLogger("gureum.agents.hypervisor")

_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """What an operator may turn; seconds and hours.

    `answer_s` bounds how long a call waits for work, `patience_s` how long it then waits for a guest's own
    shutdown, before it answers with what is true so far. `image_store` is the only folder that images are taken
    from by path; None: from anywhere. `ceph` opens images that are in a Ceph pool; None: none are taken.
    """

    host: str
    host_ip: str = "127.0.0.1"
    answer_s: float = 25.0
    patience_s: float = 3.0
    heartbeat_s: float = 2.0
    upkeep_s: float = 10.0
    unused_image_hours: float = 24.0
    convert_limits: Limits = field(default_factory=Limits)
    image_store: Path | None = None
    ceph: CephAccess | None = None


class Agent:
    """Implements `HypervisorAgent` over a hypervisor driver, a state folder and a metadata wiring."""

    def __init__(self, driver: HypervisorDriver, folder: Path, wiring: Wiring, options: AgentOptions) -> None:
        self._driver = driver
        self._options = options
        self._store = ServerStore(folder / "servers")
        self._images = ImageCache(folder / "images", options.convert_limits, options.image_store, options.ceph)
        self._disks = DiskFolder(folder / "instances", self._images)
        self._metadata = MetadataService(self._store, wiring)
        self._lanes: Lanes[ServerSpec | None] = Lanes(self._run, same=_same, wins=_wins, ended=self._ended)
        self._copies = DiskCopies(driver, self._disks, self._lanes.busy)
        self._pursuit = Pursuit(driver, self._store, self._disks, self._copies, self._metadata)
        self._problems: dict[str, str] = {}
        self._reporter: Reporter | None = None
        self._stop_watching = driver.watch(self._power_changed)
        self._metadata_whole = False
        self._stopping = threading.Event()
        self._upkeep = threading.Thread(target=self._keep_up, name="upkeep", daemon=True)
        self._upkeep.start()

    def ensure_server(self, spec: ServerSpec) -> ServerObserved:
        """As the protocol says."""
        if not is_safe_name(spec.server_id):
            raise AgentFailure(f"server id {spec.server_id!r} is no id", retry=False)
        known = self._store.spec(spec.server_id)
        if known is not None and is_late(spec, known):
            _log.info("server %s: a late call for boot %d is ignored", spec.server_id, spec.boot)
            return self.observe_server(spec.server_id)
        goal = self._lanes.pursue(spec.server_id, spec)
        self._wait(goal)
        return self.observe_server(spec.server_id)

    def remove_server(self, server_id: str) -> None:
        """As the protocol says."""
        if is_safe_name(server_id):
            self._wait(self._lanes.pursue(server_id, None))

    def observe(self) -> HostObserved:
        """As the protocol says. It takes as long as the engine does: heartbeats are made of `reporter.py`'s parts."""
        resources, servers = self.measure_resources(), self.observe_servers()
        return HostObserved(self._options.host, PROTOCOL_VERSION, resources, servers, uptime_now())

    def observe_servers(self) -> tuple[ServerObserved, ...]:
        """Every server that is known, defined, or has files. Raises AgentFailure."""
        machines = self._machines()
        ids = {*machines, *self._store.ids(), *self._store.unreadable, *self._disks.ids()}
        return tuple(self._observed(server_id, machines.get(server_id)) for server_id in sorted(ids))

    def observe_server(self, server_id: str) -> ServerObserved:
        """One server as it is now; power "absent" when there is none. Raises AgentFailure."""
        return self._observed(server_id, self._machines().get(server_id))

    def console_log(self, server_id: str, lines: int | None) -> str:
        """As the protocol says."""
        if not is_safe_name(server_id):
            return ""
        try:
            return console.read_last(self._disks.of(server_id).console_log, lines)
        except OSError as error:
            raise AgentFailure(f"console log of {server_id}: {error}") from error

    def guest_password(self, server_id: str) -> str:
        """As the protocol says."""
        return self._store.password(server_id)

    def forget_guest_password(self, server_id: str) -> None:
        """As the protocol says."""
        try:
            self._store.forget_password(server_id)
        except OSError as error:
            raise AgentFailure(f"password of {server_id}: {error}") from error

    def copy_disk(self, server_id: str, copy_id: str) -> DiskCopy:
        """As the protocol says."""
        return self._copies.make(server_id, copy_id, self._options.patience_s)

    def read_copy(self, server_id: str, copy_id: str, offset: int) -> bytes:
        """As the protocol says."""
        return self._copies.read(server_id, copy_id, offset)

    def drop_copy(self, server_id: str, copy_id: str) -> None:
        """As the protocol says."""
        self._copies.drop(server_id, copy_id)

    def metadata_networks(self) -> set[str]:
        """The networks in which this host answers for metadata now."""
        return self._metadata.networks()

    def report(self, events: AgentEvents) -> None:
        """Send heartbeats and changes to `events` from now on."""
        self._reporter = Reporter(self, events, self._options.host, self._options.heartbeat_s)

    def stop(self) -> None:
        """End the agent's threads and sockets. Guests, their wiring and their disks stay as they are."""
        self._stop_watching()
        if self._reporter is not None:
            self._reporter.stop()
        self._stopping.set()
        self._lanes.stop(_STOP_S)
        self._copies.stop()
        self._upkeep.join(timeout=_STOP_S)
        self._metadata.stop()

    def _run(self, server_id: str, turn: Turn[ServerSpec | None]) -> None:
        spec = turn.wish
        try:
            if spec is None:
                self._pursuit.remove(server_id)
            else:
                self._pursuit.ensure(spec, turn)
        except AgentFailure as failure:
            _log.warning("server %s: %s", server_id, failure)
            self._problems[server_id] = str(failure)
            raise
        self._problems.pop(server_id, None)

    def _wait(self, goal: Goal[ServerSpec | None]) -> None:
        done = self._lanes.wait(goal, work_s=self._options.answer_s, guest_s=self._options.patience_s)
        if not done and not goal.waits_for_guest:
            raise AgentFailure(f"still at work after {self._options.answer_s:g} s; it goes on")
        if goal.failure is not None:
            if isinstance(goal.failure, AgentFailure):
                raise goal.failure
            raise AgentFailure(f"{type(goal.failure).__name__}: {goal.failure}") from goal.failure

    def _ended(self, server_id: str) -> None:
        if self._reporter is not None:
            self._reporter.changed(server_id)

    def _power_changed(self, server_id: str) -> None:
        # While a lane is at work, its caller hears of the change by the answer.
        if self._lanes.busy(server_id):
            self._lanes.stir(server_id)
        else:
            self._ended(server_id)

    def _machines(self) -> dict[str, MachineState]:
        try:
            return self._driver.machines()
        except HypervisorError as error:
            raise AgentFailure(f"hypervisor: {error}") from error

    def _observed(self, server_id: str, state: MachineState | None) -> ServerObserved:
        effect = self._store.effect(server_id)
        return ServerObserved(
            server_id=server_id,
            power=shown_power(self._store.spec(server_id), "absent" if state is None else state.power),
            boot=effect.boot,
            disk=effect.disk,
            nics=() if state is None else state.nics,
            problem=self._problem(server_id),
            guest_password=self._store.password(server_id),
        )

    def _problem(self, server_id: str) -> str:
        if server_id in self._store.unreadable:
            return self._store.unreadable[server_id]
        known = self._store.spec(server_id) is not None
        # A machine or files that nobody asked for here: the control plane decides what becomes of them.
        return self._problems.get(server_id, "" if known or self._lanes.busy(server_id) else "unknown")

    def measure_resources(self) -> HostResources:
        """What the host can give now. Raises AgentFailure."""
        try:
            found = self._driver.capabilities()
        except HypervisorError as error:
            raise AgentFailure(f"hypervisor: {error}") from error
        return HostResources(
            vcpus=found.vcpus,
            ram_mib=found.ram_mib,
            disk_gib=found.disk_gib,
            hypervisor_type=found.hypervisor_type,
            hypervisor_version=found.hypervisor_version,
            accelerator=found.accelerator,
            traits=found.traits,
            cpu_info=found.cpu_info,
            host_ip=self._options.host_ip,
        )

    def _keep_up(self) -> None:
        rounds = 0
        while True:
            try:
                self.keep_up(rounds)
            except Exception:
                _log.exception("upkeep")
            rounds += 1
            if self._stopping.wait(self._options.upkeep_s):
                return

    def keep_up(self, rounds: int = 0) -> None:
        """Bound the console logs; now and then mend the metadata wiring and drop unused images."""
        if rounds % 6 == 0 or not self._metadata_whole:
            self._metadata_whole = self._metadata.reconcile()
        for server_id in self._disks.ids():
            console.trim(self._disks.of(server_id).console_log)
        if rounds % 60 == 0:
            unused_s = self._options.unused_image_hours * 3600
            self._copies.sweep(unused_s)
            for image_id in self._images.sweep(self._disks.bases_in_use(), unused_s):
                _log.info("image %s is not used here any more", image_id)


def _same(running: ServerSpec | None, wish: ServerSpec | None) -> bool:
    if running is None or wish is None:
        return running is wish
    return essence(running) == essence(wish)


def _wins(held: ServerSpec | None, wish: ServerSpec | None) -> bool:
    """Whether what is held outlives a newer wish: a removal always does, a newer boot outlives a late call."""
    return held is None or (wish is not None and is_late(wish, held))
