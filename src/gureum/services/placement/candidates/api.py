"""GET /allocation_candidates. Source: placement API reference, "Allocation candidates".

Four statements whatever the size: providers, inventories, the traits asked for, and the traits of the answer;
a fifth for aggregates when the request or a sharing provider needs them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select

from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.policy import Rule
from gureum.services.placement.answers import ADMIN, fresh
from gureum.services.placement.candidates.asking import Asked, asked_of
from gureum.services.placement.candidates.solver import Candidate, Stock, Supply, candidates
from gureum.services.placement.model import Provider, ProviderAggregate, ProviderInventory, ProviderTrait
from gureum.services.placement.names import SHARING

_RULE = "placement:allocation_candidates:list"
AT_ONCE = 500

RULES = (Rule(_RULE, ADMIN, "Ask where a request would fit"),)


def index(call: Call[Any]) -> Reply:
    asked = asked_of(call)
    supplies = _supplies(call, asked)
    found = candidates(supplies, asked.request)
    if not call.at_least(1, 29):
        found = (candidate for candidate in found if not _nested(supplies, candidate))
    chosen = list(itertools.islice(found, asked.limit))
    view = {
        "allocation_requests": [_request(call, candidate) for candidate in chosen],
        "provider_summaries": _summaries(call, supplies, chosen),
    }
    return fresh(call, view)


def _supplies(call: Call[Any], asked: Asked) -> dict[str, Supply]:
    columns = (Provider.id, Provider.parent_id, Provider.root_id)
    rows = call.tx.execute(select(*columns).order_by(Provider.created_at, Provider.id))
    found = {id_: Supply(id_, parent_id, root_id) for id_, parent_id, root_id in rows}
    stock = select(
        ProviderInventory.provider_id,
        ProviderInventory.resource_class,
        ProviderInventory.total,
        ProviderInventory.reserved,
        ProviderInventory.allocation_ratio,
        ProviderInventory.used,
        ProviderInventory.min_unit,
        ProviderInventory.max_unit,
        ProviderInventory.step_size,
    )
    if not call.at_least(1, 27):
        stock = stock.where(ProviderInventory.resource_class.in_(sorted(asked.resource_classes)))
    for provider_id, name, total, reserved, ratio, used, least, most, step in call.tx.execute(stock):
        found[provider_id].stock[name] = Stock(int((total - reserved) * ratio), used, least, most, step)
    wanted = sorted(asked.trait_names | {SHARING})
    traits = select(ProviderTrait.provider_id, ProviderTrait.trait).where(ProviderTrait.trait.in_(wanted))
    sharing = False
    for provider_id, trait in call.tx.execute(traits):
        found[provider_id].traits.add(trait)
        sharing = sharing or trait == SHARING
    if sharing or any(group.membership for group in asked.request.groups):
        for provider_id, aggregate in call.tx.execute(
            select(ProviderAggregate.provider_id, ProviderAggregate.aggregate_id)
        ):
            found[provider_id].aggregates.add(aggregate)
    return found


def _nested(supplies: dict[str, Supply], candidate: Candidate) -> bool:
    """Whether a candidate uses several providers of one tree, which clients before 1.29 do not expect."""
    roots = [supplies[provider_id].root_id for provider_id in candidate.amounts]
    return len(set(roots)) < len(roots)


def _request(call: Call[Any], candidate: Candidate) -> dict[str, Any]:
    if not call.at_least(1, 12):
        return {
            "allocations": [
                {"resource_provider": {"uuid": provider_id}, "resources": classes}
                for provider_id, classes in candidate.amounts.items()
            ]
        }
    view: dict[str, Any] = {
        "allocations": {provider_id: {"resources": classes} for provider_id, classes in candidate.amounts.items()}
    }
    if call.at_least(1, 34):
        view["mappings"] = candidate.mappings
    return view


def _summaries(call: Call[Any], supplies: dict[str, Supply], chosen: Sequence[Candidate]) -> dict[str, dict[str, Any]]:
    used = {provider_id for candidate in chosen for provider_id in candidate.amounts}
    if call.at_least(1, 29):
        roots = {supplies[provider_id].root_id for provider_id in used}
        used = {supply.id for supply in supplies.values() if supply.root_id in roots}
    shown = [supply for supply in supplies.values() if supply.id in used]
    traits = _traits(call, [supply.id for supply in shown]) if call.at_least(1, 17) else {}
    found: dict[str, dict[str, Any]] = {}
    for supply in shown:
        view: dict[str, Any] = {"resources": dict(_amounts(supply))}
        if call.at_least(1, 17):
            view["traits"] = traits.get(supply.id, [])
        if call.at_least(1, 29):
            view["parent_provider_uuid"] = supply.parent_id
            view["root_provider_uuid"] = supply.root_id
        found[supply.id] = view
    return found


def _amounts(supply: Supply) -> Iterable[tuple[str, dict[str, int]]]:
    for name, stock in supply.stock.items():
        yield name, {"capacity": stock.capacity, "used": stock.used}


def _traits(call: Call[Any], provider_ids: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for start in range(0, len(provider_ids), AT_ONCE):
        here = ProviderTrait.provider_id.in_(provider_ids[start : start + AT_ONCE])
        columns = (ProviderTrait.provider_id, ProviderTrait.trait)
        for provider_id, trait in call.tx.execute(select(*columns).where(here).order_by(ProviderTrait.trait)):
            found.setdefault(provider_id, []).append(trait)
    return found


ROUTES = (Route("GET", "/allocation_candidates", index, _RULE, since=(1, 10)),)
