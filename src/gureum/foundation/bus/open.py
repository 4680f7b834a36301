"""Open the bus that a URL names. The only place that knows all transports; each is imported when it is asked for.

`inprocess:` one process. `unix:/path/to/socket` one machine. `amqp://user:password@broker:5672/vhost` (or `amqps://`;
several brokers separated by `;`) many machines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from gureum.foundation.bus.interface import Bus


def open_bus(url: str, *, role: Literal["control", "agent"]) -> Bus:
    """Return the bus of this process.

    On a unix socket the first `control` process is the hub and every other process its peer; when it ends, another
    `control` process takes its place. An agent, and a peer, may come before their hub or broker: they connect when it
    is there. Raise `ValueError` for a URL that names no bus, and `OSError` when the socket cannot be made.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "inprocess" and not rest:
        from gureum.foundation.bus.in_process import InProcessBus

        return InProcessBus()
    if scheme == "unix" and rest.startswith("/"):
        return _open_unix(Path(unquote(rest)), role)
    if scheme in {"amqp", "amqps"} and rest.startswith("//"):
        from gureum.foundation.bus.amqp import AmqpBus

        return AmqpBus(url)
    raise ValueError(f"not a bus: {_without_password(url)!r}; use inprocess:, unix:/path or amqp://broker")


def _open_unix(path: Path, role: Literal["control", "agent"]) -> Bus:
    from gureum.foundation.bus.unix_socket import HubTaken, UnixHub, UnixPeer

    if role == "control":
        try:
            return UnixHub(path)
        except HubTaken:
            pass
    return UnixPeer(path, leads=role == "control")


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"***{at}{tail}" if head else url
