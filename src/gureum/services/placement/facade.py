"""What other services may ask of placement, in their own transactions.

A claim changes in the same transaction as what it is for, so that neither can exist without the other.
`candidates` is one pass over the inventories; the choice among them is the caller's pure function.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from msgspec import Struct
from sqlalchemy import Integer, and_, bindparam, case, delete, func, literal_column, or_, select, update

from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, as_tuple, insert_into, insert_unless_there, table_of
from gureum.foundation.quota import Projects
from gureum.services.placement.claims import Amounts, give_back, take, take_back
from gureum.services.placement.model import (
    Allocation,
    Consumer,
    Provider,
    ProviderAggregate,
    ProviderInventory,
    ProviderTrait,
)
from gureum.services.placement.roomiest import amounts_of, roomiest


@dataclass(frozen=True, slots=True)
class Inventory:
    total: int
    reserved: int = 0
    allocation_ratio: float = 1.0
    min_unit: int = 1
    max_unit: int = 2**31 - 1
    step_size: int = 1


@dataclass(frozen=True, slots=True)
class ProviderReport:
    """What a provider says of itself: inventories by class, and traits."""

    id: str
    name: str
    inventories: Mapping[str, Inventory]
    traits: frozenset[str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a consumer needs of one provider."""

    resources: Mapping[str, int]
    required: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()


