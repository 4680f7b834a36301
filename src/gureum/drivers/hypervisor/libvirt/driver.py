"""The hypervisor interface on libvirt's QEMU driver: each method a few libvirt calls that are safe to repeat.

Not here: the domain's text (`machine_xml.py`), the connection's life (`connection.py`), what is reported to watchers
(`events.py`). Invariants: only domains that carry our metadata are listed or reported; a running guest is never
touched by `define`; what a method was asked for is looked up first, so repeating it changes nothing.
"""

from __future__ import annotations

import contextlib
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element

import libvirt

from gureum.drivers.hypervisor.interface import (
    Capabilities,
    HypervisorError,
    Machine,
    MachineNotFound,
    MachineState,
    Nic,
    Power,
)
from gureum.drivers.hypervisor.libvirt import host, machine_xml
from gureum.drivers.hypervisor.libvirt.acceleration import Accelerator
from gureum.drivers.hypervisor.libvirt.connection import Connection
from gureum.drivers.hypervisor.libvirt.disk_copies import DiskCopies
from gureum.drivers.hypervisor.libvirt.events import PowerEvents

_POWER: dict[int, Power] = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_BLOCKED: "running",
    # The guest is on its way down but its process is still there.
    libvirt.VIR_DOMAIN_SHUTDOWN: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_PMSUSPENDED: "paused",
    libvirt.VIR_DOMAIN_CRASHED: "crashed",
}

_FORGET_ALL = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)

_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
_KEPT = libvirt.VIR_DOMAIN_AFFECT_CONFIG


@dataclass(frozen=True, slots=True)
class LibvirtOptions:
    """How to reach libvirt and what its host is like. An empty `socket_path` means libvirt's own default."""

    accelerator: Accelerator
    userspace_datapath: bool
    instances: Path
    uri: str = "qemu:///system"
    socket_path: str = ""
    integration_bridge: str = "br-int"
    detach_wait_s: float = 10.0

    def address(self) -> str:
        """The URI that libvirt opens."""
        if not self.socket_path:
            return self.uri
        return f"{self.uri.replace('qemu:', 'qemu+unix:', 1)}?socket={quote(self.socket_path)}"


class LibvirtDriver:
    """Implements `interface.Hypervisor` and `DiskCopier`; threads may share one."""

    def __init__(self, options: LibvirtOptions) -> None:
        self._options = options
        self._platform = machine_xml.Platform(
            accelerator=options.accelerator,
            userspace_datapath=options.userspace_datapath,
            integration_bridge=options.integration_bridge,
            uefi=host.find_uefi(),
        )
        self._copies = DiskCopies()
        self._events = PowerEvents(self.machines, self._is_ours)
        self._connection = Connection(options.address(), self._events)

    def close(self) -> None:
        """End the watchers and the connection. Machines are not touched."""
        self._events.close()
        self._connection.close()

    def capabilities(self) -> Capabilities:
        """What the host can give now."""
        return self._connection.call(lambda link: host.capabilities(link, self._platform, self._options.instances))

    def machines(self, only: str | None = None) -> dict[str, MachineState]:
        """Every machine of ours; one that disappears while they are read is left out."""

        def read(link: Any) -> list[MachineState | None]:
            return [_state(domain) for domain in (link.listAllDomains() if only is None else [_domain(link, only)])]

        try:
            found = self._connection.call(read)
        except MachineNotFound:
            return {}
        return {state.server_id: state for state in found if state is not None}

    def define(self, machine: Machine) -> None:
        """Write the persistent definition."""
        self._connection.call(lambda link: self._define(link, machine))

    def start(self, server_id: str, paused: bool = False) -> None:
        """Power on; a machine that is on, paused or not, is left as it is."""
        self._connection.call(lambda link: self._start(_domain(link, server_id), paused))

    def resume(self, server_id: str) -> None:
        """Let a paused machine run. Raises HypervisorError when it is off."""
        self._connection.call(lambda link: self._set_power(_domain(link, server_id), "running"))

    def pause(self, server_id: str) -> None:
        """Hold a running machine. Raises HypervisorError when it is off."""
        self._connection.call(lambda link: self._set_power(_domain(link, server_id), "paused"))

    def shutdown(self, server_id: str) -> None:
        """Press the power button; nothing happens when the machine is off."""
        self._connection.call(lambda link: _press_power_button(_domain(link, server_id)))

    def power_off(self, server_id: str) -> None:
        """End the guest at once: SIGTERM, then SIGKILL to its process."""
        self._connection.call(lambda link: self._destroy(_domain(link, server_id)))

    def remove(self, server_id: str) -> None:
        """End the guest and forget the definition with its UEFI variables."""
        try:
            self._connection.call(lambda link: self._remove(_domain(link, server_id)))
        except MachineNotFound:
            self._events.forget(server_id)

    def attach_nic(self, server_id: str, nic: Nic) -> None:
        """Plug into the definition, and into the guest when it is on."""
        text = machine_xml.nic_xml(nic, self._platform)

        def attach(link: Any) -> None:
            domain = _domain(link, server_id)
            for where in _where(domain):
                if nic.port_id not in machine_xml.port_ids(_read(domain, where)):
                    domain.attachDeviceFlags(text, where)

        self._connection.call(attach)

    def detach_nic(self, server_id: str, port_id: str) -> None:
        """Unplug; returns when the guest has let go.

        Raises HypervisorError when the guest keeps the NIC longer than `detach_wait_s`: repeating asks it again.
        """
        self._connection.call(lambda link: _detach(_domain(link, server_id), port_id, self._options.detach_wait_s))

    def copy_disk(self, server_id: str, source: str, target: str) -> bool:
        """A backup job of the machine's, begun or looked at."""
        return self._connection.call(lambda link: self._copies.look_after(_domain(link, server_id), source, target))

    def abort_copy(self, server_id: str, target: str) -> None:
        """Cancel the backup job."""
        with contextlib.suppress(MachineNotFound):
            self._connection.call(lambda link: self._copies.abort(_domain(link, server_id), target))

    def watch(self, on_change: Callable[[str], None]) -> Callable[[], None]:
        """Report changes that this driver did not make; a few more may be reported, none is left out.

        Does not fail when libvirt is away: the watch begins when it comes, with a look at every machine.
        """
        stop = self._events.subscribe(on_change)
        try:
            self._connection.call(lambda link: link.isAlive())
        except HypervisorError:
            self._events.look_when_back()
        return stop

    def _define(self, link: Any, machine: Machine) -> None:
        try:
            known = _domain(link, machine.server_id)
        except MachineNotFound:
            pass
        else:
            machine = _renamed(known, machine)
        text = machine_xml.machine_xml(machine, self._platform)
        link.defineXMLFlags(text, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)

    def _start(self, domain: Any, paused: bool) -> None:
        if domain.isActive():
            return
        server_id = domain.UUIDString()
        self._events.expect(server_id, "paused" if paused else "running")
        try:
            domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED if paused else 0)
        except libvirt.libvirtError:
            self._events.forget(server_id)
            # Two callers may start it at once; the second finds what it wanted.
            if not domain.isActive():
                raise

    def _set_power(self, domain: Any, wanted: Power) -> None:
        power = _power(domain)
        if power == wanted:
            return
        if power not in ("running", "paused"):
            raise HypervisorError(f"machine {domain.UUIDString()} is {power}: it cannot become {wanted} before a start")
        self._events.expect(domain.UUIDString(), wanted)
        if wanted == "running":
            domain.resume()
        else:
            domain.suspend()

    def _destroy(self, domain: Any) -> None:
        if not domain.isActive():
            return
        self._events.expect(domain.UUIDString(), "stopped")
        try:
            domain.destroy()
        except libvirt.libvirtError:
            if domain.isActive():
                raise

    def _remove(self, domain: Any) -> None:
        self._destroy(domain)
        domain.undefineFlags(_FORGET_ALL)
        self._events.forget(domain.UUIDString())

    def _is_ours(self, server_id: str) -> bool:
        return self._connection.call(lambda link: machine_xml.is_ours(_read(_domain(link, server_id), _LIVE)))


