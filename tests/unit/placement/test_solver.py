"""The short way for a tree of one gives what the way for any tree gives."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from gureum.services.placement.candidates.solver import Group, Request, Stock, Supply, _of_tree, candidates
from gureum.services.placement.queries import Membership, Traits

CLASSES, SOME = ("VCPU", "MEMORY_MB"), [frozenset(), frozenset("A"), frozenset("B"), frozenset("AB")]

stocks = st.builds(Stock, st.integers(0, 8), st.integers(0, 4), st.integers(1, 2), st.integers(1, 8), st.integers(1, 2))
supplies = st.builds(
    Supply,
    st.just("p"),
    st.none(),
    st.just("p"),
    st.fixed_dictionaries({}, optional=dict.fromkeys(CLASSES, stocks)),
    st.sampled_from(SOME).map(set),
    st.sampled_from(SOME).map(set),
)


def groups(suffix):
    amounts = st.fixed_dictionaries({}, optional=dict.fromkeys(CLASSES, st.integers(1, 5)))
    needed = st.sampled_from([(), *((one,) for one in SOME[1:])])
    traits = st.builds(Traits, needed, st.sampled_from(SOME))
    membership = st.builds(Membership, needed, st.sampled_from(SOME))
    tree = st.sampled_from([None, None, "p", "other"])
    return st.builds(Group, st.just(suffix), amounts if suffix else amounts.filter(bool), traits, membership, tree)


requests = st.builds(
    Request,
    st.sampled_from([("",), ("", "1"), ("1", "2")]).flatmap(lambda names: st.tuples(*map(groups, names))),
    st.booleans(),
).filter(lambda request: any(group.resources for group in request.groups))
ROOMY = Supply("p", None, "p", {"VCPU": Stock(4, 0, 1, 4, 1)})


def twice(amount, **more):
    """Two groups of their own that want as much of one class."""
    return Request((Group("1", {"VCPU": amount}), Group("2", {"VCPU": amount})), **more)


@example(ROOMY, twice(2))
@example(ROOMY, twice(3))
@example(ROOMY, twice(2, isolate=True))
@example(ROOMY, Request((Group("", {"VCPU": 1}, tree="other"),)))
@given(supplies, requests)
def test_a_provider_alone_is_answered_as_any_tree(supply, request):
    found = list(candidates({"p": supply}, request))
    assert found == list(_of_tree({"p": supply}, [supply], request))
