"""What the network tells other services."""

from __future__ import annotations

from typing import ClassVar

from gureum.foundation.events.event import Event


class PortsChanged(Event, frozen=True):
    """Ports of these servers came up or went down."""

    KIND: ClassVar[str] = "network.ports_changed"
    DURABLE: ClassVar[bool] = False
    server_ids: tuple[str, ...]


class AddressesChanged(Event, frozen=True):
    """What these servers' guests are told of their addresses changed."""

    KIND: ClassVar[str] = "network.addresses_changed"
    DURABLE: ClassVar[bool] = False
    server_ids: tuple[str, ...]


class NetworkCreated(Event, frozen=True):
    KIND: ClassVar[str] = "network.created"
    id: str
    project_id: str


class NetworkDeleted(Event, frozen=True):
    KIND: ClassVar[str] = "network.deleted"
    id: str
    project_id: str


class PortCreated(Event, frozen=True):
    """A port of a project; the cloud's own ports are not told of. `server_id` is empty for one of no server."""

    KIND: ClassVar[str] = "port.created"
    id: str
    project_id: str
    network_id: str
    server_id: str = ""


class PortDeleted(Event, frozen=True):
    KIND: ClassVar[str] = "port.deleted"
    id: str
    project_id: str
    network_id: str


class FloatingIpCreated(Event, frozen=True):
    KIND: ClassVar[str] = "floating_ip.created"
    id: str
    project_id: str
    network_id: str
    ip: str


class FloatingIpDeleted(Event, frozen=True):
    KIND: ClassVar[str] = "floating_ip.deleted"
    id: str
    project_id: str
    network_id: str
    ip: str
