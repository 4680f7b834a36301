"""The schemes of databases and buses, and the URL of a listening address: for the configuration and for `up`.

Standard library only: the commands read it before anything is installed.
"""

from __future__ import annotations

import socket

DATABASES = ("sqlite", "postgresql", "postgresql+psycopg")
BUSES = ("inprocess", "unix", "amqp", "amqps")


def kind_of(url: str) -> str:
    """The scheme: all of a URL that may be told, since the rest may hold a password."""
    return url.partition(":")[0][:32]


def listening_url(listen: str, port: int) -> str:
    """What clients are told of a listening address; of one that means all, the machine's own."""
    address = own_address() if listen in {"0.0.0.0", "::"} else listen  # noqa: S104 - compared, not bound
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def own_address() -> str:
    """The machine's address on the way out; loopback when there is no way out. Sends nothing: UDP connects locally."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
