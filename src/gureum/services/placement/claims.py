"""Taking from inventories and giving back: the only code that changes `ProviderInventory.used`.

One statement checks and changes all classes of one provider, so that two claims cannot both take the last of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import case, update

from gureum.foundation.db.engine import Tx
from gureum.services.placement.model import ProviderInventory

Amounts = Mapping[str, Mapping[str, int]]
"""provider id -> resource class -> amount."""

_UNSYNCED = {"synchronize_session": False}


def take(tx: Tx, provider_id: str, classes: Mapping[str, int]) -> bool:
    """Add to what is used of one provider, all classes or none, in one statement when they fit.

    False, with nothing written, when a class is not offered or its amount breaks the inventory's limits.
    """
    usable = (ProviderInventory.total - ProviderInventory.reserved) * ProviderInventory.allocation_ratio
    amount = case(dict(classes), value=ProviderInventory.resource_class)
    statement = (
        update(ProviderInventory)
        .where(
            ProviderInventory.provider_id == provider_id,
            ProviderInventory.resource_class.in_(sorted(classes)),
            ProviderInventory.used + amount <= usable,
            ProviderInventory.max_unit >= amount,
            ProviderInventory.min_unit <= amount,
            amount % ProviderInventory.step_size == 0,
        )
        .values(used=ProviderInventory.used + amount)
        .returning(ProviderInventory.resource_class)
    )
    fitted = list(tx.scalars(statement, execution_options=_UNSYNCED))
    if len(fitted) == len(classes):
        return True
    give_back(tx, {provider_id: {name: classes[name] for name in fitted}})
    return False


def take_back(tx: Tx, amounts: Amounts) -> None:
    """Undo `give_back`: what was held a moment ago is held again."""
    for provider_id, classes in amounts.items():
        _add(tx, provider_id, classes)


def give_back(tx: Tx, amounts: Amounts) -> None:
    for provider_id, classes in amounts.items():
        _add(tx, provider_id, {name: -amount for name, amount in classes.items()})


def _add(tx: Tx, provider_id: str, classes: Mapping[str, int]) -> None:
    if classes:
        amount = case(dict(classes), value=ProviderInventory.resource_class)
        mine = (ProviderInventory.provider_id == provider_id, ProviderInventory.resource_class.in_(sorted(classes)))
        statement = update(ProviderInventory).where(*mine).values(used=ProviderInventory.used + amount)
        tx.execute(statement, execution_options=_UNSYNCED)
