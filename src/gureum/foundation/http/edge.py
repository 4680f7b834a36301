"""What the connections of one process share: how many there may be, and how much memory slow clients may hold.

Source of the numbers: docs/operate/security.md, "Floods". Read next: `protocol.py`, one connection.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gureum.foundation.connections import Connections, Limit
from gureum.foundation.http.budget import Budget

_log = logging.getLogger("gureum.http")

HEADS_BUDGET_BYTES = 8 << 20
ANSWERS_BUDGET_BYTES = 64 << 20
ANSWERS_PATIENCE_S = 1.0
OPERATORS = 32
"""Connections beyond all limits, for clients on the machine itself."""
_TOLD_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """`in_all` connections, `per_address` of them from one address (IPv6: one /64), 0 for no limit.

    Addresses of the networks `proxies` have no limit of their own: many clients are behind each. Raises ValueError.
    """

    in_all: int = 4096
    per_address: int = 256
    proxies: Sequence[str] = ("127.0.0.0/8", "::1/128")

    def __post_init__(self) -> None:
        self.networks()

    def networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        return [ipaddress.ip_network(text, strict=False) for text in self.proxies]


class OpenConnection(Protocol):
    """What is asked of a connection."""

    transport: asyncio.Transport
    client: tuple[str, int] | None

    def rank(self) -> int: ...

    def __hash__(self) -> int: ...


def _rank(connection: OpenConnection) -> int:
    return connection.rank()


class Edge:
    """What the connections of one process share."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._proxies = limits.networks()
        self._places: Connections[OpenConnection] = Connections(
            [Limit(limits.in_all), Limit(limits.per_address)], _rank
        )
        self._operators: Connections[OpenConnection] = Connections([Limit(OPERATORS)], _rank)
        self._told_at = -_TOLD_EVERY_S
        self.heads = Budget(HEADS_BUDGET_BYTES)
        self.answers = Budget(ANSWERS_BUDGET_BYTES, ANSWERS_PATIENCE_S)

    def admit(self, connection: OpenConnection, host: str) -> bool:
        """Whether a connection from this address may stay; an idle one may have to go for it."""
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:  # a unix socket
            address = ipaddress.ip_address("::1")
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        proxy = any(address in block for block in self._proxies)
        group = int(address) >> 64 if address.version == 6 else int(address)
        if self._places.admit(connection, ((address.version, group),), self._replace, unbounded=proxy):
            return True
        self._tell("connections are at their limit; %s is refused", host)
        return address.is_loopback and self._operators.admit(connection, (), self._replace)

    def leave(self, connection: OpenConnection) -> None:
        """The connection has ended."""
        self._places.remove(connection)
        self._operators.remove(connection)
        self.heads.release(connection)
        self.answers.release(connection)

    def _replace(self, connection: OpenConnection) -> None:
        self._tell("connections are at their limit; idle ones make room, here one of %s", connection.client)
        connection.transport.abort()

    def _tell(self, text: str, who: object) -> None:
        now = time.monotonic()
        if now - self._told_at >= _TOLD_EVERY_S:
            self._told_at = now
            _log.warning(text, who)
