"""The providers that a request for candidates has to look at, read tree by tree, so that a limit also limits the work.

Without sharing providers every candidate lies in one tree. Then only trees that hold enough of each class, and each
required trait, are read, oldest root first, in chunks as large as the limit. A tree that is read may still offer
nothing: the solver decides, these statements only leave out what cannot be. With a sharing provider anywhere a
tree may borrow from it, and everything is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, or_, select
from sqlalchemy.orm import aliased

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, as_tuple, table_of
from gureum.services.placement.candidates.asking import Asked
from gureum.services.placement.candidates.solver import Stock, Supply
from gureum.services.placement.model import Provider, ProviderAggregate, ProviderInventory, ProviderTrait
from gureum.services.placement.names import SHARING

CHUNK = 1_000
AT_ONCE = 1_024
"""Ids in one statement: databases bound their number, and a power of two needs no filling up."""

_PROVIDERS, _INVENTORIES, _TRAITS, _AGGREGATES = (
    table_of(model).c for model in (Provider, ProviderInventory, ProviderTrait, ProviderAggregate)
)
_MEMBER = aliased(Provider, name="member")
_UNITS = (_INVENTORIES.used, _INVENTORIES.min_unit, _INVENTORIES.max_unit, _INVENTORIES.step_size)
_SIZE = (_INVENTORIES.total - _INVENTORIES.reserved) * _INVENTORIES.allocation_ratio
_CLASSES: Any = bindparam("classes", expanding=True)
_NAMES: Any = bindparam("names", expanding=True)
_SHARED = Prepared(select(exists().where(_TRAITS.trait == SHARING)), as_tuple)


class _Rows:
    """A statement's rows: all, or those whose column is among some ids; prepared, for there may be thousands."""

    def __init__(self, statement: Select[Any], column: ColumnElement[Any]) -> None:
        self._all = Prepared(statement, as_tuple)
        self._among = Prepared(statement.where(column.in_(bindparam("ids", expanding=True))), as_tuple)

    def read(self, tx: Tx, ids: Sequence[str] | None, **values: Any) -> Iterator[tuple[Any, ...]]:
        if ids is None:
            yield from self._all.all(tx, **values)
            return
        for start in range(0, len(ids), AT_ONCE):
            yield from self._among.all(tx, ids=ids[start : start + AT_ONCE], **values)


_TREES = _Rows(
    select(_PROVIDERS.id, _PROVIDERS.parent_id, _PROVIDERS.root_id).order_by(_PROVIDERS.created_at, _PROVIDERS.id),
    _PROVIDERS.root_id,
)
_STOCK = select(_INVENTORIES.provider_id, _INVENTORIES.resource_class, _SIZE, *_UNITS)
_WHOLE_STOCK = _Rows(_STOCK, _INVENTORIES.provider_id)
_ASKED_STOCK = _Rows(_STOCK.where(_INVENTORIES.resource_class.in_(_CLASSES)), _INVENTORIES.provider_id)
_HELD = select(_TRAITS.provider_id, _TRAITS.trait)
_ALL_TRAITS = _Rows(_HELD.order_by(_TRAITS.trait), _TRAITS.provider_id)
_ASKED_TRAITS = _Rows(_HELD.where(_TRAITS.trait.in_(_NAMES)), _TRAITS.provider_id)
_JOINED = _Rows(select(_AGGREGATES.provider_id, _AGGREGATES.aggregate_id), _AGGREGATES.provider_id)


def chunks_of(tx: Tx, asked: Asked, *, whole_stock: bool) -> Iterator[dict[str, Supply]]:
    """Chunks of whole trees in the order of their roots. `whole_stock` reads classes that were not asked for too."""
    if _SHARED.all(tx)[0][0]:
        yield _read(tx, asked, None, whole_stock=whole_stock)
        return
    size = min(asked.limit or CHUNK, CHUNK)
    after: Any = None
    while True:
        roots = tx.execute(_roots(asked, after).limit(size)).all()
        if roots:
            yield _read(tx, asked, [row[0] for row in roots], whole_stock=whole_stock)
        if len(roots) < size:
            return
        after, size = roots[-1], CHUNK


def _roots(asked: Asked, after: Any) -> Select[str, datetime]:
    """The roots of trees that may hold a candidate, behind one that was read."""
    statement = select(Provider.id, Provider.created_at).where(Provider.parent_id.is_(None))
    if after is not None:
        later = and_(Provider.created_at == after[1], Provider.id > after[0])
        statement = statement.where(or_(Provider.created_at > after[1], later))
    least: dict[str, int] = {}
    for group in asked.request.groups:
        for resource_class, amount in group.resources.items():
            least[resource_class] = min(amount, least.get(resource_class, amount))
        if group.tree is not None:
            statement = statement.where(Provider.id == group.tree)
        statement = statement.where(*(_holds(traits) for traits in group.traits.required))
    statement = statement.where(*(_holds(traits) for traits in asked.request.root.required))
    statement = statement.where(*(_offers(name, amount) for name, amount in least.items()))
    return statement.order_by(Provider.created_at, Provider.id)


def _offers(resource_class: str, amount: int) -> ColumnElement[bool]:
    """Whether anything in the root's tree has so much of the class left."""
    usable = (ProviderInventory.total - ProviderInventory.reserved) * ProviderInventory.allocation_ratio
    return _in_tree(
        ProviderInventory.provider_id == _MEMBER.id,
        ProviderInventory.resource_class == resource_class,
        ProviderInventory.used + amount <= usable,
    )


def _holds(traits: frozenset[str]) -> ColumnElement[bool]:
    """Whether anything in the root's tree has one of the traits."""
    return _in_tree(ProviderTrait.provider_id == _MEMBER.id, ProviderTrait.trait.in_(sorted(traits)))


def _in_tree(*terms: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a member of the root's tree has a row of which the terms hold.

    One question inside the other, because SQLite begins a join of both with the many rows of a class.
    """
    return exists().where(_MEMBER.root_id == Provider.id, exists().where(*terms).correlate(_MEMBER))


def _read(tx: Tx, asked: Asked, roots: Sequence[str] | None, *, whole_stock: bool) -> dict[str, Supply]:
    """All members of the trees, or of all trees, with what the request needs to know of them."""
    found = {row[0]: Supply(*row) for row in _TREES.read(tx, roots)}
    members = None if roots is None else list(found)
    if whole_stock:
        stock = _WHOLE_STOCK.read(tx, members)
    else:
        stock = _ASKED_STOCK.read(tx, members, classes=sorted(asked.resource_classes))
    for provider_id, name, size, *units in stock:
        found[provider_id].stock[name] = Stock(int(size), *units)
    for provider_id, trait in _ASKED_TRAITS.read(tx, members, names=sorted(asked.trait_names | {SHARING})):
        found[provider_id].traits.add(trait)
    if roots is None or any(group.membership for group in asked.request.groups):
        for provider_id, aggregate in _JOINED.read(tx, members):
            found[provider_id].aggregates.add(aggregate)
    return found


def traits_of(tx: Tx, provider_ids: Sequence[str]) -> dict[str, list[str]]:
    """All traits of the providers, by name."""
    found: dict[str, list[str]] = {}
    for provider_id, trait in _ALL_TRAITS.read(tx, provider_ids):
        found.setdefault(provider_id, []).append(trait)
    return found
