"""The routers table. A router's legs and its gateway are ports (`../ports/model.py`) that name it as their device."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Id, Json
from gureum.services.network.standard import Standard, StandardRow


class Router(Standard):
    """`routes` are [destination, next hop] pairs. The API shows the gateway port without a project."""

    __tablename__ = "routers"

    admin_state_up: Mapped[bool] = mapped_column(default=True)
    external_network_id: Mapped[str | None] = mapped_column(Id, index=True)
    gateway_port_id: Mapped[str | None] = mapped_column(Id)
    enable_snat: Mapped[bool] = mapped_column(default=True)
    routes: Mapped[list[tuple[str, str]]] = mapped_column(Json, default=list)
    zone_hints: Mapped[list[str]] = mapped_column(Json, default=list)


class RouterRow(StandardRow, frozen=True, gc=False):
    """What is read of a router."""

    admin_state_up: bool
    external_network_id: str | None
    gateway_port_id: str | None
    enable_snat: bool
    routes: list[tuple[str, str]]
    zone_hints: list[str]
