"""What databases and buses there are, by the schemes of their URLs: for the configuration, and for `up` before it.

Standard library only: the commands read it before anything is installed.
"""

from __future__ import annotations

DATABASES = ("sqlite", "postgresql", "postgresql+psycopg")
BUSES = ("inprocess", "unix", "amqp", "amqps")


def kind_of(url: str) -> str:
    """The scheme: all of a URL that may be told, since the rest may hold a password."""
    return url.partition(":")[0][:32]
