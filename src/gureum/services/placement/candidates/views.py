"""Candidates as the API shows them.

Source: placement API reference, "Allocation candidates"; version history 1.12, 1.17, 1.29 and 1.34.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET, Struct, UnsetType

from gureum.foundation.http.microversions import Version
from gureum.services.placement.candidates.solver import Candidate, Supply


class Held(Struct, gc=False):
    """What a summary tells of a class."""

    capacity: int
    used: int


class Summary(Struct, gc=False):
    """A provider that candidates name, or that is of its tree."""

    resources: dict[str, Held]
    traits: list[str] | UnsetType = UNSET
    parent_provider_uuid: str | UnsetType | None = UNSET
    root_provider_uuid: str | UnsetType = UNSET


class ProviderId(Struct, gc=False):
    uuid: str


class Resources(Struct, gc=False):
    """What is to be taken of a provider, by class."""

    resources: dict[str, int]


class ListedResources(Struct, gc=False):
    """The same in the form before 1.12."""

    resource_provider: ProviderId
    resources: dict[str, int]


class AllocationRequest(Struct, gc=False):
    allocations: dict[str, Resources] | list[ListedResources]
    mappings: dict[str, list[str]] | UnsetType = UNSET


class Candidates(Struct, gc=False):
    allocation_requests: list[AllocationRequest]
    provider_summaries: dict[str, Summary]


def answer(
    version: Version, chosen: Sequence[Candidate], shown: Sequence[Supply], traits: Mapping[str, list[str]]
) -> Candidates:
    """The candidates and the summaries of `shown`; `traits` are those of each, by name."""
    return Candidates(_requests(version, chosen), _summaries(version, shown, traits))


def _requests(version: Version, chosen: Sequence[Candidate]) -> list[AllocationRequest]:
    if version < (1, 12):
        return [AllocationRequest(_listed(candidate)) for candidate in chosen]
    if version < (1, 34):
        return [AllocationRequest(_by_provider(candidate)) for candidate in chosen]
    return [AllocationRequest(_by_provider(candidate), candidate.mappings) for candidate in chosen]


def _listed(candidate: Candidate) -> list[ListedResources]:
    return [ListedResources(ProviderId(provider_id), classes) for provider_id, classes in candidate.amounts.items()]


def _by_provider(candidate: Candidate) -> dict[str, Resources]:
    return {provider_id: Resources(classes) for provider_id, classes in candidate.amounts.items()}


def _summaries(version: Version, shown: Sequence[Supply], traits: Mapping[str, list[str]]) -> dict[str, Summary]:
    found: dict[str, Summary] = {}
    for supply in shown:
        summary = Summary({name: Held(stock.capacity, stock.used) for name, stock in supply.stock.items()})
        if version >= (1, 17):
            summary.traits = traits.get(supply.id, [])
        if version >= (1, 29):
            summary.parent_provider_uuid = supply.parent_id
            summary.root_provider_uuid = supply.root_id
        found[supply.id] = summary
    return found
