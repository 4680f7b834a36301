"""A hypervisor in memory, for `--simulate` and for tests. No guest runs.

It refuses what the real engine refuses, and lets a test play the guest: `change_power` (a guest that powers
itself off, or crashes) and `set_deaf` (a guest that ignores the power button).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gureum.drivers.hypervisor.interface import (
    Capabilities,
    HypervisorError,
    Machine,
    MachineNotFound,
    MachineState,
    Nic,
    Power,
)


@dataclass(slots=True)
class _Kept:
    """A definition, what it was at the last start, and the power now."""

    machine: Machine
    running: Machine | None = None
    power: Power = "stopped"
    nics: dict[str, Nic] = field(default_factory=dict)


class FakeHypervisor:
    """A Hypervisor whose engine is this object's own dictionary."""

    def __init__(self, capabilities: Capabilities | None = None) -> None:
        self._capabilities = capabilities or Capabilities(
            vcpus=64,
            ram_mib=262_144,
            disk_gib=4096,
            hypervisor_type="fake",
            hypervisor_version=1_000_000,
            accelerator="none",
            traits=("COMPUTE_NODE",),
        )
        self._lock = threading.RLock()
        self._kept: dict[str, _Kept] = {}
        self._deaf: set[str] = set()
        self._watchers: list[Callable[[str], None]] = []

    def capabilities(self) -> Capabilities:
        return self._capabilities

    def machines(self) -> dict[str, MachineState]:
        with self._lock:
            return {server_id: _state(server_id, kept) for server_id, kept in self._kept.items()}

    def define(self, machine: Machine) -> None:
        with self._lock:
            kept = self._kept.get(machine.server_id)
            if kept is None:
                self._kept[machine.server_id] = _Kept(machine)
            else:
                kept.machine = machine

    def start(self, server_id: str, paused: bool = False) -> None:
        with self._lock:
            kept = self._found(server_id)
            if kept.power in ("running", "paused"):
                return
            kept.running = kept.machine
            kept.nics = {nic.port_id: nic for nic in kept.machine.nics}
            kept.power = "paused" if paused else "running"

    def resume(self, server_id: str) -> None:
        with self._lock:
            kept = self._found(server_id)
            if kept.power in ("stopped", "crashed"):
                raise HypervisorError(f"machine {server_id} is {kept.power}: it cannot be resumed")
            kept.power = "running"

    def pause(self, server_id: str) -> None:
        with self._lock:
            kept = self._found(server_id)
            if kept.power in ("stopped", "crashed"):
                raise HypervisorError(f"machine {server_id} is {kept.power}: it cannot be paused")
            kept.power = "paused"

    def shutdown(self, server_id: str) -> None:
        with self._lock:
            kept = self._found(server_id)
            if kept.power != "running" or server_id in self._deaf:
                return
            self._switch_off(kept, "stopped")
        self._tell(server_id)

    def power_off(self, server_id: str) -> None:
        with self._lock:
            self._switch_off(self._found(server_id), "stopped")

    def remove(self, server_id: str) -> None:
        with self._lock:
            self._kept.pop(server_id, None)
            self._deaf.discard(server_id)

    def attach_nic(self, server_id: str, nic: Nic) -> None:
        with self._lock:
            kept = self._found(server_id)
            others = tuple(n for n in kept.machine.nics if n.port_id != nic.port_id)
            kept.machine = replace(kept.machine, nics=(*others, nic))
            if kept.power in ("running", "paused"):
                kept.nics[nic.port_id] = nic

    def detach_nic(self, server_id: str, port_id: str) -> None:
        with self._lock:
            kept = self._found(server_id)
            left = tuple(nic for nic in kept.machine.nics if nic.port_id != port_id)
            kept.machine = replace(kept.machine, nics=left)
            kept.nics.pop(port_id, None)

    def watch(self, on_change: Callable[[str], None]) -> Callable[[], None]:
        with self._lock:
            self._watchers.append(on_change)

        def stop() -> None:
            with self._lock:
                if on_change in self._watchers:
                    self._watchers.remove(on_change)

        return stop

    # -- playing the guest -------------------------------------------------------------------------------

    def change_power(self, server_id: str, power: Power) -> None:
        """The guest changes its power by itself."""
        with self._lock:
            kept = self._found(server_id)
            if power in ("stopped", "crashed"):
                self._switch_off(kept, power)
            else:
                kept.power = power
        self._tell(server_id)

    def set_deaf(self, server_id: str) -> None:
        """The guest ignores the power button from now on."""
        with self._lock:
            self._deaf.add(server_id)

    # -- inside ------------------------------------------------------------------------------------------

    def _found(self, server_id: str) -> _Kept:
        kept = self._kept.get(server_id)
        if kept is None:
            raise MachineNotFound(f"no machine {server_id} is defined here")
        return kept

    def _switch_off(self, kept: _Kept, power: Power) -> None:
        kept.power, kept.running = power, None
        kept.nics.clear()

    def _tell(self, server_id: str) -> None:
        with self._lock:
            watchers = list(self._watchers)
        for watcher in watchers:
            watcher(server_id)


def _state(server_id: str, kept: _Kept) -> MachineState:
    machine = kept.running or kept.machine
    return MachineState(
        server_id,
        kept.power,
        tuple(kept.nics),
        tuple(disk.serial or disk.source for disk in machine.disks),
        machine.vcpus,
        machine.ram_mib,
    )
