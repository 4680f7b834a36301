"""A hypervisor in memory: what `LibvirtDriver` promises, with guests that obey at once and cost a few objects.

It runs no code and writes no console; the only files that it writes are copies of disks, which are empty. A thousand of
them fit in one process. Invariant: it passes `tests/contracts/test_hypervisor.py`, the same suite as the real driver.
Beyond the interface it lets a test play the outside world: `die` and `power_off_from_inside` for a guest that changes
by itself, `deaf` for guests that ignore the power button, and `before`, called with method and server id ahead of every
change, which may raise.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from gureum.drivers.hypervisor.blank_disk import blank_qcow2
from gureum.drivers.hypervisor.interface import (
    Capabilities,
    HypervisorError,
    Machine,
    MachineIsOff,
    MachineNotFound,
    MachineState,
    Nic,
    Power,
)

_log = logging.getLogger(__name__)

_DEFAULT_CAPABILITIES = Capabilities(
    vcpus=64,
    ram_mib=262_144,
    disk_gib=4_096,
    hypervisor_type="QEMU",
    hypervisor_version=7_002_000,
    accelerator="none",
    traits=(
        "COMPUTE_NODE",
        "COMPUTE_ARCH_X86_64",
        "COMPUTE_FIRMWARE_BIOS",
        "COMPUTE_IMAGE_TYPE_QCOW2",
        "COMPUTE_IMAGE_TYPE_RAW",
        "COMPUTE_NET_ATTACH_INTERFACE",
        "COMPUTE_NET_VIF_MODEL_VIRTIO",
        "COMPUTE_STORAGE_BUS_VIRTIO",
        "HW_ARCH_X86_64",
        "HW_CPU_X86_SSE42",
    ),
    cpu_info='{"arch": "x86_64", "model": "fake", "vendor": "", "topology": {}, "features": ["sse4.2"]}',
)

_COPIED_BYTES = 1 << 20


@dataclass(slots=True)
class _Known:
    """`defined` is what the next start takes; `live` is what runs, None when the machine is off."""

    defined: Machine
    live: Machine | None = None
    power: Power = "stopped"
    copying_to: str = ""


@cache
def _reporter() -> ThreadPoolExecutor:
    """One thread for all fakes: watchers are called from another thread than the driver's caller, as in reality."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="fake-hypervisor-watch")


