"""The agents of hosts: over the bus, or simulated in this process."""

from __future__ import annotations

from gureum.agents.hypervisor.directory import AgentsInMemory, HypervisorsOverBus
from gureum.agents.hypervisor.protocol import AgentDirectory
from gureum.agents.hypervisor.simulated import SimulatedHosts, World
from gureum.drivers.network.fake import FakeNetworkDriver
from gureum.drivers.network.interface import NetworkDriver
from gureum.roles.drivers import Drivers
from gureum.services.compute.config import HypervisorConfig


def _agents(drivers: Drivers) -> AgentDirectory:
    section = drivers.config.section(HypervisorConfig)
    network = drivers.get(NetworkDriver)
    if not (drivers.alone and section.mode == "simulated" and isinstance(network, FakeNetworkDriver)):
        return HypervisorsOverBus(drivers.bus)
    hosts = SimulatedHosts(section.simulated_hosts, World(plugs=network))
    for name in hosts:
        network.set_host(name, alive=True)
    return AgentsInMemory(hosts)


DRIVERS = {AgentDirectory: _agents}
