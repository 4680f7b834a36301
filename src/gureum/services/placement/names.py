"""The resource classes and traits that there are: the standard ones, and what operators and hosts added.

Sources: os-resource-classes, os-traits; placement API reference, "Resource classes", "Traits".
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import os_resource_classes
from sqlalchemy import select, union

from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest
from gureum.services.placement.model import CustomClass, CustomTrait, ProviderTrait

STANDARD_CLASSES = tuple(os_resource_classes.STANDARDS)
SHARING = "MISC_SHARES_VIA_AGGREGATE"


@cache
def standard_traits() -> frozenset[str]:
    """All of os-traits: a module for each family, so they are loaded when first asked for."""
    import os_traits

    return frozenset(os_traits.get_traits())


def classes(tx: Tx) -> list[str]:
    """Every resource class, the standard ones first."""
    return [*STANDARD_CLASSES, *tx.scalars(select(CustomClass.name).order_by(CustomClass.name))]


def traits(tx: Tx) -> set[str]:
    """Every trait; a host may carry one of its own before anyone named it here."""
    own = union(select(CustomTrait.name), select(ProviderTrait.trait))
    return {*standard_traits(), *tx.scalars(own)}


def unknown_classes(tx: Tx, asked: Iterable[str]) -> list[str]:
    rest = set(asked).difference(STANDARD_CLASSES)
    if not rest:
        return []
    return sorted(rest.difference(tx.scalars(select(CustomClass.name).where(CustomClass.name.in_(sorted(rest))))))


def check_traits(tx: Tx, asked: Iterable[str]) -> None:
    """Raises BadRequest that names the traits that do not exist."""
    rest = set(asked) - standard_traits()
    if not rest:
        return
    wanted = sorted(rest)
    own = union(
        select(CustomTrait.name).where(CustomTrait.name.in_(wanted)),
        select(ProviderTrait.trait).where(ProviderTrait.trait.in_(wanted)),
    )
    missing = rest.difference(tx.scalars(own))
    if missing:
        raise BadRequest(f"No such trait(s): {', '.join(sorted(missing))[:512]}.")
