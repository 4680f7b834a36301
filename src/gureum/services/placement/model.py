"""The placement tables. `Inventory.used` is the sum of its allocations, kept in the same transaction as they are."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.types import Id, Name, Row

ClassName = String(255)


class Provider(Row):
    """A resource provider. `root_id` is the top of its tree, itself when it has no parent."""

    __tablename__ = "providers"
    __table_args__ = (Index("ix_providers_age", "created_at", "id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Name, unique=True)
    generation: Mapped[int] = mapped_column(default=0)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("providers.id"))
    root_id: Mapped[str] = mapped_column(Id, index=True)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)


class ProviderInventory(Row):
    """How much of a class a provider offers. Usable: (total - reserved) * allocation_ratio, rounded down.

    Kept in the order of its key where a database can: decisions read the few rows of thousands of providers.
    """

    __tablename__ = "provider_inventories"
    __table_args__ = (
        Index("ix_provider_inventories_class", "resource_class", "provider_id"),
        {"sqlite_with_rowid": False},
    )

    provider_id: Mapped[str] = mapped_column(ForeignKey("providers.id", ondelete="CASCADE"), primary_key=True)
    resource_class: Mapped[str] = mapped_column(ClassName, primary_key=True)
    total: Mapped[int]
    reserved: Mapped[int] = mapped_column(default=0)
    min_unit: Mapped[int] = mapped_column(default=1)
    max_unit: Mapped[int] = mapped_column(default=2**31 - 1)
    step_size: Mapped[int] = mapped_column(default=1)
    allocation_ratio: Mapped[float] = mapped_column(default=1.0)
    used: Mapped[int] = mapped_column(default=0)


class ProviderTrait(Row):
    __tablename__ = "provider_traits"
    __table_args__ = (Index("ix_provider_traits_trait", "trait"),)

    provider_id: Mapped[str] = mapped_column(ForeignKey("providers.id", ondelete="CASCADE"), primary_key=True)
    trait: Mapped[str] = mapped_column(Name, primary_key=True)


class ProviderAggregate(Row):
    """`shown` is the id as it was given; without dashes it is the same aggregate."""

    __tablename__ = "provider_aggregates"

    provider_id: Mapped[str] = mapped_column(ForeignKey("providers.id", ondelete="CASCADE"), primary_key=True)
    aggregate_id: Mapped[str] = mapped_column(Id, primary_key=True, index=True)
    shown: Mapped[str] = mapped_column(Id)


class CustomClass(Row):
    """A resource class that operators added: CUSTOM_*."""

    __tablename__ = "resource_classes"

    name: Mapped[str] = mapped_column(ClassName, primary_key=True)


class CustomTrait(Row):
    """A trait that operators added: CUSTOM_*."""

    __tablename__ = "traits"

    name: Mapped[str] = mapped_column(Name, primary_key=True)


class Consumer(Row):
    """Who holds allocations: a server, or whatever an API client names."""

    __tablename__ = "consumers"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    project_id: Mapped[str] = mapped_column(Name, index=True)
    user_id: Mapped[str] = mapped_column(Name)
    type: Mapped[str | None] = mapped_column(Name)
    generation: Mapped[int] = mapped_column(default=1)


class Allocation(Row):
    __tablename__ = "allocations"
    __table_args__ = (Index("ix_allocations_provider_id", "provider_id"),)

    consumer_id: Mapped[str] = mapped_column(ForeignKey("consumers.id", ondelete="CASCADE"), primary_key=True)
    provider_id: Mapped[str] = mapped_column(ForeignKey("providers.id"), primary_key=True)
    resource_class: Mapped[str] = mapped_column(ClassName, primary_key=True)
    used: Mapped[int]