class HostView(Struct, frozen=True, gc=False):
    """A provider that fits, and what it could still give, by class. A choice makes thousands of them."""

    provider_id: str
    name: str
    room: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The providers that fit, and for each other one the constraint that removed it: text -> provider names."""

    hosts: list[HostView]
    eliminated: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holding:
    """What a provider has of a class, what it keeps for itself, and what consumers hold."""

    total: int
    reserved: int
    used: int


class PlacementFacade:
    """Stateless: everything is in the transaction that the caller passes."""

    def ensure_providers(self, tx: Tx, reports: Sequence[ProviderReport]) -> None:
        """Make each provider, its inventories and its traits so; writes only what differs.

        As many statements for a thousand as for one, but for the rows that are new.
        """
        by_id = {report.id: report for report in reports}
        providers = {row.id: row for row in tx.scalars(select(Provider).where(Provider.id.in_(by_id)))}
        changed = set(by_id) - set(providers)
        for report in reports:
            if report.id in changed:
                providers[report.id] = Provider(id=report.id, name=report.name, root_id=report.id, generation=0)
                tx.add(providers[report.id])
        tx.flush()  # what refers to them comes after them
        changed |= _ensure_inventories(tx, by_id) | _ensure_traits(tx, by_id)
        for provider_id in changed:
            providers[provider_id].generation += 1
            providers[provider_id].updated_at = clock.utcnow()

    def remove_provider(self, tx: Tx, provider_id: str) -> None:
        """Delete a provider of which no consumer holds anything; otherwise the database refuses."""
        for table in (ProviderInventory, ProviderTrait, ProviderAggregate):
            tx.execute(delete(table).where(table.provider_id == provider_id))
        tx.execute(delete(Provider).where(Provider.id == provider_id))

    def holdings(self, tx: Tx, provider_ids: Sequence[str]) -> dict[str, dict[str, Holding]]:
        """provider id -> class -> what there is of it; providers without inventory are left out."""
        columns = (
            ProviderInventory.provider_id,
            ProviderInventory.resource_class,
            ProviderInventory.total,
            ProviderInventory.reserved,
            ProviderInventory.used,
        )
        found: dict[str, dict[str, Holding]] = defaultdict(dict)
        for provider_id, class_, *amounts in tx.execute(
            select(*columns).where(ProviderInventory.provider_id.in_(provider_ids))
        ):
            found[provider_id][class_] = Holding(*amounts)
        return found

    def candidates(self, tx: Tx, wanted: Wanted) -> Snapshot:
        """Every provider against `wanted`: a row for each, and one more statement when any trait is named."""
        classes = tuple(wanted.resources)
        particular = wanted.required | wanted.forbidden
        traits = self._traits(tx, particular) if particular else {}
        hosts: list[HostView] = []
        eliminated: dict[str, list[str]] = {}
        lacks = _lacks(wanted)
        for provider_id, name, lack, *free in _stock(classes).all(tx, **amounts_of(wanted.resources.values())):
            reason = lacks[lack]
            if particular and not reason:
                reason = _unfit(wanted, traits.get(provider_id, set()))
            if reason:
                eliminated.setdefault(reason, []).append(name)
            else:
                hosts.append(HostView(provider_id, name, dict(zip(classes, free, strict=True))))
        return Snapshot(hosts, eliminated)

    def roomiest(self, tx: Tx, wanted: Wanted, by: tuple[str, ...], most: int) -> list[HostView]:
        """At most `most` providers that fit, ordered by room of the classes `by`, then by name: the largest first.

        Empty when traits are named: `candidates` looks at those.
        """
        if wanted.required or wanted.forbidden:
            return []
        classes = tuple(wanted.resources)
        rows = roomiest(classes, by).all(tx, most=most, **amounts_of(wanted.resources.values()))
        return [HostView(id_, name, dict(zip(classes, free, strict=True))) for id_, name, *free in rows]

    def _traits(self, tx: Tx, asked: frozenset[str]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        statement = select(ProviderTrait.provider_id, ProviderTrait.trait)
        for provider_id, trait in tx.execute(statement.where(ProviderTrait.trait.in_(sorted(asked)))):
            found[provider_id].add(trait)
        return found

    def claim(self, tx: Tx, consumer_id: str, project_id: str, user_id: str, amounts: Amounts) -> bool:
        """Replace the consumer's claim by `amounts`. False, with nothing written, when it does not fit any more."""
        is_new = _CONSUME.run(
            tx,
            new_id=consumer_id,
            new_project_id=project_id,
            new_user_id=user_id,
            new_type="INSTANCE",
            new_generation=1,
        )
        before = {} if is_new else self.claim_of(tx, consumer_id)
        if {k: dict(v) for k, v in amounts.items()} == before:
            return True
        give_back(tx, before)
        taken: dict[str, Mapping[str, int]] = {}
        for provider_id, classes in amounts.items():
            if not take(tx, provider_id, classes):
                give_back(tx, taken)
                take_back(tx, before)
                if is_new:
                    _FORGET.run(tx, of=consumer_id)
                return False
            taken[provider_id] = classes
        if not is_new:
            _DROP.run(tx, of=consumer_id)
            grown = Consumer.generation + 1
            tx.execute(update(Consumer).where(Consumer.id == consumer_id).values(generation=grown))
        rows = [
            {"consumer_id": consumer_id, "provider_id": provider_id, "resource_class": resource_class, "used": amount}
            for provider_id, classes in amounts.items()
            for resource_class, amount in classes.items()
        ]
        _ALLOCATE.run_many(tx, rows)
        return True

    def release(self, tx: Tx, consumer_id: str) -> None:
        """Give back everything the consumer holds; nothing held is fine."""
        before = self.claim_of(tx, consumer_id)
        if before:
            give_back(tx, before)
            _DROP.run(tx, of=consumer_id)
            _FORGET.run(tx, of=consumer_id)

    def used(self, tx: Tx, projects: Projects, classes: Sequence[str]) -> dict[str, int]:
        """Class -> what the consumers of those projects hold of it."""
        sums = (
            select(Allocation.resource_class, func.sum(Allocation.used))
            .join(Consumer, Consumer.id == Allocation.consumer_id)
            .where(projects.hold(Consumer.project_id), Allocation.resource_class.in_(classes))
            .group_by(Allocation.resource_class)
        )
        return {name: int(amount) for name, amount in tx.execute(sums)}

    def claim_of(self, tx: Tx, consumer_id: str) -> dict[str, dict[str, int]]:
        """provider id -> class -> amount."""
        found: dict[str, dict[str, int]] = {}
        for provider_id, class_, amount in _CLAIM.all(tx, of=consumer_id):
            found.setdefault(provider_id, {})[class_] = amount
        return found


