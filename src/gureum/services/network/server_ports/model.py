"""What compute and the network tell each other about a server's interfaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct

from gureum.agents.hypervisor.protocol import NicSpec
from gureum.services.network.ports.addresses import Range


@dataclass(frozen=True, slots=True)
class NicWanted:
    """One interface: on a network (with an address, perhaps), or an existing port."""

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class NicRequest:
    """The interfaces of a new server. `security_groups` are names or ids; empty means the project's default."""

    mode: Literal["auto", "none", "listed"]
    nics: tuple[NicWanted, ...] = ()
    security_groups: tuple[str, ...] = ()


class NicNetwork(Struct, frozen=True, gc=False):
    """What is read of the network of a new interface."""

    id: str
    project_id: str
    port_security: bool


@dataclass(frozen=True, slots=True)
class NicPlan:
    """A checked request. Good within the transaction that made it, in which what it names was there and free."""

    nics: tuple[NicWanted, ...] = ()
    groups: tuple[str, ...] = ()
    networks: Mapping[str, NicNetwork] = field(default_factory=dict)
    subnets: Mapping[str, Sequence[Range]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a server, as the compute API shows it."""

    network_name: str
    ip: str
    version: int
    mac: str
    kind: Literal["fixed", "floating"]
    port_id: str
    network_id: str


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface of a server; each of its addresses with the id of its subnet."""

    port_id: str
    network_id: str
    mac: str
    status: str
    tag: str | None
    addresses: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Wiring:
    """A server's ports as its host and guest are told of them; `down` are those that are not up yet.

    A port that its owner switched off is not waited for and is not among them.
    """

    nics: tuple[NicSpec, ...]
    network_data: dict[str, Any]
    addresses: list[Address]
    down: list[str]
