"""Who makes room for whom when connections are at their limit."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gureum.foundation.connections import AT_REST, AT_WORK, SILENT, Connections, Limit
from gureum.foundation.http.budget import Budget


def connections(*limits, at_work=(), at_rest=()):
    def rank(name):
        return AT_WORK if name in at_work else AT_REST if name in at_rest else SILENT

    return Connections(limits, rank)


def test_the_oldest_silent_one_of_the_largest_group_makes_room():
    places, closed = connections(Limit(4), Limit(3), at_rest={"a1"}), []
    for name in ("b1", "a1", "a2", "a3"):
        assert places.admit(name, (name[0],), closed.append)
    assert places.admit("c1", ("c",), closed.append)
    assert closed == ["a2"]
    assert len(places) == 4


def test_a_newcomer_of_the_largest_group_takes_from_its_own():
    places, closed = connections(Limit(3), Limit(3)), []
    for name in ("b1", "a1", "a2", "a3"):
        assert places.admit(name, (name[0],), closed.append)
    assert closed == ["a1"]


def test_those_at_work_stay():
    places, closed = connections(Limit(2), Limit(2), at_work={"a1", "a2"}), []
    assert places.admit("a1", ("a",), closed.append)
    assert places.admit("a2", ("a",), closed.append)
    assert not places.admit("b1", ("b",), closed.append)
    assert not closed
    places.remove("a1")
    places.remove("a1")
    assert places.admit("b1", ("b",), closed.append)


def test_a_newcomer_does_not_look_at_all_who_are_at_work():
    """Thousands of connections at work: each newcomer would cost the event loop milliseconds."""
    looked = []

    def rank(name):
        looked.append(name)
        return AT_WORK if name < 1000 else AT_REST

    places, closed = Connections([Limit(2000)], rank), []
    for number in range(2000):
        assert places.admit(number, (), closed.append)
    for number in range(500):
        assert places.admit(2000 + number, (), closed.append)
    assert closed == list(range(1000, 1500))
    assert len(looked) < 2000 + 1000 + 3 * 500


def test_limits_of_nested_groups():
    places, closed = connections(Limit(9), Limit(4), Limit(2, replaces=False)), []
    for name in ("g1", "g2", "h1", "h2"):
        assert places.admit(name, ("net", name[0]), closed.append)
    assert not places.admit("g3", ("net", "g"), closed.append), "a guest does not replace its own"
    assert places.admit("i1", ("net", "i"), closed.append)
    assert closed == ["g1"]
    assert places.admit("x1", ("other", "g"), closed.append)
    for name in ("g2", "h1", "h2", "i1", "x1"):
        places.remove(name)
    assert len(places) == 0
    assert not places._members
    assert not places._silent
    assert not places._children


def test_unbounded_groups_count_in_all():
    places, closed = connections(Limit(3), Limit(1)), []
    for name in ("p1", "p2", "p3", "p4"):
        assert places.admit(name, ("p",), closed.append, unbounded=True)
    assert closed == ["p1"]


@pytest.mark.parametrize("at_work", [(), ("p3", "p4")])
def test_newcomer_in_a_group_that_unbounded_ones_overfill_takes_one_place(at_work):
    places, closed = connections(Limit(9), Limit(2), at_work=at_work), []
    for name in ("p1", "p2", "p3", "p4"):
        assert places.admit(name, ("p",), closed.append, unbounded=True)
    assert places.admit("p5", ("p",), closed.append)
    assert closed == ["p1"]


LIMITS = st.builds(Limit, st.integers(0, 3), st.booleans())
NEWCOMERS = st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 2), st.booleans())


@given(st.tuples(LIMITS, LIMITS, LIMITS), st.lists(NEWCOMERS, max_size=20))
def test_refused_newcomer_closes_nobody_and_an_admitted_one_at_most_one(limits, newcomers):
    ranks = {number: rank for number, (_, _, rank, _) in enumerate(newcomers)}
    places = Connections(limits, ranks.__getitem__)
    for number, (outer, inner, _, unbounded) in enumerate(newcomers):
        closed = []
        admitted = places.admit(number, (outer, inner), closed.append, unbounded=unbounded)
        assert len(closed) <= admitted
        assert not limits[0].most or len(places) <= limits[0].most


def test_a_budget_gives_up_what_was_held_longest():
    given_up, now = [], [0.0]
    budget = Budget(100, 1.0, lambda: now[0])
    for name in ("a", "b"):
        budget.hold(name, 40, lambda name=name: given_up.append(name) or 0)
    budget.hold("b", 80, lambda: given_up.append("b") or 0)
    assert not given_up, "nobody held anything for a second"
    now[0] = 2.0
    budget.hold("c", 10, lambda: given_up.append("c") or 0)
    assert given_up == ["a"]
    assert budget.total == 90
    budget.release("b")
    budget.release("b")
    assert budget.total == 10


def test_whoever_goes_on_keeps_what_is_left_and_is_asked_again_later():
    asked, now = [], [0.0]
    budget = Budget(100, 1.0, lambda: now[0])
    for name in ("a", "b", "c"):
        budget.hold(name, 50, lambda name=name: asked.append(name) or 30)
    now[0] = 2.0
    budget.hold("d", 10, lambda: 0)
    assert (asked, budget.total) == (["a", "b", "c"], 100)
    budget.hold("d", 20, lambda: 0)
    assert asked == ["a", "b", "c"], "not within its patience"


def test_open_files_are_raised_to_what_is_allowed():
    program = """
import resource
from gureum.foundation.connections import raise_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))
assert raise_open_files() == 512
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (512, 512)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
