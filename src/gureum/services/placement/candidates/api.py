"""GET /allocation_candidates. Source: placement API reference, "Allocation candidates".

The trees are read in `supplies.py`, the choice among them is `solver.py`'s.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.policy import Rule
from gureum.services.placement.answers import ADMIN, fresh
from gureum.services.placement.candidates.asking import PARAMETERS, Asked, asked_of
from gureum.services.placement.candidates.solver import Candidate, Supply, candidates
from gureum.services.placement.candidates.supplies import chunks_of, traits_of

_RULE = "placement:allocation_candidates:list"

RULES = (Rule(_RULE, ADMIN, "Ask where a request would fit"),)


class Held(Struct, gc=False):
    """What a summary tells of a class."""

    capacity: int
    used: int


def index(call: Call[Any]) -> Reply:
    asked = asked_of(call)
    supplies: dict[str, Supply] = {}
    chosen = list(itertools.islice(_found(call, asked, supplies), asked.limit))
    view = {"allocation_requests": _requests(call, chosen), "provider_summaries": _summaries(call, supplies, chosen)}
    return fresh(call, view)


def _found(call: Call[Any], asked: Asked, supplies: dict[str, Supply]) -> Iterator[Candidate]:
    """The candidates in order; `supplies` gathers the trees that were read for them."""
    nested = call.at_least(1, 29)
    for chunk in chunks_of(call.tx, asked, whole_stock=call.at_least(1, 27)):
        supplies.update(chunk)
        for candidate in candidates(chunk, asked.request):
            if nested or not _nested(chunk, candidate):
                yield candidate


def _nested(supplies: dict[str, Supply], candidate: Candidate) -> bool:
    """Whether a candidate uses several providers of one tree, which clients before 1.29 do not expect."""
    roots = [supplies[provider_id].root_id for provider_id in candidate.amounts]
    return len(set(roots)) < len(roots)


def _requests(call: Call[Any], chosen: Sequence[Candidate]) -> list[dict[str, Any]]:
    if not call.at_least(1, 12):
        return [{"allocations": _listed(candidate)} for candidate in chosen]
    if not call.at_least(1, 34):
        return [{"allocations": _by_provider(candidate)} for candidate in chosen]
    return [{"allocations": _by_provider(candidate), "mappings": candidate.mappings} for candidate in chosen]


def _listed(candidate: Candidate) -> list[dict[str, Any]]:
    """The form before 1.12."""
    return [
        {"resource_provider": {"uuid": provider_id}, "resources": classes}
        for provider_id, classes in candidate.amounts.items()
    ]


def _by_provider(candidate: Candidate) -> dict[str, Any]:
    return {provider_id: {"resources": classes} for provider_id, classes in candidate.amounts.items()}


def _summaries(call: Call[Any], supplies: dict[str, Supply], chosen: Sequence[Candidate]) -> dict[str, dict[str, Any]]:
    with_traits, with_tree = call.at_least(1, 17), call.at_least(1, 29)
    used = {provider_id for candidate in chosen for provider_id in candidate.amounts}
    if with_tree:
        roots = {supplies[provider_id].root_id for provider_id in used}
        used = {supply.id for supply in supplies.values() if supply.root_id in roots}
    shown = [supply for supply in supplies.values() if supply.id in used]
    traits = traits_of(call.tx, [supply.id for supply in shown]) if with_traits else {}
    found: dict[str, dict[str, Any]] = {}
    for supply in shown:
        view: dict[str, Any] = {"resources": {name: Held(one.capacity, one.used) for name, one in supply.stock.items()}}
        if with_traits:
            view["traits"] = traits.get(supply.id, [])
        if with_tree:
            view["parent_provider_uuid"] = supply.parent_id
            view["root_provider_uuid"] = supply.root_id
        found[supply.id] = view
    return found


ROUTES = (Route("GET", "/allocation_candidates", index, _RULE, since=(1, 10), query=PARAMETERS),)
