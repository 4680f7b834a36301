"""Simulated hosts as a process of their own: `python -m gureum.roles.simulated_hosts --config FILE`.

For a control plane of several processes whose configuration says `mode = "simulated"`: the hosts' agents answer over
the bus, as real ones do, and tell which ports are plugged, from which every worker's virtual network learns that they
are up (`follow_plugs`). Heartbeats repair what a lost message left behind. Writes `run/simulated-hosts.ready`.
Invariant: no database. Ending it is a power cut of all its hosts. Read next: `gureum.agents.hypervisor.simulated`.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

import msgspec

from gureum.agents.hypervisor.protocol import HostObserved
from gureum.agents.hypervisor.remote import HEARTBEAT, BusEvents, serve_agent
from gureum.agents.hypervisor.simulated import Plugs, SimulatedHosts, World
from gureum.foundation.bus.interface import Bus
from gureum.foundation.bus.open import open_bus
from gureum.foundation.bus.typed import Topic
from gureum.foundation.config import Config
from gureum.roles.entry import configured
from gureum.services.compute.config import HypervisorConfig

_log = logging.getLogger("gureum.roles.simulated_hosts")

BEAT_S = 2.0


class Plugged(msgspec.Struct, frozen=True):
    """A port was plugged on a host, or unplugged (host None)."""

    port_id: str
    host: str | None


PLUGGED = Topic("simulated.plugged", Plugged)


class PlugsOverBus:
    """Implements `Plugs` by publishing."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def bring_up(self, port_id: str, host: str) -> None:
        PLUGGED.publish(self._bus, Plugged(port_id, host))

    def bring_down(self, port_id: str) -> None:
        PLUGGED.publish(self._bus, Plugged(port_id, None))


class VirtualNetwork(Plugs, Protocol):
    """The part of the fake network driver that hosts change."""

    def set_host(self, host: str, alive: bool) -> None: ...


def follow_plugs(bus: Bus, network: VirtualNetwork) -> Callable[[], None]:
    """Keep a process's virtual network as the simulated hosts say, until the returned function is called."""
    follower = _Follower(network)
    stops = [PLUGGED.subscribe(bus, follower.told), HEARTBEAT.subscribe(bus, follower.observed)]

    def stop() -> None:
        for one in stops:
            one()

    return stop


class _Follower:
    def __init__(self, network: VirtualNetwork) -> None:
        self._network = network
        self._lock = threading.Lock()
        self._seen: defaultdict[str, set[str]] = defaultdict(set)

    def told(self, news: Plugged) -> None:
        if news.host is None:
            self._network.bring_down(news.port_id)
        else:
            self._network.bring_up(news.port_id, news.host)

    def observed(self, host: HostObserved) -> None:
        """A port that a heartbeat shows is plugged; one that this heartbeat shows no more is not."""
        there = {port_id for server in host.servers for port_id in server.nics}
        with self._lock:
            before, self._seen[host.host] = self._seen[host.host], there
        self._network.set_host(host.host, alive=True)
        for port_id in there - before:
            self._network.bring_up(port_id, host.host)
        for port_id in before - there:
            self._network.bring_down(port_id)


def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    bus = open_bus(config.absolute(config.bus.url), role="agent")
    events = BusEvents(bus)
    hosts = SimulatedHosts(
        config.section(HypervisorConfig).simulated_hosts, World(plugs=PlugsOverBus(bus), events=events)
    )
    stops = [serve_agent(bus, name, hosts[name]) for name in hosts]
    stops.append(hosts.keep_beating(events.heartbeat, BEAT_S))
    ready = config.path("run/simulated-hosts.ready")
    ready.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    ready.touch()
    _log.info("%d simulated hosts are served", len(hosts))
    stopping.wait()
    ready.unlink(missing_ok=True)
    for stop in reversed(stops):
        stop()
    bus.close()


def main() -> None:
    run(configured(__doc__, "simulated-hosts"))


if __name__ == "__main__":
    main()
