"""Writing inventories in one transaction; what is used of them stays with their rows.

The invariant: an inventory goes only when nothing of it is used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated

from msgspec import Meta, Struct
from sqlalchemy import select

from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Conflict
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.views import View
from gureum.services.placement import names
from gureum.services.placement.answers import INVENTORY_IN_USE, MOST, Generation
from gureum.services.placement.model import Provider, ProviderInventory

Amount = Annotated[int, Meta(ge=0, le=MOST)]
Unit = Annotated[int, Meta(ge=1, le=MOST)]


class Stock(Struct, forbid_unknown_fields=True, kw_only=True):
    """One inventory as a request gives it."""

    total: Unit
    reserved: Amount = 0
    min_unit: Unit = 1
    max_unit: Unit = MOST
    step_size: Unit = 1
    allocation_ratio: Annotated[float, Meta(ge=0, le=3.40282e38)] = 1.0


class GivenStock(Stock, forbid_unknown_fields=True, kw_only=True):
    """With the generation of the provider that the caller saw."""

    resource_provider_generation: Generation


class InventoryView(View):
    total: int
    reserved: int
    min_unit: int
    max_unit: int
    step_size: int
    allocation_ratio: float


class InventoryOfProvider(InventoryView):
    """With the provider's generation."""

    resource_provider_generation: int


FIELDS = Stock.__struct_fields__


def check(tx: Tx, provider: Provider, stocks: Mapping[str, Stock], version: Version) -> None:
    """Raises BadRequest for unknown classes and for more reserved than there is."""
    if unknown := names.unknown_classes(tx, stocks):
        raise BadRequest(f"Unknown resource class in inventory for resource provider {provider.id}: {unknown[0][:64]}")
    for resource_class, stock in stocks.items():
        if stock.reserved > stock.total or (stock.reserved == stock.total and version < (1, 26)):
            raise BadRequest(
                f"Unable to update inventory for resource provider {provider.id}: Invalid inventory for "
                f"'{resource_class}' on resource provider '{provider.id}'. The reserved value is greater than or "
                "equal to total."
            )


def held(tx: Tx, provider: Provider) -> dict[str, ProviderInventory]:
    """The provider's inventories by class."""
    statement = select(ProviderInventory).where(ProviderInventory.provider_id == provider.id)
    ordered = statement.order_by(ProviderInventory.resource_class)
    rows = tx.scalars(ordered, execution_options={"populate_existing": True})
    return {row.resource_class: row for row in rows}


def put(tx: Tx, provider: Provider, stocks: Mapping[str, Stock]) -> None:
    """Add or change these inventories; others stay."""
    present = held(tx, provider)
    for resource_class, stock in stocks.items():
        row = present.get(resource_class)
        if row is None:
            row = ProviderInventory(provider_id=provider.id, resource_class=resource_class, used=0)
            tx.add(row)
        for name in FIELDS:
            setattr(row, name, getattr(stock, name))
    tx.flush()


def drop(tx: Tx, provider: Provider, classes: Collection[str]) -> None:
    """Raises Conflict when something of them is used."""
    rows = [row for row in held(tx, provider).values() if row.resource_class in classes]
    used = sorted(row.resource_class for row in rows if row.used)
    if used:
        raise Conflict(
            f"Unable to delete inventory: Inventory for '{', '.join(used)}' on resource provider "
            f"'{provider.id}' in use.",
            code=INVENTORY_IN_USE,
        )
    for row in rows:
        tx.delete(row)
    tx.flush()


def view_of(row: ProviderInventory) -> InventoryView:
    return InventoryView(row.total, row.reserved, row.min_unit, row.max_unit, row.step_size, row.allocation_ratio)


def view_of_provider(row: ProviderInventory, provider: Provider) -> InventoryOfProvider:
    """An inventory by itself."""
    amounts = (row.total, row.reserved, row.min_unit, row.max_unit, row.step_size)
    return InventoryOfProvider(*amounts, row.allocation_ratio, provider.generation)
