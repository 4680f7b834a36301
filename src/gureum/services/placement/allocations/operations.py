"""Replacing what consumers hold, several at once, all or nothing.

The invariant: an inventory's `used` is the sum of its allocations, because only `claims.py` changes the one and only
this module and the facade change the other, in the same transaction. A consumer's row exists while it holds something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import UNSET, UnsetType
from sqlalchemy import delete, insert, select, update

from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Conflict, NotFound
from gureum.services.placement import names
from gureum.services.placement.answers import CONCURRENT
from gureum.services.placement.claims import give_back, take
from gureum.services.placement.model import Allocation, Consumer, Provider

INCOMPLETE = "00000000-0000-0000-0000-000000000000"
"""The project and user of consumers that were written before 1.8 asked for them."""


@dataclass(frozen=True, slots=True)
class ConsumerWrite:
    """What a consumer is to hold; nothing, when `amounts` is empty. An unset `generation` is not checked."""

    consumer_id: str
    amounts: Mapping[str, Mapping[str, int]]
    project_id: str = INCOMPLETE
    user_id: str = INCOMPLETE
    generation: int | UnsetType | None = UNSET
    type: str | UnsetType | None = UNSET


def replace(tx: Tx, writes: Sequence[ConsumerWrite]) -> None:
    """Raises BadRequest for unknown providers and classes, Conflict for generations and for what does not fit.

    The generation of each provider that something is taken of rises; giving back leaves it.
    """
    ids = [write.consumer_id for write in writes]
    consumers = {row.id: row for row in tx.scalars(select(Consumer).where(Consumer.id.in_(ids)))}
    for write in writes:
        _check_generation(write, consumers.get(write.consumer_id))
    _check_names(tx, writes)
    before = _held(tx, ids)
    touched: set[str] = set()
    for amounts in before.values():
        give_back(tx, amounts)
    for write in writes:
        for provider_id in sorted(write.amounts):
            _take(tx, provider_id, write.amounts[provider_id])
            touched.add(provider_id)
    tx.execute(delete(Allocation).where(Allocation.consumer_id.in_(ids)))
    for write in writes:
        _keep(tx, write, consumers.get(write.consumer_id))
    tx.flush()
    rows = [
        {"consumer_id": write.consumer_id, "provider_id": provider_id, "resource_class": name, "used": amount}
        for write in writes
        for provider_id, classes in write.amounts.items()
        for name, amount in classes.items()
    ]
    if rows:
        tx.execute(insert(Allocation), rows)
    changed = {"generation": Provider.generation + 1, "updated_at": clock.utcnow()}
    tx.execute(
        update(Provider).where(Provider.id.in_(sorted(touched))).values(changed),
        execution_options={"synchronize_session": False},
    )


def remove(tx: Tx, consumer_id: str) -> None:
    """Raises NotFound when the consumer holds nothing."""
    if not _held(tx, [consumer_id]):
        raise NotFound(f"No allocations for consumer '{consumer_id[:64]}'")
    replace(tx, [ConsumerWrite(consumer_id, {})])


def _check_generation(write: ConsumerWrite, consumer: Consumer | None) -> None:
    if write.generation is UNSET:
        return
    known = consumer.generation if consumer else None
    if known != write.generation:
        raise Conflict(
            f"consumer generation conflict - expected {_shown(known)} but got {_shown(write.generation)}",
            code=CONCURRENT,
        )


def _shown(generation: int | None) -> str:
    return "null" if generation is None else str(generation)


def _check_names(tx: Tx, writes: Sequence[ConsumerWrite]) -> None:
    asked = {provider_id for write in writes for provider_id in write.amounts}
    missing = asked.difference(tx.scalars(select(Provider.id).where(Provider.id.in_(sorted(asked)))))
    if missing:
        raise BadRequest(f"Allocation for resource provider '{min(missing)}' that does not exist.")
    unknown = names.unknown_classes(
        tx, {name for write in writes for classes in write.amounts.values() for name in classes}
    )
    if unknown:
        raise BadRequest(f"No such resource class {unknown[0][:255]}.")


def _held(tx: Tx, consumer_ids: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
    """consumer -> provider -> class -> amount."""
    columns = (Allocation.consumer_id, Allocation.provider_id, Allocation.resource_class, Allocation.used)
    found: dict[str, dict[str, dict[str, int]]] = {}
    rows = tx.execute(select(*columns).where(Allocation.consumer_id.in_(consumer_ids)))
    for consumer, provider, name, amount in rows:
        found.setdefault(consumer, {}).setdefault(provider, {})[name] = amount
    return found


def _take(tx: Tx, provider_id: str, classes: Mapping[str, int]) -> None:
    if not take(tx, provider_id, classes):
        asked = ", ".join(f"{amount} of {name}" for name, amount in sorted(classes.items()))
        raise Conflict(
            f"Unable to allocate inventory: {asked} does not fit the inventory of resource provider '{provider_id}': "
            "the requested amount would exceed the capacity, or violates its units."
        )


def _keep(tx: Tx, write: ConsumerWrite, consumer: Consumer | None) -> None:
    """The consumer's own row: made, changed, or gone with the last of its allocations."""
    kind = None if write.type is UNSET else write.type
    if not write.amounts:
        if consumer is not None:
            tx.delete(consumer)
    elif consumer is None:
        owner = {"project_id": write.project_id, "user_id": write.user_id}
        tx.add(Consumer(id=write.consumer_id, type=kind, generation=1, **owner))
    else:
        consumer.project_id, consumer.user_id = write.project_id, write.user_id
        consumer.generation += 1
        if write.type is not UNSET:
            consumer.type = kind
