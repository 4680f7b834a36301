"""The tables of ports, their addresses and their security groups, and who may see a port."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Index, String, UniqueConstraint, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Id, Json, Name, Row
from gureum.foundation.http.views import JsonValue
from gureum.services.network import spellings
from gureum.services.network.networks.model import Network
from gureum.services.network.spellings import spelled
from gureum.services.network.standard import ProjectId, Standard, StandardRow

ROUTER_LEG = "network:router_interface"
ROUTER_GATEWAY = "network:router_gateway"
FLOATING = "network:floatingip"
METADATA = "network:distributed"
OF_ROUTERS = (ROUTER_LEG, ROUTER_GATEWAY)
CLOUD_OWNED = (*OF_ROUTERS, FLOATING, METADATA)
"""Owners of the ports that routers, floating IPs and networks make for themselves: no client names them."""


PARTS = (*OF_ROUTERS, FLOATING)
"""Owners of the ports that the engine holds as parts of something else, not as ports."""


class Port(Standard):
    """`device_id` and `device_owner` are what the API shows and its users may write; compute alone sets `server_id`.

    `server_made` ports go with their server, others are only let go. `status` is ACTIVE when the engine says that the
    port is up on `host`; it is no part of what is wanted, so it leaves the revision alone.
    """

    __tablename__ = "ports"
    __table_args__ = (UniqueConstraint("network_id", "mac"), Index("ix_ports_device_id", "device_id"))

    network_id: Mapped[str] = mapped_column(Id)
    mac: Mapped[str] = mapped_column(String(17), info=spelled(spellings.mac))
    admin_state_up: Mapped[bool] = mapped_column(default=True)
    status: Mapped[str] = mapped_column(String(8), default="DOWN", info=spelled(spellings.upper))
    device_id: Mapped[str] = mapped_column(Name, default="")
    device_owner: Mapped[str] = mapped_column(Name, default="")
    host: Mapped[str | None] = mapped_column(Name)
    vnic_type: Mapped[str] = mapped_column(String(32), default="normal", info=spelled(spellings.lower))
    profile: Mapped[dict[str, JsonValue]] = mapped_column(Json, default=dict)
    port_security: Mapped[bool] = mapped_column(default=True)
    pairs: Mapped[list[dict[str, str]]] = mapped_column(Json, default=list)
    server_id: Mapped[str | None] = mapped_column(Id, index=True)
    server_made: Mapped[bool] = mapped_column(default=False)
    position: Mapped[int] = mapped_column(default=0)
    nic_tag: Mapped[str] = mapped_column(String(60), default="")


class PortRow(StandardRow, frozen=True, gc=False):
    """What is read of a port."""

    network_id: str
    mac: str
    admin_state_up: bool
    status: str
    device_id: str
    device_owner: str
    host: str | None
    vnic_type: str
    profile: dict[str, JsonValue]
    port_security: bool
    pairs: list[dict[str, str]]


class IpAllocation(Row):
    """An address in use, by a port. The primary key keeps an address from being given twice."""

    __tablename__ = "ip_allocations"

    subnet_id: Mapped[str] = mapped_column(Id, primary_key=True)
    ip: Mapped[str] = mapped_column(String(64), primary_key=True, info=spelled(spellings.address))
    owner_id: Mapped[str] = mapped_column(Id, index=True)
    position: Mapped[int] = mapped_column(default=0)


class PortGroup(Row):
    """A port's membership in a security group."""

    __tablename__ = "port_security_groups"

    port_id: Mapped[str] = mapped_column(Id, primary_key=True)
    group_id: Mapped[str] = mapped_column(Id, primary_key=True, index=True)
    position: Mapped[int] = mapped_column(default=0)


def seen_by(project_id: ProjectId) -> ColumnElement[bool]:
    """Own ports and those on own networks."""
    own_networks = select(Network.id).where(Network.project_id == project_id)
    return or_(Port.project_id == project_id, Port.network_id.in_(own_networks))
