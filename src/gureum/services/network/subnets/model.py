"""The subnets table and who may see a subnet."""

from __future__ import annotations

from sqlalchemy import ColumnElement, String, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Id, Json
from gureum.services.network import spellings
from gureum.services.network.networks.model import Network
from gureum.services.network.networks.model import seen_by as networks_seen_by
from gureum.services.network.spellings import spelled
from gureum.services.network.standard import ProjectId, Standard, StandardRow


class Subnet(Standard):
    """`pools` are [first, last] pairs, `host_routes` are [destination, next hop] pairs."""

    __tablename__ = "subnets"

    network_id: Mapped[str] = mapped_column(Id, index=True)
    ip_version: Mapped[int]
    cidr: Mapped[str] = mapped_column(String(64), info=spelled(spellings.network))
    gateway_ip: Mapped[str | None] = mapped_column(String(64), info=spelled(spellings.address))
    enable_dhcp: Mapped[bool] = mapped_column(default=True)
    pools: Mapped[list[tuple[str, str]]] = mapped_column(Json)
    dns_servers: Mapped[list[str]] = mapped_column(Json, default=list)
    host_routes: Mapped[list[tuple[str, str]]] = mapped_column(Json, default=list)
    ra_mode: Mapped[str | None] = mapped_column(String(32), info=spelled(spellings.lower))
    address_mode: Mapped[str | None] = mapped_column(String(32), info=spelled(spellings.lower))


class SubnetRow(StandardRow, frozen=True, gc=False):
    """What is read of a subnet."""

    network_id: str
    ip_version: int
    cidr: str
    gateway_ip: str | None
    enable_dhcp: bool
    pools: list[tuple[str, str]]
    dns_servers: list[str]
    host_routes: list[tuple[str, str]]
    ra_mode: str | None
    address_mode: str | None


def seen_by(project_id: ProjectId) -> ColumnElement[bool]:
    """Own subnets, and those of networks that the project owns or everyone sees."""
    seen = select(Network.id).where(networks_seen_by(project_id))
    return or_(Subnet.project_id == project_id, Subnet.network_id.in_(seen))
