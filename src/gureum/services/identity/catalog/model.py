"""Regions, services and endpoints."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Id, Json, Name, Row


class Region(Row):
    __tablename__ = "regions"

    id: Mapped[str] = mapped_column(Name, primary_key=True)
    description: Mapped[str] = mapped_column(Text, default="")
    parent_region_id: Mapped[str | None] = mapped_column(ForeignKey("regions.id"))
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class Service(Row):
    __tablename__ = "services"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    type: Mapped[str] = mapped_column(Name)
    name: Mapped[str | None] = mapped_column(Name)
    description: Mapped[str | None] = mapped_column(Text)
    enabled: Mapped[bool] = mapped_column(default=True)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class Endpoint(Row):
    __tablename__ = "endpoints"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id", ondelete="CASCADE"), index=True)
    interface: Mapped[str] = mapped_column(String(16))
    region_id: Mapped[str | None] = mapped_column(ForeignKey("regions.id"))
    url: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool] = mapped_column(default=True)
    name: Mapped[str | None] = mapped_column(Name)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class OwnEndpoint(Row):
    """An endpoint that the cloud made for one of its own services.

    It is `withdrawn` while the service is disabled, `with_service` when the service's entry was disabled too.
    """

    __tablename__ = "own_endpoints"

    endpoint_id: Mapped[str] = mapped_column(ForeignKey("endpoints.id", ondelete="CASCADE"), primary_key=True)
    withdrawn: Mapped[bool] = mapped_column(default=False)
    with_service: Mapped[bool] = mapped_column(default=False)
