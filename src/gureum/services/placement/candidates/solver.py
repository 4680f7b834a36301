"""Where a request fits: a pure function over a snapshot of providers.

Source: placement API reference, "Allocation candidates"; "Modeling with provider trees". A candidate's providers are
of one tree, or share with it through an aggregate. The unnumbered group may be spread over them; each granular
group is met by one provider.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from gureum.services.placement.names import SHARING
from gureum.services.placement.queries import Membership, Traits

MOST_TRIED = 100_000
"""Combinations looked at for one request: a bound on work, far above what real trees need."""


class Stock(Struct, frozen=True, gc=False):
    """An inventory: what it can give at most, what is taken, and in which units. An answer reads thousands."""

    capacity: int
    used: int
    least: int
    most: int
    step: int

    def fits(self, amount: int) -> bool:
        return self.used + amount <= self.capacity and self.least <= amount <= self.most and amount % self.step == 0


class Supply(Struct, gc=False):
    """A provider. `traits` and `aggregates` need only hold what the request names, and the sharing trait."""

    id: str
    parent_id: str | None
    root_id: str
    stock: dict[str, Stock] = {}
    traits: set[str] = set()
    aggregates: set[str] = set()


@dataclass(frozen=True, slots=True)
class Group:
    """What belongs together in a request; `suffix` is "" for the unnumbered group. `tree` is a root's id."""

    suffix: str
    resources: Mapping[str, int]
    traits: Traits = field(default_factory=Traits)
    membership: Membership = field(default_factory=Membership)
    tree: str | None = None

    def takes_any(self) -> bool:
        """Whether every provider with the resources will do."""
        return not (self.traits.required or self.traits.forbidden or self.membership or self.tree)


@dataclass(frozen=True, slots=True)
class Request:
    groups: tuple[Group, ...]
    isolate: bool = False
    root: Traits = field(default_factory=Traits)
    subtrees: tuple[frozenset[str], ...] = ()


class Candidate(Struct, frozen=True, gc=False):
    """provider id -> class -> amount, and which providers meet which group."""

    amounts: dict[str, dict[str, int]]
    mappings: dict[str, list[str]]


Choice = tuple[tuple[str, Supply, Mapping[str, int]], ...]
"""(suffix, provider, what it is to give) for one group."""


def candidates(supplies: Mapping[str, Supply], request: Request) -> Iterator[Candidate]:
    """Every candidate once, tree by tree in the order of `supplies`."""
    trees: dict[str, list[Supply]] = {}
    for supply in supplies.values():
        trees.setdefault(supply.root_id, []).append(supply)
    sharing = [supply for supply in supplies.values() if SHARING in supply.traits and supply.aggregates]
    alone = _Alone(supplies, request)
    seen: set[tuple[tuple[str, tuple[str, ...]], ...]] = set()
    for root_id, members in trees.items():
        root = supplies.get(root_id)
        if root is not None and not request.root.allow(root.traits):
            continue
        if len(members) == 1 and not sharing:
            if alone.meets(members[0]):
                yield alone.candidate(members[0])
            continue
        around = {aggregate for member in members for aggregate in member.aggregates} if sharing else set()
        near = [s for s in sharing if s.root_id != root_id and s.aggregates & around]
        for candidate in _of_tree(supplies, [*members, *near], request):
            key = tuple(sorted((suffix, tuple(used)) for suffix, used in candidate.mappings.items()))
            shape = (*key, ("", tuple(sorted(f"{p}:{sorted(c.items())}" for p, c in candidate.amounts.items()))))
            if shape not in seen:
                seen.add(shape)
                yield candidate


def candidates_alone(supplies: Mapping[str, Supply], request: Request) -> Iterator[Candidate]:
    """The same where each provider is a tree of its own and none shares."""
    alone = _Alone(supplies, request)
    for supply in supplies.values():
        if request.root.allow(supply.traits) and alone.meets(supply):
            yield alone.candidate(supply)


