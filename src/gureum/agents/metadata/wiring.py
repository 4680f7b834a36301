"""How a host's metadata server gets a foot into a tenant's network: one port, and sockets that listen there.

Each network with a guest on this host has one; guests reach it as next hop for 169.254.169.254, and by link-local
IPv6 as fe80::a9fe:a9fe (nova's user guide, "Metadata service"); nobody else does. The real one is `ovs_wiring.py`;
`LoopbackWiring` stands in where there is no virtual switch.
Invariant: after `remove`, nothing of the network is left on the host; `ensure` may be repeated at any time.
Read next: `service.py`, which decides which networks to wire.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from typing import Protocol

METADATA_ADDRESS = "169.254.169.254"
METADATA_ADDRESS_6 = "fe80::a9fe:a9fe"
METADATA_PORT = 80


@dataclass(frozen=True, slots=True)
class MetadataPort:
    """The network's metadata port as this host has to plug it. `addresses` carry their prefix length."""

    network_id: str
    port_id: str
    mac: str
    addresses: tuple[str, ...]
    mtu: int = 1500


class WiringFailed(Exception):
    """The port could not be plugged or unplugged. The text is for operators."""


class Wiring(Protocol):
    """Methods are safe to call from several threads, but for one network only one at a time."""

    def ensure(self, port: MetadataPort) -> None:
        """Plug the port and give it its addresses. Raises WiringFailed."""
        ...

    def open_sockets(self, network_id: str) -> list[socket.socket]:
        """Listening TCP sockets inside the network, which has to be wired. Raises WiringFailed."""
        ...

    def remove(self, network_id: str) -> None:
        """Leave nothing of the network; absent is fine. Raises WiringFailed."""
        ...

    def existing(self) -> set[str]:
        """Ids of the networks that are wired now, those of an earlier run too. Raises WiringFailed."""
        ...


class LoopbackWiring:
    """No network at all: each network's one socket listens on its own loopback port, where `addresses` tells it.

    For hosts whose guests are not real. Guests are told apart by source address as everywhere.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ports: dict[str, MetadataPort] = {}
        self._addresses: dict[str, tuple[str, int]] = {}
        self.failing = ""

    def ensure(self, port: MetadataPort) -> None:
        if self.failing:
            raise WiringFailed(self.failing)
        with self._lock:
            self._ports[port.network_id] = port

    def open_sockets(self, network_id: str) -> list[socket.socket]:
        with self._lock:
            if network_id not in self._ports:
                raise WiringFailed(f"network {network_id} is not wired")
            listening = socket.create_server(("127.0.0.1", 0))
            self._addresses[network_id] = listening.getsockname()
            return [listening]

    def remove(self, network_id: str) -> None:
        with self._lock:
            self._ports.pop(network_id, None)
            self._addresses.pop(network_id, None)

    def existing(self) -> set[str]:
        with self._lock:
            return set(self._ports)

    def address(self, network_id: str) -> tuple[str, int]:
        """Where the network's socket listens."""
        return self._addresses[network_id]
