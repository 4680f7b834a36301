"""Where the agents of hosts are: behind the bus, or in this process when they are simulated."""

from __future__ import annotations

from collections.abc import Callable

from gureum.agents.hypervisor.protocol import AgentEvents, HostObserved, HypervisorAgent, Stop
from gureum.agents.hypervisor.remote import HEARTBEAT, listen_to_agents, remote_agent
from gureum.agents.hypervisor.simulated import SimulatedHosts
from gureum.foundation.bus.interface import Bus


class AgentsOverBus:
    """Agents on other machines, or in other processes of this one."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._agents: dict[str, HypervisorAgent] = {}

    def agent(self, host: str) -> HypervisorAgent:
        if host not in self._agents:
            self._agents[host] = remote_agent(self._bus, host)
        return self._agents[host]

    def listen(self, events: AgentEvents) -> Stop:
        return listen_to_agents(self._bus, events)

    def hear(self, heard: Callable[[HostObserved], None]) -> Stop:
        return HEARTBEAT.subscribe(self._bus, heard)


class AgentsInMemory:
    """Simulated hosts of this process; `listen` beats for all of them at once, then every `beat_s` seconds."""

    def __init__(self, hosts: SimulatedHosts, beat_s: float = 2.0) -> None:
        self.hosts = hosts
        self._beat_s = beat_s

    def agent(self, host: str) -> HypervisorAgent:
        return self.hosts[host]

    def listen(self, events: AgentEvents) -> Stop:
        return self.hosts.keep_beating(events, self._beat_s)

    def hear(self, heard: Callable[[HostObserved], None]) -> Stop:  # noqa: ARG002 whoever runs here listens
        return lambda: None
