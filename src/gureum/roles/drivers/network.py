"""The virtual network: OVN, or the fake for simulated hosts."""

from __future__ import annotations

from gureum.drivers.network.fake import FakeNetworkDriver
from gureum.drivers.network.interface import NetworkDriver
from gureum.foundation.service import Start, Where
from gureum.roles.drivers import Drivers
from gureum.roles.simulated_hosts import follow_plugs
from gureum.services.compute.config import HypervisorConfig
from gureum.services.network.config import NetworkConfig


def _network(drivers: Drivers) -> NetworkDriver:
    section = drivers.config.section(NetworkConfig)
    simulated = drivers.config.section(HypervisorConfig).mode == "simulated"
    if section.driver == "ovn" and not simulated:
        from gureum.drivers.network.ovn.driver import OvnDriver

        return OvnDriver(section.northbound, section.southbound, owner=section.owner)
    fake = FakeNetworkDriver()
    if not (simulated and drivers.alone):  # the hosts are in another process, and tell over the bus
        drivers.starts.append(Start(Where.WORKER, lambda: follow_plugs(drivers.bus, fake)))
    return fake


DRIVERS = {NetworkDriver: _network}
