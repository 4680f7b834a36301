"""Taking from inventories and giving back: the only code that changes `ProviderInventory.used`.

One statement checks and changes all classes of one provider, so that two claims cannot both take the last of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Case, ColumnElement, Integer, bindparam, case, update

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, only, table_of
from gureum.services.placement.model import ProviderInventory

Amounts = Mapping[str, Mapping[str, int]]
"""provider id -> resource class -> amount."""


def take(tx: Tx, provider_id: str, classes: Mapping[str, int]) -> bool:
    """Add to what is used of one provider, all classes or none, in one statement when they fit.

    False, with nothing written, when a class is not offered or its amount breaks the inventory's limits.
    """
    fitted = _take(tuple(classes)).all(tx, of=provider_id, **_amounts(classes))
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
        _change(tuple(classes)).run(tx, of=provider_id, **_amounts(classes))


def _amounts(classes: Mapping[str, int]) -> dict[str, int]:
    return {f"amount_{place}": amount for place, amount in enumerate(classes.values())}


def _amount_of(classes: tuple[str, ...]) -> Case[int]:
    """The amount of each row's class: the parameters amount_0, amount_1, ..."""
    whens = {name: bindparam(f"amount_{place}", type_=Integer) for place, name in enumerate(classes)}
    return case(whens, value=ProviderInventory.resource_class)


def _of(classes: tuple[str, ...]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return ProviderInventory.provider_id == bindparam("of"), ProviderInventory.resource_class.in_(classes)


@lru_cache(maxsize=64)
def _take(classes: tuple[str, ...]) -> Prepared[str]:
    usable = (ProviderInventory.total - ProviderInventory.reserved) * ProviderInventory.allocation_ratio
    amount = _amount_of(classes)
    fitting = (
        ProviderInventory.used + amount <= usable,
        ProviderInventory.max_unit >= amount,
        ProviderInventory.min_unit <= amount,
        amount % ProviderInventory.step_size == 0,
    )
    changed = update(table_of(ProviderInventory)).where(*_of(classes), *fitting)
    grown = changed.values(used=ProviderInventory.used + amount)
    return Prepared(grown.returning(ProviderInventory.resource_class), make=only)


@lru_cache(maxsize=64)
def _change(classes: tuple[str, ...]) -> Prepared[Any]:
    changed = update(table_of(ProviderInventory)).where(*_of(classes))
    return Prepared(changed.values(used=ProviderInventory.used + _amount_of(classes)))
