"""The protocol over the bus: the control plane's proxy of one host's agent, and the host's end that answers it.

A host serves the name `hypervisor.<host>`. `AgentFailure` crosses with its public text and its retry; `BusError`
(nobody serves the host, no answer in time) passes through as it is: the call may or may not have acted, and since
every call is idempotent it may be repeated. Unknown fields of a newer peer are ignored, missing ones take defaults.
Invariant: the bus carries no truth; a lost event costs latency only.
Read next: `protocol.py`, `gureum.foundation.bus.typed`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from types import NoneType
from typing import Any

import msgspec

from gureum.agents.hypervisor.protocol import (
    AgentEvents,
    AgentFailure,
    DiskCopy,
    HostObserved,
    HypervisorAgent,
    ServerObserved,
    ServerSpec,
)
from gureum.foundation import log
from gureum.foundation.bus.interface import Bus, Refused
from gureum.foundation.bus.typed import Method, Nothing, Remote, Topic, serve_methods
from gureum.foundation.shapes import packed_decoder

_log = logging.getLogger("gureum.agents.hypervisor")

CALL_TIMEOUT_S = 60.0
SERVE_THREADS = 16

_FAILURE = "agent_failure"


class ServerName(msgspec.Struct, frozen=True):
    """Arguments that name a server."""

    server_id: str


class ConsoleRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Arguments of `console_log`."""

    server_id: str
    lines: int | None = None


class CopyName(msgspec.Struct, frozen=True):
    """Arguments that name a copy of a server's disk."""

    server_id: str
    copy_id: str


class CopyPiece(msgspec.Struct, frozen=True):
    """Arguments of `read_copy`."""

    server_id: str
    copy_id: str
    offset: int


class ServerChanged(msgspec.Struct, frozen=True):
    """A server that changed by itself, and the host that saw it."""

    host: str
    observed: ServerObserved


class _FailureDetail(msgspec.Struct, frozen=True, omit_defaults=True):
    public: str = ""
    retry: bool = True


_ENSURE = Method("ensure_server", ServerSpec, ServerObserved, CALL_TIMEOUT_S)
_REMOVE = Method("remove_server", ServerName, NoneType, CALL_TIMEOUT_S)
_OBSERVE = Method("observe", Nothing, HostObserved)
_CONSOLE = Method("console_log", ConsoleRequest, str)
_PASSWORD = Method("guest_password", ServerName, str)
_FORGET_PASSWORD = Method("forget_guest_password", ServerName, NoneType)
_COPY_DISK = Method("copy_disk", CopyName, DiskCopy, CALL_TIMEOUT_S)
_READ_COPY = Method("read_copy", CopyPiece, bytes)
_DROP_COPY = Method("drop_copy", CopyName, NoneType, CALL_TIMEOUT_S)

HEARTBEAT = Topic("hypervisor.heartbeat", HostObserved)
SERVER_CHANGED = Topic("hypervisor.server_changed", ServerChanged)


def bus_name(host: str) -> str:
    """The name that a host's agent serves."""
    return f"hypervisor.{host}"


class RemoteAgent:
    """Implements `HypervisorAgent` by calling the named host. Raises AgentFailure and BusError."""

    def __init__(self, bus: Bus, host: str) -> None:
        self._remote = Remote(bus, bus_name(host), _failure_of)

    def ensure_server(self, spec: ServerSpec) -> ServerObserved:
        return self._remote.call(_ENSURE, spec)

    def remove_server(self, server_id: str) -> None:
        self._remote.call(_REMOVE, ServerName(server_id))

    def observe(self) -> HostObserved:
        return self._remote.call(_OBSERVE, Nothing())

    def console_log(self, server_id: str, lines: int | None) -> str:
        return self._remote.call(_CONSOLE, ConsoleRequest(server_id, lines))

    def guest_password(self, server_id: str) -> str:
        return self._remote.call(_PASSWORD, ServerName(server_id))

    def forget_guest_password(self, server_id: str) -> None:
        self._remote.call(_FORGET_PASSWORD, ServerName(server_id))

    def copy_disk(self, server_id: str, copy_id: str) -> DiskCopy:
        return self._remote.call(_COPY_DISK, CopyName(server_id, copy_id))

    def read_copy(self, server_id: str, copy_id: str, offset: int) -> bytes:
        return self._remote.call(_READ_COPY, CopyPiece(server_id, copy_id, offset))

    def drop_copy(self, server_id: str, copy_id: str) -> None:
        self._remote.call(_DROP_COPY, CopyName(server_id, copy_id))


def serve_agent(bus: Bus, host: str, agent: HypervisorAgent, *, threads: int = SERVE_THREADS) -> Callable[[], None]:
    """Answer the host's calls with `agent` until the returned function is called."""
    methods: dict[Method[Any, Any], Callable[[Any], Any]] = {
        _ENSURE: agent.ensure_server,
        _REMOVE: lambda asked: agent.remove_server(asked.server_id),
        _OBSERVE: lambda _: agent.observe(),
        _CONSOLE: lambda asked: agent.console_log(asked.server_id, asked.lines),
        _PASSWORD: lambda asked: agent.guest_password(asked.server_id),
        _FORGET_PASSWORD: lambda asked: agent.forget_guest_password(asked.server_id),
        _COPY_DISK: lambda asked: agent.copy_disk(asked.server_id, asked.copy_id),
        _DROP_COPY: lambda asked: agent.drop_copy(asked.server_id, asked.copy_id),
    }
    told = {method: _told(method.name, answer) for method, answer in methods.items()}
    # A disk is many pieces: a line for each would bury the rest.
    told[_READ_COPY] = lambda asked: agent.read_copy(asked.server_id, asked.copy_id, asked.offset)
    return serve_methods(bus, bus_name(host), told, refusal=_refusal_of, threads=threads)


def _told(method: str, answer: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same, with a line in the log for each call."""

    def told(asked: Any) -> Any:
        about = f" of server {asked.server_id}" if hasattr(asked, "server_id") else ""
        started, end = time.perf_counter(), "failed"
        try:
            result = answer(asked)
            end = "done"
            return result
        finally:
            _log.info("call %s%s: %s %s", method, about, end, log.took(time.perf_counter() - started))

    return told


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
        return AgentFailure(f"{refused.code}: {refused.text}", retry=False)
    try:
        detail = packed_decoder(_FailureDetail).decode(refused.detail)
    except msgspec.MsgspecError:
        detail = _FailureDetail()
    return AgentFailure(refused.text, public=detail.public, retry=detail.retry)
