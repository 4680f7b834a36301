"""Endpoint groups, and what projects are given: endpoints one by one, or groups.

A project that is given nothing sees the whole catalog.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, ForeignKey, Text, and_, or_, select, true
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.types import Id, Json, Name, Row
from gureum.services.identity.catalog.model import Endpoint


class EndpointGroup(Row):
    """`filters` are attributes of endpoints and the values that they must have."""

    __tablename__ = "endpoint_groups"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Name, unique=True)
    description: Mapped[str | None] = mapped_column(Text)
    filters: Mapped[dict[str, str]] = mapped_column(Json)


class ProjectEndpoint(Row):
    __tablename__ = "project_endpoints"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(
        ForeignKey("endpoints.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class ProjectEndpointGroup(Row):
    __tablename__ = "project_endpoint_groups"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    group_id: Mapped[str] = mapped_column(
        ForeignKey("endpoint_groups.id", ondelete="CASCADE"), primary_key=True, index=True
    )


def fits(filters: dict[str, str]) -> ColumnElement[bool]:
    """The condition over endpoints that a group's filters are."""
    return and_(true(), *(getattr(Endpoint, name) == value for name, value in sorted(filters.items())))


def filtered_projects(tx: Tx) -> frozenset[str]:
    """The projects that are given anything at all."""
    found = {*tx.scalars(select(ProjectEndpoint.project_id).distinct())}
    found.update(tx.scalars(select(ProjectEndpointGroup.project_id).distinct()))
    return frozenset(found)


def given_to(tx: Tx, project_id: str) -> ColumnElement[bool]:
    """The condition over endpoints that says what a project is given."""
    own = select(ProjectEndpoint.endpoint_id).where(ProjectEndpoint.project_id == project_id)
    groups = (
        select(EndpointGroup.filters)
        .join(ProjectEndpointGroup, ProjectEndpointGroup.group_id == EndpointGroup.id)
        .where(ProjectEndpointGroup.project_id == project_id)
    )
    return or_(Endpoint.id.in_(own), *(fits(filters) for filters in tx.scalars(groups)))
