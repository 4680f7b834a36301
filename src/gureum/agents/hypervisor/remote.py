"""The protocol over the bus: the control plane's proxy of one host's agent, and the host's end that answers it.

A host serves the name `hypervisor.<host>`. `AgentFailure` crosses with its public text and its retry; `BusError`
(nobody serves the host, no answer in time) passes through as it is: the call may or may not have acted, and since
every call is idempotent it may be repeated. Unknown fields of a newer peer are ignored, missing ones take defaults.
Invariant: the bus carries no truth; a lost event costs latency only.
Read next: `protocol.py`, `gureum.foundation.bus.typed`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from gureum.agents.hypervisor.protocol import (
    AgentEvents,
    AgentFailure,
    HostObserved,
    HypervisorAgent,
    ServerObserved,
)
from gureum.foundation.bus.interface import Bus, Refused
from gureum.foundation.bus.typed import Topic
from gureum.foundation.fleet.calls import proxy, serve, too_old
from gureum.foundation.shapes import packed_decoder

_log = logging.getLogger("gureum.agents.hypervisor")

SERVE_THREADS = 16

_FAILURE = "agent_failure"


class ServerChanged(msgspec.Struct, frozen=True):
    """A server that changed by itself, and the host that saw it."""

    host: str
    observed: ServerObserved


class _FailureDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    public: str = ""
    retry: bool = True


HEARTBEAT = Topic("hypervisor.heartbeat", HostObserved)
SERVER_CHANGED = Topic("hypervisor.server_changed", ServerChanged)


def bus_name(host: str) -> str:
    """The name that a host's agent serves."""
    return f"hypervisor.{host}"


def remote_agent(bus: Bus, host: str) -> HypervisorAgent:
    """The agent of a host behind the bus. Raises AgentFailure and BusError."""
    return proxy(HypervisorAgent, bus, bus_name(host), _failure_of)


def serve_agent(bus: Bus, host: str, agent: HypervisorAgent, *, threads: int = SERVE_THREADS) -> Callable[[], None]:
    """Answer the host's calls with `agent` until the returned function is called."""
    return serve(HypervisorAgent, bus, bus_name(host), agent, refusal=_refusal_of, threads=threads)


class BusEvents:
    """Implements `AgentEvents` by publishing."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def heartbeat(self, observed: HostObserved) -> None:
        HEARTBEAT.publish(self._bus, observed)

    def server_changed(self, host: str, observed: ServerObserved) -> None:
        SERVER_CHANGED.publish(self._bus, ServerChanged(host, observed))


def listen_to_agents(bus: Bus, events: AgentEvents) -> Callable[[], None]:
    """Hand every host's heartbeats and changes to `events` until the returned function is called."""
    stop_heartbeats = HEARTBEAT.subscribe(bus, events.heartbeat)
    stop_changes = SERVER_CHANGED.subscribe(bus, lambda told: events.server_changed(told.host, told.observed))

    def stop() -> None:
        stop_heartbeats()
        stop_changes()

    return stop


def _refusal_of(error: Exception) -> Refused | None:
    if not isinstance(error, AgentFailure):
        return None
    detail = msgspec.msgpack.encode(_FailureDetail(error.public, error.retry))
    return Refused(_FAILURE, str(error), detail)


def _failure_of(refused: Refused) -> AgentFailure:
    if refused.code != _FAILURE:
        # A peer of another version: it will not understand a repetition either.
        return AgentFailure(too_old(HypervisorAgent, refused) or f"{refused.code}: {refused.text}", retry=False)
    try:
        detail = packed_decoder(_FailureDetail).decode(refused.detail)
    except msgspec.MsgspecError:
        detail = _FailureDetail()
    return AgentFailure(refused.text, public=detail.public, retry=detail.retry)
