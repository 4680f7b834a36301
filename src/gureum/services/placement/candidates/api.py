"""GET /allocation_candidates. Source: placement API reference, "Allocation candidates".

The trees are read in `supplies.py`, or where there are few in `few.py`; the choice among them is `solver.py`'s.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.policy import Rule
from gureum.services.placement.answers import ADMIN, fresh
from gureum.services.placement.candidates.asking import PARAMETERS, Asked, asked_of
from gureum.services.placement.candidates.few import few_supplies
from gureum.services.placement.candidates.solver import Candidate, Supply, candidates, candidates_alone
from gureum.services.placement.candidates.supplies import chunks_of, traits_of
from gureum.services.placement.candidates.views import Candidates, answer

_RULE = "placement:allocation_candidates:list"

RULES = (Rule(_RULE, ADMIN, "Ask where a request would fit"),)


def index(call: Call[None]) -> Reply[Candidates]:
    query = asked_of(call)
    supplies: dict[str, Supply] = {}
    chosen = list(itertools.islice(_found(call, query, supplies), query.limit))
    shown = _shown(call, supplies, chosen)
    traits = traits_of(call.tx, [supply.id for supply in shown]) if call.at_least(1, 17) else {}
    return _answer(call, chosen, shown, traits)


def index_of_few(call: Call[None]) -> Reply[Candidates] | None:
    """On the event loop, when an embedded database holds only a few providers: cheaper than to change threads.

    Only what costs no more than two statements to understand: other parameters are looked up one by one.
    """
    if not call.database.is_sqlite or not _is_short(call.query):
        return None
    call.enforce(**call.own_target())
    with call.database.read() as call.tx:
        query = asked_of(call)
        few = few_supplies(call.tx, query, whole_stock=call.at_least(1, 27))
    if few is None:
        return None
    chosen = list(itertools.islice(candidates_alone(few.supplies, query.request), query.limit))
    return _answer(call, chosen, _shown(call, few.supplies, chosen), few.traits)


def _is_short(query: Sequence[tuple[str, str]]) -> bool:
    return len(query) <= len(_SHORT) and all(name in _SHORT and len(value) <= _SHORT_TEXT for name, value in query)


_SHORT = frozenset({"resources", "limit"})
_SHORT_TEXT = 128


def _found(call: Call[None], asked: Asked, supplies: dict[str, Supply]) -> Iterator[Candidate]:
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


def _shown(call: Call[None], supplies: dict[str, Supply], chosen: Sequence[Candidate]) -> list[Supply]:
    """The providers that are summarised: those of the candidates, since 1.29 all of their trees."""
    used = {provider_id for candidate in chosen for provider_id in candidate.amounts}
    if call.at_least(1, 29):
        roots = {supplies[provider_id].root_id for provider_id in used}
        return [supply for supply in supplies.values() if supply.root_id in roots]
    return [supply for supply in supplies.values() if supply.id in used]


def _answer(
    call: Call[None], chosen: Sequence[Candidate], shown: Sequence[Supply], traits: Mapping[str, list[str]]
) -> Reply[Candidates]:
    return fresh(call, answer(call.version, chosen, shown, traits))


ROUTES = (Route("GET", "/allocation_candidates", index, _RULE, since=(1, 10), fast=index_of_few, query=PARAMETERS),)
