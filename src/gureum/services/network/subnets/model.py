"""The subnets table and who may see a subnet."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, String, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Id, Json, Row
from gureum.services.network import spellings
from gureum.services.network.networks.model import Network
from gureum.services.network.networks.model import seen_by as networks_seen_by
from gureum.services.network.spellings import spelled
from gureum.services.network.standard import Standard


class Subnet(Standard, Row):
    """`pools` are [first, last] pairs."""

    __tablename__ = "subnets"

    network_id: Mapped[str] = mapped_column(Id, index=True)
    ip_version: Mapped[int]
    cidr: Mapped[str] = mapped_column(String(64), info=spelled(spellings.network))
    gateway_ip: Mapped[str | None] = mapped_column(String(64), info=spelled(spellings.address))
    enable_dhcp: Mapped[bool] = mapped_column(default=True)
    pools: Mapped[list[Any]] = mapped_column(Json)
    dns_servers: Mapped[list[str]] = mapped_column(Json, default=list)
    host_routes: Mapped[list[Any]] = mapped_column(Json, default=list)
    ra_mode: Mapped[str | None] = mapped_column(String(32), info=spelled(spellings.lower))
    address_mode: Mapped[str | None] = mapped_column(String(32), info=spelled(spellings.lower))


def seen_by(project: Any) -> ColumnElement[bool]:
    """Own subnets, and those of networks that the project owns or everyone sees."""
    seen = select(Network.id).where(networks_seen_by(project))
    return or_(Subnet.project_id == project, Subnet.network_id.in_(seen))
