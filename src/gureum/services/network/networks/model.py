"""The networks table and who may see a network."""

from __future__ import annotations

from sqlalchemy import ColumnElement, String, false, or_, select, true
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.caller import Caller
from gureum.foundation.db.types import Json, Row
from gureum.services.network.standard import Standard

OVERLAY = "geneve"


class Network(Standard, Row):
    """A network is ACTIVE from its row on: the writer brings it to the engine, ports wait for that, not clients."""

    __tablename__ = "networks"

    admin_state_up: Mapped[bool] = mapped_column(default=True)
    shared: Mapped[bool] = mapped_column(default=False, index=True)
    external: Mapped[bool] = mapped_column(default=False, index=True)
    is_default: Mapped[bool] = mapped_column(default=False)
    port_security: Mapped[bool] = mapped_column(default=True)
    mtu: Mapped[int]
    network_type: Mapped[str] = mapped_column(String(16), default=OVERLAY)
    physical_network: Mapped[str | None] = mapped_column(String(64))
    vlan: Mapped[int | None]
    zone_hints: Mapped[list[str]] = mapped_column(Json, default=list)


def visible(caller: Caller) -> ColumnElement[bool]:
    """Own networks, shared ones and external ones; all for an administrator."""
    if caller.is_admin:
        return true()
    mine = Network.project_id == caller.project_id if caller.project_id else false()
    return or_(mine, Network.shared.is_(True), Network.external.is_(True))


def open_networks() -> ColumnElement[bool]:
    """A predicate on a `network_id` column's values: networks that everyone sees."""
    return select(Network.id).where(or_(Network.shared.is_(True), Network.external.is_(True))).scalar_subquery()
