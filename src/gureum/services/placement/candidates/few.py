"""All providers at once, where there are few: two fixed statements; the solver leaves out providers that do not fit.

Only for trees of one provider, none of which shares: then the work grows with their number alone. `supplies.py` reads
for every other cloud, and both give the solver what leads to the same candidates in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, as_tuple, table_of
from gureum.services.placement.candidates.asking import Asked
from gureum.services.placement.candidates.solver import Stock, Supply
from gureum.services.placement.model import Provider, ProviderInventory, ProviderTrait
from gureum.services.placement.names import SHARING

FEW_INVENTORIES = 256
FEW_TRAITS = 1_024
"""Up to here an answer takes a few milliseconds at most."""

_PROVIDER, _INVENTORY, _TRAIT = (table_of(model).c for model in (Provider, ProviderInventory, ProviderTrait))
_OFFERS = Prepared(
    select(
        _PROVIDER.id,
        _PROVIDER.parent_id,
        _INVENTORY.resource_class,
        (_INVENTORY.total - _INVENTORY.reserved) * _INVENTORY.allocation_ratio,
        _INVENTORY.used,
        _INVENTORY.min_unit,
        _INVENTORY.max_unit,
        _INVENTORY.step_size,
    )
    .join_from(table_of(Provider), table_of(ProviderInventory), _INVENTORY.provider_id == _PROVIDER.id, isouter=True)
    .order_by(_PROVIDER.created_at, _PROVIDER.id, _INVENTORY.resource_class)
    .limit(FEW_INVENTORIES + 1),
    as_tuple,
)
_HELD = Prepared(select(_TRAIT.provider_id, _TRAIT.trait).order_by(_TRAIT.trait).limit(FEW_TRAITS + 1), as_tuple)


@dataclass(frozen=True, slots=True)
class Few:
    """Every provider for the solver, and all its traits by name."""

    supplies: dict[str, Supply]
    traits: dict[str, list[str]]


def few_supplies(tx: Tx, asked: Asked, *, whole_stock: bool) -> Few | None:
    """None when there are more than a few providers, or when trees or aggregates have to be looked at."""
    if any(group.membership for group in asked.request.groups):
        return None
    offers, held = _OFFERS.all(tx), _HELD.all(tx)
    if len(offers) > FEW_INVENTORIES or len(held) > FEW_TRAITS:
        return None
    supplies: dict[str, Supply] = {}
    for provider_id, parent_id, resource_class, size, *units in offers:
        if parent_id is not None:
            return None
        supply = supplies.get(provider_id)
        if supply is None:
            supply = supplies[provider_id] = Supply(provider_id, None, provider_id)
        if resource_class is not None and (whole_stock or resource_class in asked.resource_classes):
            supply.stock[resource_class] = Stock(int(size), *units)
    traits: dict[str, list[str]] = {}
    for provider_id, trait in held:
        if trait == SHARING:
            return None
        traits.setdefault(provider_id, []).append(trait)
        if trait in asked.trait_names:
            supplies[provider_id].traits.add(trait)
    return Few(supplies, traits)