class _Alone:
    """A request to a tree of one, which has to meet every group by itself: worked out once, for most trees are such."""

    def __init__(self, supplies: Mapping[str, Supply], request: Request) -> None:
        self._supplies = supplies
        self._suffixes = [group.suffix for group in request.groups]
        self._choosy = [group for group in request.groups if not group.takes_any()]
        self._impossible = request.isolate and sum(1 for group in request.groups if group.suffix) > 1
        each = [amount for group in request.groups for amount in group.resources.items()]
        self._total: dict[str, int] = {}
        for name, amount in each:
            self._total[name] = self._total.get(name, 0) + amount
        self._demands = list(dict.fromkeys([*each, *self._total.items()]))

    def meets(self, supply: Supply) -> bool:
        stock = supply.stock
        for name, amount in self._demands:
            one = stock.get(name)
            if one is None or not one.fits(amount):
                return False
        return not self._impossible and all(
            group.traits.allow(supply.traits) and _placed(self._supplies, supply, group) for group in self._choosy
        )

    def candidate(self, supply: Supply) -> Candidate:
        """The only one; all of them share the amounts."""
        return Candidate({supply.id: self._total}, {suffix: [supply.id] for suffix in self._suffixes})


def _of_tree(supplies: Mapping[str, Supply], usable: Sequence[Supply], request: Request) -> Iterator[Candidate]:
    per_group = []
    for group in request.groups:
        choices = list(_granular(supplies, usable, group) if group.suffix else _spread(supplies, usable, group))
        if not choices:
            return
        per_group.append(choices)
    for combination in itertools.islice(itertools.product(*per_group), MOST_TRIED):
        candidate = _joined(supplies, combination, request)
        if candidate is not None:
            yield candidate


def _granular(supplies: Mapping[str, Supply], usable: Sequence[Supply], group: Group) -> Iterator[Choice]:
    """One provider meets all of the group; a group without resources asks for traits alone."""
    for supply in usable:
        fits = all(name in supply.stock and supply.stock[name].fits(n) for name, n in group.resources.items())
        if fits and group.traits.allow(supply.traits) and _placed(supplies, supply, group):
            yield ((group.suffix, supply, group.resources),)


def _spread(supplies: Mapping[str, Supply], usable: Sequence[Supply], group: Group) -> Iterator[Choice]:
    """Each class from a provider that has it; the required traits may be spread over those providers."""
    options = []
    for name, amount in group.resources.items():
        fitting = [
            supply
            for supply in usable
            if name in supply.stock
            and supply.stock[name].fits(amount)
            and not group.traits.forbidden & supply.traits
            and _placed(supplies, supply, group)
        ]
        options.append([("", supply, {name: amount}) for supply in fitting])
    for choice in itertools.islice(itertools.product(*options), MOST_TRIED):
        held = {trait for _, supply, _ in choice for trait in supply.traits}
        if group.traits.met_by(held):
            yield choice


def _placed(supplies: Mapping[str, Supply], supply: Supply, group: Group) -> bool:
    if group.tree is not None and supply.root_id != group.tree:
        return False
    if not group.membership:
        return True
    if group.suffix:  # a granular group asks for one provider, and for the aggregates that this one is in
        return group.membership.allow(supply.aggregates)
    root = supplies.get(supply.root_id)
    return group.membership.allow(supply.aggregates | (root.aggregates if root else set()))


def _joined(supplies: Mapping[str, Supply], combination: Sequence[Choice], request: Request) -> Candidate | None:
    """The groups' choices as one candidate, or None when together they break a rule."""
    amounts: dict[str, dict[str, int]] = {}
    mappings: dict[str, list[str]] = {}
    granular: list[str] = []
    for suffix, supply, resources in itertools.chain.from_iterable(combination):
        used = mappings.setdefault(suffix, [])
        if supply.id not in used:
            used.append(supply.id)
        if suffix:
            granular.append(supply.id)
        mine = amounts.setdefault(supply.id, {}) if resources else {}
        for name, amount in resources.items():
            mine[name] = mine.get(name, 0) + amount
    if request.isolate and len(set(granular)) != len(granular):
        return None
    if not all(supplies[p].stock[name].fits(n) for p, classes in amounts.items() for name, n in classes.items()):
        return None
    for together in request.subtrees:
        if not _in_one_subtree(supplies, {p for suffix in together for p in mappings.get(suffix, [])}):
            return None
    return Candidate(amounts, mappings)


def _in_one_subtree(supplies: Mapping[str, Supply], members: set[str]) -> bool:
    """Whether one of the providers is above (or is) all of them."""
    above = [_line(supplies, member) for member in members]
    return not members or any(all(member in line for line in above) for member in members)


def _line(supplies: Mapping[str, Supply], provider_id: str) -> set[str]:
    line: set[str] = set()
    current: str | None = provider_id
    while current is not None and current in supplies and current not in line:
        line.add(current)
        current = supplies[current].parent_id
    return line
