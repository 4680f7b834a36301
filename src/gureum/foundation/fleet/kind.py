"""A kind of agent, declared once beside its protocol: its name on the bus, its calls, and what its heartbeats carry.

An agent of the kind `k` on the host `h` serves the name `k.h` and publishes its reports on the topic `k.heartbeat`.
A report is a Struct that begins with `Report`; fields are only ever added, with defaults, so that version N talks with
N-1. Agents import this module: it knows no database. Read next: `calls.py`; `agents.py` for the control plane's end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from gureum.foundation.bus.interface import Bus
from gureum.foundation.bus.typed import Topic
from gureum.foundation.fleet import calls
from gureum.foundation.fleet.failure import failure_of, refusal_of

A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
R = TypeVar("R", bound="Report")
R_co = TypeVar("R_co", bound="Report", covariant=True)
Stop = Callable[[], None]


class _Named(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Fields that came later: by name only, so that a report's own follow `version`."""

    started_at: float = 0.0


class Report(_Named, frozen=True, omit_defaults=True):
    """What an agent of every kind says: its host, its protocol's version, and when its process began (seconds since
    the epoch; 0.0 when it does not say).
    """

    host: str
    version: int

    @property
    def address(self) -> str:
        """The host's address, for operators; "" for a kind that reports none."""
        return ""


@dataclass(frozen=True)
class AgentKind(Generic[A, R]):
    """`protocol` is a `typing.Protocol` of the calls, `report` the Struct of a heartbeat."""

    name: str
    protocol: type[A]
    report: type[R]

    @cached_property
    def heartbeat(self) -> Topic[R]:
        return Topic(f"{self.name}.heartbeat", self.report)

    def bus_name(self, host: str) -> str:
        """The name that a host's agent serves."""
        return f"{self.name}.{host}"

    def agent(self, bus: Bus, host: str) -> A:
        """The agent of a host behind the bus. Its calls raise AgentFailure, and BusError when none answers."""
        return calls.proxy(self.protocol, bus, self.bus_name(host), failure_of)

    def serve(self, bus: Bus, host: str, agent: A, *, threads: int) -> Stop:
        """Answer the host's calls with `agent` until the returned function is called."""
        return calls.serve(self.protocol, bus, self.bus_name(host), agent, refusal=refusal_of, threads=threads)


AnyKind = AgentKind[Any, Any]


class AgentSource(Protocol[A_co, R_co]):
    """Where the control plane finds the agents of a kind: behind the bus, or in its own process in a simulation."""

    def agent(self, host: str) -> A_co: ...

    def hear(self, heard: Callable[[R_co], None]) -> Stop:
        """Hand every host's reports to `heard` until the returned function is called."""
        ...


class AgentsOverBus(Generic[A, R]):
    """Agents on other machines, or in other processes of this one."""

    def __init__(self, kind: AgentKind[A, R], bus: Bus) -> None:
        self.kind = kind
        self.bus = bus
        self._agents: dict[str, A] = {}

    def agent(self, host: str) -> A:
        if host not in self._agents:
            self._agents[host] = self.kind.agent(self.bus, host)
        return self._agents[host]

    def hear(self, heard: Callable[[R], None]) -> Stop:
        return self.kind.heartbeat.subscribe(self.bus, heard)
