"""The tables of metadata definitions. Everything but resource types belongs to one namespace and goes with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, String, UniqueConstraint, or_
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.types import Id, Json, Name, Row

NAME_CHARACTERS = 80
_Short = String(NAME_CHARACTERS)
_NAMESPACE = "metadef_namespaces.id"


class Namespace(Row):
    """`visibility` is public or private: a private one is its owner project's and the administrators'."""

    __tablename__ = "metadef_namespaces"
    __table_args__ = (Index("ix_metadef_namespaces_list", "created_at", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    namespace: Mapped[str] = mapped_column(_Short, unique=True)
    display_name: Mapped[str | None] = mapped_column(_Short)
    description: Mapped[str | None] = mapped_column(String(500))
    visibility: Mapped[str] = mapped_column(String(16), default="private")
    protected: Mapped[bool] = mapped_column(default=False)
    owner: Mapped[str | None] = mapped_column(Name)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)


class NamespaceObject(Row):
    """`properties` are property definitions by name."""

    __tablename__ = "metadef_objects"
    __table_args__ = (UniqueConstraint("namespace_id", "name"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    namespace_id: Mapped[str] = mapped_column(Id, ForeignKey(_NAMESPACE))
    name: Mapped[str] = mapped_column(_Short)
    description: Mapped[str | None]
    properties: Mapped[dict[str, Any]] = mapped_column(Json)
    required: Mapped[list[str]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)


class NamespaceProperty(Row):
    """`definition` is the property's JSON schema without its name."""

    __tablename__ = "metadef_properties"
    __table_args__ = (UniqueConstraint("namespace_id", "name"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    namespace_id: Mapped[str] = mapped_column(Id, ForeignKey(_NAMESPACE))
    name: Mapped[str] = mapped_column(_Short)
    definition: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)


class NamespaceTag(Row):
    __tablename__ = "metadef_tags"
    __table_args__ = (UniqueConstraint("namespace_id", "name"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    namespace_id: Mapped[str] = mapped_column(Id, ForeignKey(_NAMESPACE))
    name: Mapped[str] = mapped_column(_Short)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)


class ResourceType(Row):
    """A kind of thing that has properties, e.g. OS::Glance::Image."""

    __tablename__ = "metadef_resource_types"

    name: Mapped[str] = mapped_column(_Short, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)


class Association(Row):
    """The namespace is for things of this type; there its properties' names begin with `prefix`."""

    __tablename__ = "metadef_associations"

    namespace_id: Mapped[str] = mapped_column(Id, ForeignKey(_NAMESPACE), primary_key=True)
    resource_type: Mapped[str] = mapped_column(_Short, ForeignKey("metadef_resource_types.name"), primary_key=True)
    prefix: Mapped[str | None] = mapped_column(_Short)
    properties_target: Mapped[str | None] = mapped_column(_Short)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)


def visible_to(project: Any) -> ColumnElement[bool]:
    """The namespaces that a project may see; `project` is an id or a parameter's place."""
    return or_(Namespace.visibility == "public", Namespace.owner == project)
