"""Where the agents of hypervisors are: behind the bus, or in this process when they are simulated."""

from __future__ import annotations

from collections.abc import Callable

from gureum.agents.hypervisor.protocol import HYPERVISOR, HostObserved, HypervisorAgent, ServerObserved
from gureum.agents.hypervisor.remote import hear_changes
from gureum.agents.hypervisor.simulated import SimulatedHosts
from gureum.foundation.bus.interface import Bus
from gureum.foundation.fleet.kind import AgentsOverBus, Stop


class HypervisorsOverBus(AgentsOverBus[HypervisorAgent, HostObserved]):
    """Agents on other machines, or in other processes of this one."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(HYPERVISOR, bus)

    def changes(self, changed: Callable[[str, ServerObserved], None]) -> Stop:
        return hear_changes(self.bus, changed)


class AgentsInMemory:
    """Simulated hosts of this process; `hear` beats for all of them at once, then every `beat_s` seconds."""

    def __init__(self, hosts: SimulatedHosts, beat_s: float = 2.0) -> None:
        self.hosts = hosts
        self._beat_s = beat_s
        self.told: list[Callable[[str, ServerObserved], None]] = []
        """Who hears of changes. Guests in memory make none by themselves: tests tell them."""

    def agent(self, host: str) -> HypervisorAgent:
        return self.hosts[host]

    def hear(self, heard: Callable[[HostObserved], None]) -> Stop:
        return self.hosts.keep_beating(heard, self._beat_s)

    def changes(self, changed: Callable[[str, ServerObserved], None]) -> Stop:
        self.told.append(changed)
        return lambda: self.told.remove(changed)