class FakeHypervisor:
    """Implements `interface.Hypervisor` and `DiskCopier`; threads may share one."""

    def __init__(self, offered: Capabilities = _DEFAULT_CAPABILITIES) -> None:
        self._offered = offered
        self._guard = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._watchers: list[Callable[[str], None]] = []
        self.deaf: set[str] = set()
        self.before: Callable[[str, str], None] | None = None

    def capabilities(self) -> Capabilities:
        """What the constructor was given."""
        return self._offered

    def machines(self, only: str | None = None) -> dict[str, MachineState]:
        """Every machine, as it runs or as it is defined."""
        with self._guard:
            known = self._known.items()
            return {server_id: _state(one) for server_id, one in known if only in (None, server_id)}

    def define(self, machine: Machine) -> None:
        """Keep the definition for the next start."""
        self._announce("define", machine.server_id)
        with self._guard:
            known = self._known.setdefault(machine.server_id, _Known(machine))
            known.defined = machine

    def start(self, server_id: str, paused: bool = False) -> None:
        """Power on from the definition; a machine that is on is left as it is."""
        self._announce("start", server_id)
        with self._guard:
            known = self._find(server_id)
            if known.live is None:
                known.live, known.power = known.defined, "paused" if paused else "running"

    def resume(self, server_id: str) -> None:
        """Let a paused machine run. Raises HypervisorError when it is off."""
        self._announce("resume", server_id)
        self._set_power(server_id, "running")

    def pause(self, server_id: str) -> None:
        """Hold a running machine. Raises HypervisorError when it is off."""
        self._announce("pause", server_id)
        self._set_power(server_id, "paused")

    def shutdown(self, server_id: str) -> None:
        """Press the power button: a guest that runs and is not deaf powers off, and watchers hear of it."""
        self._announce("shutdown", server_id)
        with self._guard:
            known = self._find(server_id)
            obeys = known.power == "running" and server_id not in self.deaf
        if obeys:
            self.power_off_from_inside(server_id)

    def power_off(self, server_id: str) -> None:
        """Power off at once."""
        self._announce("power_off", server_id)
        with self._guard:
            known = self._find(server_id)
            if known.live is not None:
                known.live, known.power = None, "stopped"

    def remove(self, server_id: str) -> None:
        """Forget the machine."""
        self._announce("remove", server_id)
        with self._guard:
            self._known.pop(server_id, None)
            self.deaf.discard(server_id)

    def attach_nic(self, server_id: str, nic: Nic) -> None:
        """Plug into the definition and into what runs."""
        self._announce("attach_nic", server_id)
        with self._guard:
            known = self._find(server_id)
            known.defined = _plugged(known.defined, nic)
            if known.live is not None:
                known.live = _plugged(known.live, nic)

    def detach_nic(self, server_id: str, port_id: str) -> None:
        """Unplug; the guest lets go at once."""
        self._announce("detach_nic", server_id)
        with self._guard:
            known = self._find(server_id)
            known.defined = _unplugged(known.defined, port_id)
            if known.live is not None:
                known.live = _unplugged(known.live, port_id)

    def copy_disk(self, server_id: str, source: str, target: str) -> bool:
        """Begun by one call and whole at the next."""
        self._announce("copy_disk", server_id)
        with self._guard:
            known = self._find(server_id)
            if known.live is None:
                known.copying_to = ""
                raise MachineIsOff(f"machine {server_id} is off")
            if source not in {disk.source for disk in known.live.disks}:
                raise HypervisorError(f"machine {server_id} has no disk {source}")
            begun, known.copying_to = known.copying_to == target, target
            if begun:
                known.copying_to = ""
        if begun:
            Path(target).write_bytes(blank_qcow2(_COPIED_BYTES))
        return begun

    def abort_copy(self, server_id: str, target: str) -> None:
        """Forget the copy that was begun."""
        self._announce("abort_copy", server_id)
        with self._guard:
            known = self._known.get(server_id)
            if known is not None and known.copying_to == target:
                known.copying_to = ""

    def watch(self, on_change: Callable[[str], None]) -> Callable[[], None]:
        """Report what `die`, `power_off_from_inside` and an obeyed power button change."""
        with self._guard:
            self._watchers.append(on_change)

        def stop() -> None:
            with self._guard:
                if on_change in self._watchers:
                    self._watchers.remove(on_change)

        return stop

    def die(self, server_id: str) -> None:
        """The guest's process ends by itself; nothing happens to a machine that is off."""
        self._change_by_itself(server_id, "crashed")

    def power_off_from_inside(self, server_id: str) -> None:
        """The guest powers itself off; nothing happens to a machine that is off."""
        self._change_by_itself(server_id, "stopped")

    def _change_by_itself(self, server_id: str, power: Power) -> None:
        with self._guard:
            known = self._find(server_id)
            if known.live is None:
                return
            known.live, known.power = None, power
            watchers = list(self._watchers)
        for watcher in watchers:
            _reporter().submit(self._tell, watcher, server_id)

    def _tell(self, watcher: Callable[[str], None], server_id: str) -> None:
        with self._guard:
            if watcher not in self._watchers:
                return
        try:
            watcher(server_id)
        except Exception:
            _log.exception("a watcher failed for server %s", server_id)

    def _set_power(self, server_id: str, wanted: Power) -> None:
        with self._guard:
            known = self._find(server_id)
            if known.live is None:
                raise HypervisorError(f"machine {server_id} is {known.power}: it cannot become {wanted} before a start")
            known.power = wanted

    def _find(self, server_id: str) -> _Known:
        try:
            return self._known[server_id]
        except KeyError:
            raise MachineNotFound(f"no machine {server_id} on this host") from None

    def _announce(self, method: str, server_id: str) -> None:
        if self.before is not None:
            self.before(method, server_id)


def _state(known: _Known) -> MachineState:
    machine = known.live or known.defined
    return MachineState(
        server_id=machine.server_id,
        power=known.power,
        nics=tuple(nic.port_id for nic in machine.nics),
        disks=tuple(disk.source for disk in machine.disks),
        vcpus=machine.vcpus,
        ram_mib=machine.ram_mib,
    )


def _plugged(machine: Machine, nic: Nic) -> Machine:
    if any(each.port_id == nic.port_id for each in machine.nics):
        return machine
    return replace(machine, nics=(*machine.nics, nic))


def _unplugged(machine: Machine, port_id: str) -> Machine:
    return replace(machine, nics=tuple(each for each in machine.nics if each.port_id != port_id))
