"""What compute tells other services. Each event carries the server's size, so that a meter needs no other."""

from __future__ import annotations

from typing import ClassVar, Self

from gureum.foundation.events.event import Event
from gureum.services.compute.servers.model import Server, WantedServer


class _OfServer(Event, frozen=True):
    id: str
    project_id: str
    user_id: str
    flavor_id: str
    vcpus: int
    ram_mib: int
    disk_gib: int

    @classmethod
    def of(cls, server: Server | WantedServer) -> Self:
        return cls(
            server.id,
            server.project_id,
            server.user_id,
            server.flavor_id,
            server.vcpus,
            server.ram_mib,
            server.flavor["disk"],
        )


class ServerCreated(_OfServer, frozen=True):
    """A project asked for it; it waits for a host."""

    KIND: ClassVar[str] = "server.created"


class ServerStarted(_OfServer, frozen=True):
    """Its guest runs, for the first time or again."""

    KIND: ClassVar[str] = "server.started"


class ServerStopped(_OfServer, frozen=True):
    """Its guest is off; it keeps its place on the host."""

    KIND: ClassVar[str] = "server.stopped"


class ServerDeleted(_OfServer, frozen=True):
    """Nothing of it is left."""

    KIND: ClassVar[str] = "server.deleted"
