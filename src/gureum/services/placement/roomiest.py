"""The few providers with the most room, without reading all of them: what most choices among thousands need.

They are ordered by what is free of the classes in `by`: a choice by the same order finds the best of all among them.
`facade.candidates` reads every provider, and says of each that does not fit why.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, and_, bindparam, desc, select

from gureum.foundation.db.prepared import Prepared, as_tuple, table_of
from gureum.services.placement.model import Provider, ProviderInventory

_PROVIDER = table_of(Provider)


def amounts_of(amounts: Iterable[int]) -> dict[str, int]:
    """The parameters of `roomiest`, in the order of its classes."""
    return {f"amount_{place}": amount for place, amount in enumerate(amounts)}


@lru_cache(maxsize=64)
def roomiest(classes: tuple[str, ...], by: tuple[str, ...]) -> Prepared[tuple[Any, ...]]:
    """Of those that fit, at most `most`: id, name and what is free by class; ordered by what is free of each of `by`,
    then by name, the largest first. Building it costs more than running it, hence the cache.
    """
    joined: Any = _PROVIDER
    free: dict[str, Any] = {}
    for place, resource_class in enumerate(classes):
        stock = table_of(ProviderInventory).alias(f"stock_{place}")
        amount = bindparam(f"amount_{place}", type_=Integer)
        room = (stock.c.total - stock.c.reserved) * stock.c.allocation_ratio - stock.c.used
        free[resource_class] = room
        fits = (room >= amount, stock.c.max_unit >= amount, stock.c.min_unit <= amount, amount % stock.c.step_size == 0)
        same = and_(stock.c.provider_id == _PROVIDER.c.id, stock.c.resource_class == resource_class)
        joined = joined.join(stock, and_(same, *fits))
    order = [desc(free[resource_class]) for resource_class in by if resource_class in free]
    statement = select(_PROVIDER.c.id, _PROVIDER.c.name, *free.values()).select_from(joined)
    return Prepared(statement.order_by(*order, desc(_PROVIDER.c.name)).limit(bindparam("most")), as_tuple)