def _domain(link: Any, server_id: str) -> Any:
    try:
        return link.lookupByUUIDString(server_id)
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_INVALID_ARG):
            raise MachineNotFound(f"no machine {server_id} on this host") from error
        raise


def _renamed(known: Any, machine: Machine) -> Machine:
    """Give the domain the machine's name; one that runs keeps its own until it is defined while off."""
    if known.name() == machine.name:
        return machine
    if known.isActive():
        return replace(machine, name=known.name())
    known.rename(machine.name)
    return machine


def _read(domain: Any, where: int) -> Element:
    """The domain as it is now (what runs, if it runs), or as it will be at the next start."""
    flags = libvirt.VIR_DOMAIN_XML_INACTIVE if where == _KEPT else 0
    return ET.fromstring(domain.XMLDesc(flags))  # noqa: S314 - the text is libvirt's own, not a tenant's


def _where(domain: Any) -> tuple[int, ...]:
    return (_LIVE, _KEPT) if domain.isActive() else (_KEPT,)


def _power(domain: Any) -> Power:
    state, reason = domain.state()
    if state == libvirt.VIR_DOMAIN_SHUTOFF and reason == libvirt.VIR_DOMAIN_SHUTOFF_CRASHED:
        return "crashed"
    return _POWER.get(state, "stopped")


def _state(domain: Any) -> MachineState | None:
    try:
        definition, power = _read(domain, _LIVE), _power(domain)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise
    if not machine_xml.is_ours(definition):
        return None
    return MachineState(
        server_id=domain.UUIDString(),
        power=power,
        nics=machine_xml.port_ids(definition),
        disks=machine_xml.disk_sources(definition),
        vcpus=machine_xml.vcpus(definition),
        ram_mib=machine_xml.ram_mib(definition),
    )


def _press_power_button(domain: Any) -> None:
    if not domain.isActive():
        return
    try:
        domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
    except libvirt.libvirtError:
        if domain.isActive():
            raise


def _detach(domain: Any, port_id: str, wait_s: float) -> None:
    for where in reversed(_where(domain)):
        text = machine_xml.interface_xml(_read(domain, where), port_id)
        if text is None:
            continue
        try:
            domain.detachDeviceFlags(text, where)
        except libvirt.libvirtError:
            # Asked twice while the guest still answers the first time: what counts is whether the NIC goes.
            if where == _KEPT or not domain.isActive():
                raise
        if where == _LIVE:
            _wait_until_gone(domain, port_id, wait_s)


def _wait_until_gone(domain: Any, port_id: str, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while port_id in machine_xml.port_ids(_read(domain, _LIVE)):
        if time.monotonic() > deadline:
            raise HypervisorError(f"the guest of {domain.UUIDString()} does not let go of the NIC of port {port_id}")
        time.sleep(0.1)
