"""The networks table and who may see a network."""

from __future__ import annotations

from sqlalchemy import ColumnElement, String, or_
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Json
from gureum.services.network import spellings
from gureum.services.network.spellings import spelled
from gureum.services.network.standard import ProjectId, Standard, StandardRow

OVERLAY = "geneve"


class Network(Standard):
    """A network is ACTIVE as soon as its row is there. The writer makes it in the engine later; ports wait for that."""

    __tablename__ = "networks"

    admin_state_up: Mapped[bool] = mapped_column(default=True)
    shared: Mapped[bool] = mapped_column(default=False, index=True)
    external: Mapped[bool] = mapped_column(default=False, index=True)
    is_default: Mapped[bool] = mapped_column(default=False)
    port_security: Mapped[bool] = mapped_column(default=True)
    mtu: Mapped[int]
    network_type: Mapped[str] = mapped_column(String(16), default=OVERLAY, info=spelled(spellings.lower))
    physical_network: Mapped[str | None] = mapped_column(String(64))
    vlan: Mapped[int | None]
    zone_hints: Mapped[list[str]] = mapped_column(Json, default=list)


class NetworkRow(StandardRow, frozen=True, gc=False):
    """What is read of a network."""

    admin_state_up: bool
    shared: bool
    external: bool
    is_default: bool
    port_security: bool
    mtu: int
    network_type: str
    physical_network: str | None
    vlan: int | None
    zone_hints: list[str]


def seen_by(project_id: ProjectId) -> ColumnElement[bool]:
    """Own networks, shared ones and external ones."""
    return or_(Network.project_id == project_id, Network.shared.is_(True), Network.external.is_(True))
