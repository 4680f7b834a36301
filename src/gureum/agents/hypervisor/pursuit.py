"""Drives one server on this host from what is to what is wanted, one repeatable step at a time.

It owns no thread and no lock: `lanes.py` calls it for one server at a time. Every step first looks at the engine,
so a kill at any point costs at most a step done twice.
Invariant: the spec is on disk before its first effect, and an effect's number before what would undo it.
Read next: `rules.py` for the decision, `disks.py`, `../metadata/service.py` for the effects.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import cast

import msgspec

from gureum.agents.hypervisor.disk_copies import DiskCopies
from gureum.agents.hypervisor.disks import DiskFolder
from gureum.agents.hypervisor.lanes import Turn
from gureum.agents.hypervisor.machine import machine_of, nics_of
from gureum.agents.hypervisor.protocol import ObservedPower, ServerSpec
from gureum.agents.hypervisor.rules import Action, is_forced, is_late, next_action
from gureum.agents.hypervisor.server_store import Effect, ServerStore
from gureum.agents.metadata.service import MetadataService
from gureum.drivers.hypervisor.interface import Hypervisor, HypervisorError, MachineNotFound, MachineState
from gureum.foundation.fleet.failure import AgentFailure

_log = logging.getLogger("gureum.agents.hypervisor")

_MAX_STEPS = 12
_GUEST_POLL_S = 1.0
_ACPI_AGAIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Pursuit:
    """The parts of a host that a server is made of."""

    driver: Hypervisor
    store: ServerStore
    disks: DiskFolder
    copies: DiskCopies
    metadata: MetadataService

    def ensure(self, spec: ServerSpec, turn: Turn[ServerSpec | None]) -> None:
        """Make it so. Raises AgentFailure, GaveWay."""
        known = self.store.spec(spec.server_id)
        if known is not None and is_late(spec, known):
            return
        try:
            self.store.save_spec(spec)
            self._adopt(spec)
            self._step_until_settled(spec, turn)
            self._match_nics(spec)
        except HypervisorError as error:
            raise AgentFailure(f"hypervisor: {error}") from error
        except OSError as error:
            raise AgentFailure(f"host: {error}") from error
        if known is not None:
            self.metadata.release(_networks(known) - _networks(spec))

    def remove(self, server_id: str) -> None:
        """Leave nothing; the spec's folder goes last, so a kill on the way is seen. Raises AgentFailure."""
        known = self.store.spec(server_id)
        try:
            self.copies.hold_off(server_id)
            self.driver.remove(server_id)
            self.disks.remove(server_id)
            self.store.remove(server_id)
        except HypervisorError as error:
            raise AgentFailure(f"hypervisor: {error}") from error
        except OSError as error:
            raise AgentFailure(f"host: {error}") from error
        if known is not None:
            self.metadata.release(_networks(known))

    def _adopt(self, spec: ServerSpec) -> None:
        # A kill between a finished disk and its record: the disk carries its name, so it is whole, and making it
        # anew could cost the guest its data.
        if not self.store.has_effect(spec.server_id) and self.disks.of(spec.server_id).root.exists():
            self.store.save_effect(spec.server_id, Effect(spec.boot, spec.disk, spec.root_gib))

    def _step_until_settled(self, spec: ServerSpec, turn: Turn[ServerSpec | None]) -> None:
        started = False
        for _ in range(_MAX_STEPS):
            power = self._power(spec.server_id)
            action = next_action(spec, self.store.effect(spec.server_id), power)
            if action is None:
                return
            if started and action == "start":
                raise AgentFailure(f"the machine is {power} right after its start")
            turn.yield_if_asked()
            _log.info("server %s: %s (was %s)", spec.server_id, action, power)
            if action in {"make_disks", "define", "start"}:
                self.copies.hold_off(spec.server_id)
            try:
                self._do(action, spec, power, turn)
            except MachineNotFound:
                # It vanished between the look and the step; the next look tells.
                continue
            started = started or action == "start"
        raise AgentFailure(f"server {spec.server_id} does not settle")

    def _do(self, action: Action, spec: ServerSpec, power: ObservedPower, turn: Turn[ServerSpec | None]) -> None:
        match action:
            case "stop":
                self._stop(spec, power, turn)
            case "make_disks":
                self._make_disks(spec, turn)
            case "define":
                self._define(spec)
            case "start":
                self._start(spec)
            case "pause":
                self.driver.pause(spec.server_id)
            case "resume":
                self.driver.resume(spec.server_id)

    def _stop(self, spec: ServerSpec, power: ObservedPower, turn: Turn[ServerSpec | None]) -> None:
        if not is_forced(spec, power):
            deadline = time.monotonic() + spec.grace_s
            ask_at = 0.0
            while (now := time.monotonic()) < deadline:
                if now >= ask_at:
                    # A guest early in its boot misses the first request.
                    self.driver.shutdown(spec.server_id)
                    ask_at = now + _ACPI_AGAIN_S
                turn.wait_for_guest(min(deadline - now, _GUEST_POLL_S))
                if self._power(spec.server_id) != "running":
                    return
                turn.yield_if_asked()
            _log.info("server %s did not shut down within %d s", spec.server_id, spec.grace_s)
        self.driver.power_off(spec.server_id)

    def _make_disks(self, spec: ServerSpec, turn: Turn[ServerSpec | None]) -> None:
        self.disks.make(spec, turn.yield_if_asked)
        before = self.store.effect(spec.server_id)
        self.store.save_effect(spec.server_id, Effect(before.boot, spec.disk, spec.root_gib))

    def _define(self, spec: ServerSpec) -> None:
        effect = self.store.effect(spec.server_id)
        if 0 < effect.root_gib < spec.root_gib:
            self.disks.grow_root(spec)
            effect = msgspec.structs.replace(effect, root_gib=spec.root_gib)
        self.disks.make_config_drive(spec)
        self.driver.define(machine_of(spec, self.disks.of(spec.server_id)))
        self.store.save_effect(spec.server_id, msgspec.structs.replace(effect, boot=spec.boot))

    def _start(self, spec: ServerSpec) -> None:
        self.metadata.ensure(spec)
        self._define(spec)
        self.driver.start(spec.server_id, paused=spec.power == "paused")

    def _match_nics(self, spec: ServerSpec) -> None:
        state = self._state(spec.server_id)
        if state is None or state.power not in {"running", "paused"}:
            return
        wanted = {nic.port_id: nic for nic in nics_of(spec)}
        if set(state.nics) == set(wanted):
            return
        self.metadata.ensure(spec)
        for port_id in set(state.nics) - set(wanted):
            self.driver.detach_nic(spec.server_id, port_id)
        for port_id in set(wanted) - set(state.nics):
            self.driver.attach_nic(spec.server_id, wanted[port_id])

    def _power(self, server_id: str) -> ObservedPower:
        state = self._state(server_id)
        return "absent" if state is None else cast("ObservedPower", state.power)

    def _state(self, server_id: str) -> MachineState | None:
        return self.driver.machines(server_id).get(server_id)


def _networks(spec: ServerSpec) -> set[str]:
    return {nic.network_id for nic in spec.nics}