def _ensure_inventories(tx: Tx, reports: Mapping[str, ProviderReport]) -> set[str]:
    """The providers of which an inventory changed."""
    rows = tx.scalars(select(ProviderInventory).where(ProviderInventory.provider_id.in_(reports)))
    present = {(row.provider_id, row.resource_class): row for row in rows}
    changed = set()
    for report in reports.values():
        for resource_class, wanted in report.inventories.items():
            row = present.get((report.id, resource_class))
            if row is None:
                row = ProviderInventory(provider_id=report.id, resource_class=resource_class, total=0, used=0)
                tx.add(row)
            for name in Inventory.__slots__:
                if getattr(row, name) != getattr(wanted, name):
                    setattr(row, name, getattr(wanted, name))
                    changed.add(report.id)
    return changed


def _ensure_traits(tx: Tx, reports: Mapping[str, ProviderReport]) -> set[str]:
    """The providers that got a trait."""
    held = select(ProviderTrait.provider_id, ProviderTrait.trait).where(ProviderTrait.provider_id.in_(reports))
    wanted = {(report.id, trait) for report in reports.values() for trait in report.traits}
    lacking = wanted - {(provider_id, trait) for provider_id, trait in tx.execute(held)}
    tx.add_all(ProviderTrait(provider_id=provider_id, trait=trait) for provider_id, trait in lacking)
    return {provider_id for provider_id, _ in lacking}


_THEIRS = Allocation.consumer_id == bindparam("of")
_CLAIM = Prepared(select(Allocation.provider_id, Allocation.resource_class, Allocation.used).where(_THEIRS))
_CONSUME = insert_unless_there(Consumer, "id")
_ALLOCATE = insert_into(Allocation)
_DROP = Prepared(delete(table_of(Allocation)).where(_THEIRS))
_FORGET = Prepared(delete(table_of(Consumer)).where(Consumer.id == bindparam("of")))
_PROVIDERS: Any = Provider.__table__
_INVENTORIES: Any = ProviderInventory.__table__


@lru_cache(maxsize=64)
def _stock(classes: tuple[str, ...]) -> Prepared[tuple[Any, ...]]:
    """A row for each provider with any of the classes: what it lacks, a place in `_lacks`, and what is free by class.

    Amounts are the parameters amount_0, amount_1, ... Building it costs more than running it, hence the cache; and
    each column more than a comparison, hence one for all that a provider may lack.
    """
    free: list[Any] = []
    joined: Any = _PROVIDERS
    offered, lacks = [], []
    for index, resource_class in enumerate(classes):
        stock = _INVENTORIES.alias(f"stock_{index}").c
        amount = bindparam(f"amount_{index}", type_=Integer)
        free.append((stock.total - stock.reserved) * stock.allocation_ratio - stock.used)
        lacks += [
            stock.total.is_(None),
            or_(amount > free[-1], stock.max_unit < amount),
            or_(stock.min_unit > amount, amount % stock.step_size != 0),
        ]
        same = and_(stock.provider_id == _PROVIDERS.c.id, stock.resource_class == resource_class)
        joined = joined.outerjoin(stock.total.table, same)
        offered.append(stock.total.isnot(None))
    lack = case(*((condition, literal_column(str(place))) for place, condition in enumerate(lacks, 1)), else_=_NOTHING)
    return Prepared(
        select(_PROVIDERS.c.id, _PROVIDERS.c.name, lack, *free).select_from(joined).where(or_(*offered)), make=as_tuple
    )


_NOTHING = literal_column("0", Integer)


def _lacks(wanted: Wanted) -> list[str]:
    """What `_stock` says that a provider lacks; the first is nothing."""
    found = [""]
    for resource_class, amount in wanted.resources.items():
        found += [
            f"offers no {resource_class}",
            f"not enough {resource_class}: {amount} wanted",
            f"gives {resource_class} in other units: {amount} wanted",
        ]
    return found


def _unfit(wanted: Wanted, traits: set[str]) -> str:
    """Why a provider with room does not fit, or ""."""
    if missing := wanted.required - traits:
        return f"lacks trait {min(missing)}"
    if refused := wanted.forbidden & traits:
        return f"has forbidden trait {min(refused)}"
    return ""
