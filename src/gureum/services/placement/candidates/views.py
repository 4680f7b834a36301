"""Candidates as the API shows them.

Source: placement API reference, "Allocation candidates"; version history 1.12, 1.17, 1.29 and 1.34.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from gureum.foundation.http.microversions import Version
from gureum.foundation.http.versioned import Since, Takes
from gureum.foundation.http.views import View
from gureum.services.placement.candidates.solver import Candidate, Supply


class Held(View):
    """The capacity and the use of a class in a summary."""

    capacity: int
    used: int


class Summary(View):
    """A provider that candidates name, or that is of its tree."""

    resources: dict[str, Held]
    traits: Annotated[list[str], Since(1, 17)]
    parent_provider_uuid: Annotated[str | None, Since(1, 29)]
    root_provider_uuid: Annotated[str, Since(1, 29)]


class ProviderId(View):
    uuid: str


class Resources(View):
    """What is to be taken of a provider, by class."""

    resources: dict[str, int]


class ListedResources(View):
    """The same in the form before 1.12."""

    resource_provider: ProviderId
    resources: dict[str, int]


class AllocationRequest(View):
    allocations: Annotated[
        dict[str, Resources] | list[ListedResources],
        Takes((1, 0), list[ListedResources]),
        Takes((1, 12), dict[str, Resources]),
    ]
    mappings: Annotated[dict[str, list[str]], Since(1, 34)]


class Candidates(View):
    allocation_requests: list[AllocationRequest]
    provider_summaries: dict[str, Summary]


def answer(
    version: Version, chosen: Sequence[Candidate], shown: Sequence[Supply], traits: Mapping[str, list[str]]
) -> Candidates:
    """The candidates and the summaries of `shown`; `traits` are those of each, by name."""
    amounts_of = _by_provider if version >= (1, 12) else _listed
    requests = [AllocationRequest(amounts_of(candidate), candidate.mappings) for candidate in chosen]
    return Candidates(requests, {supply.id: _summary(supply, traits) for supply in shown})


def _listed(candidate: Candidate) -> list[ListedResources]:
    return [ListedResources(ProviderId(provider_id), classes) for provider_id, classes in candidate.amounts.items()]


def _by_provider(candidate: Candidate) -> dict[str, Resources]:
    return {provider_id: Resources(classes) for provider_id, classes in candidate.amounts.items()}


def _summary(supply: Supply, traits: Mapping[str, list[str]]) -> Summary:
    held = {name: Held(stock.capacity, stock.used) for name, stock in supply.stock.items()}
    return Summary(held, traits.get(supply.id, []), supply.parent_id, supply.root_id)
