"""The protocol over the bus: what a host publishes and serves, and the control plane's proxy of one host's agent.

`AgentFailure` crosses with its public text and its retry; `BusError` (nobody serves the host, no answer in time, the
agent is too old for the call) passes through as it is: the call may or may not have acted, and since every call is
idempotent it may be repeated. Unknown fields of a newer peer are ignored, missing ones take defaults.
Invariant: the bus carries no truth; a lost event costs latency only.
Read next: `protocol.py`, `gureum/foundation/fleet/kind.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gureum.agents.hypervisor.protocol import HYPERVISOR, AgentEvents, HostObserved, HypervisorAgent, ServerObserved
from gureum.foundation.bus.interface import Bus
from gureum.foundation.bus.typed import Topic

SERVE_THREADS = 16


class ServerChanged(msgspec.Struct, frozen=True):
    """A server that changed by itself, and the host that saw it."""

    host: str
    observed: ServerObserved


HEARTBEAT = HYPERVISOR.heartbeat
SERVER_CHANGED = Topic("hypervisor.server_changed", ServerChanged)


def remote_agent(bus: Bus, host: str) -> HypervisorAgent:
    """The agent of a host behind the bus. Raises AgentFailure and BusError."""
    return HYPERVISOR.agent(bus, host)


def serve_agent(bus: Bus, host: str, agent: HypervisorAgent, *, threads: int = SERVE_THREADS) -> Callable[[], None]:
    """Answer the host's calls with `agent` until the returned function is called."""
    return HYPERVISOR.serve(bus, host, agent, threads=threads)


class BusEvents:
    """Implements `AgentEvents` by publishing."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def heartbeat(self, observed: HostObserved) -> None:
        HEARTBEAT.publish(self._bus, observed)

    def server_changed(self, host: str, observed: ServerObserved) -> None:
        SERVER_CHANGED.publish(self._bus, ServerChanged(host, observed))


def hear_changes(bus: Bus, changed: Callable[[str, ServerObserved], None]) -> Callable[[], None]:
    """Hand every host's servers that changed by themselves to `changed` until the returned function is called."""
    return SERVER_CHANGED.subscribe(bus, lambda told: changed(told.host, told.observed))


def listen_to_agents(bus: Bus, events: AgentEvents) -> Callable[[], None]:
    """Hand every host's heartbeats and changes to `events` until the returned function is called."""
    stop_heartbeats = HEARTBEAT.subscribe(bus, events.heartbeat)
    stop_changes = hear_changes(bus, events.server_changed)

    def stop() -> None:
        stop_heartbeats()
        stop_changes()

    return stop
