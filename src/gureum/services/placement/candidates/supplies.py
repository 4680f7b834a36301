"""The providers that a request for candidates has to look at, read tree by tree, so that a limit also limits the work.

Without sharing providers every candidate lies in one tree. Then only trees that hold enough of each class, and each
required trait, are read, oldest root first, in chunks as large as the limit. A tree that is read may still offer
nothing: the solver decides, these statements only leave out what cannot be. With a sharing provider anywhere a
tree may borrow from it, and everything is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, exists, or_, select

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
_MEMBERS = table_of(Provider).alias("member")
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

    def read(self, tx: Tx, ids: Sequence[str] | None, **values: Any) -> Iterable[tuple[Any, ...]]:
        if ids is None:
            return self._all.all(tx, **values)
        starts = range(0, len(ids), AT_ONCE)
        return chain.from_iterable(self._among.all(tx, ids=ids[start : start + AT_ONCE], **values) for start in starts)


_TREES = select(_PROVIDERS.id, _PROVIDERS.parent_id, _PROVIDERS.root_id).order_by(_PROVIDERS.created_at, _PROVIDERS.id)
_EVERYONE = Prepared(_TREES, as_tuple)
_BRANCHES = _Rows(_TREES.where(_PROVIDERS.parent_id.isnot(None)), _PROVIDERS.root_id)
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
    after: tuple[str, datetime] | None = None
    while True:
        roots = _roots(tx, asked, after, size)
        if roots:
            yield _read(tx, asked, [row[0] for row in roots], whole_stock=whole_stock)
        if len(roots) < size:
            return
        after, size = roots[-1], CHUNK


def _roots(tx: Tx, asked: Asked, after: tuple[str, datetime] | None, most: int) -> list[tuple[str, datetime]]:
    """The roots of trees that may hold a candidate, behind one that was read."""
    request = asked.request
    least: dict[str, int] = {}
    for group in request.groups:
        for resource_class, amount in group.resources.items():
            least[resource_class] = min(amount, least.get(resource_class, amount))
    trees = [group.tree for group in request.groups if group.tree is not None]
    traits = [names for group in request.groups for names in group.traits.required] + [*request.root.required]
    values: dict[str, Any] = {"most": most}
    for place, (resource_class, amount) in enumerate(least.items()):
        values |= {f"class_{place}": resource_class, f"amount_{place}": amount}
    values |= {f"tree_{place}": tree for place, tree in enumerate(trees)}
    values |= {f"traits_{place}": sorted(names) for place, names in enumerate(traits)}
    if after is not None:
        values |= {"after_id": after[0], "after_created_at": after[1]}
    return _roots_statement(len(least), len(trees), len(traits), behind=after is not None).all(tx, **values)


@lru_cache(maxsize=128)
def _roots_statement(classes: int, trees: int, traits: int, *, behind: bool) -> Prepared[tuple[str, datetime]]:
    """A statement for each shape of request: building it takes ten times as long as running it."""
    root = _PROVIDERS
    statement = select(root.id, root.created_at).where(root.parent_id.is_(None))
    if behind:
        moment = bindparam("after_created_at", type_=root.created_at.type)
        later = and_(root.created_at == moment, root.id > bindparam("after_id"))
        statement = statement.where(or_(root.created_at > moment, later))
    statement = statement.where(*(root.id == bindparam(f"tree_{place}") for place in range(trees)))
    statement = statement.where(*(_holds(f"traits_{place}") for place in range(traits)))
    statement = statement.where(*(_offers(place) for place in range(classes)))
    return Prepared(statement.order_by(root.created_at, root.id).limit(bindparam("most")), as_tuple)


def _offers(place: int) -> ColumnElement[bool]:
    """Whether anything in the root's tree has so much of a class left."""
    enough = _INVENTORIES.used + bindparam(f"amount_{place}", type_=Integer) <= _SIZE
    return _in_tree(_INVENTORIES.provider_id, _INVENTORIES.resource_class == bindparam(f"class_{place}"), enough)


def _holds(names: str) -> ColumnElement[bool]:
    """Whether anything in the root's tree has one of the traits."""
    return _in_tree(_TRAITS.provider_id, _TRAITS.trait.in_(bindparam(names, expanding=True)))


def _in_tree(holder: ColumnElement[str], *terms: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether the root, or else another member of its tree, is the `holder` of a row of which the terms hold.

    The root comes first, because it is mostly all of its tree; and for the others one question stands inside the
    other, because SQLite begins a join of both with the many rows of a class.
    """
    others = exists().where(
        _MEMBERS.c.root_id == _PROVIDERS.id, exists().where(holder == _MEMBERS.c.id, *terms).correlate(_MEMBERS)
    )
    return or_(exists().where(holder == _PROVIDERS.id, *terms).correlate(table_of(Provider)), others)


def _read(tx: Tx, asked: Asked, roots: Sequence[str] | None, *, whole_stock: bool) -> dict[str, Supply]:
    """All members of the trees, or of all trees, with what the request needs to know of them."""
    if roots is None:
        found = {row[0]: Supply(*row) for row in _EVERYONE.all(tx)}
    else:
        found = {root_id: Supply(root_id, None, root_id) for root_id in roots}
        found |= {row[0]: Supply(*row) for row in _BRANCHES.read(tx, roots)}
    members = None if roots is None else list(found)
    if whole_stock:
        stock = _WHOLE_STOCK.read(tx, members)
    else:
        stock = _ASKED_STOCK.read(tx, members, classes=sorted(asked.resource_classes))
    for provider_id, name, size, used, least, most, step in stock:
        found[provider_id].stock[name] = Stock(int(size), used, least, most, step)
    if names := asked.trait_names | ({SHARING} if roots is None else set()):
        for provider_id, trait in _ASKED_TRAITS.read(tx, members, names=sorted(names)):
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
