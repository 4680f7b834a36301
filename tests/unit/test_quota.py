"""Which limit is in force of all that may be set, and what does not fit."""

from __future__ import annotations

from itertools import combinations

from gureum.foundation.quota import UnifiedLimit, UnifiedLimits, in_force, overruns

OWN, UNIFIED, OPERATOR, REGISTERED, DEFAULT = 5, 4, 3, 2, 1
LEVELS = (OWN, UNIFIED, OPERATOR, REGISTERED)


def settled(places):
    """The limit when it is set at these places, each to a number of its own."""
    known = {"cores": UnifiedLimit(REGISTERED, UNIFIED if UNIFIED in places else None)}
    unified = known if REGISTERED in places else {}
    operator = {"cores": OPERATOR} if OPERATOR in places else {}
    own = {"cores": OWN} if OWN in places else {}
    return in_force({"cores": DEFAULT}, unified, operator, own)["cores"]


def test_the_nearest_place_wins_and_the_services_own_goes_before_identitys():
    possible = [
        places
        for count in range(len(LEVELS) + 1)
        for places in combinations(LEVELS, count)
        if REGISTERED in places or UNIFIED not in places  # a limit needs a registered one
    ]
    assert len(possible) == 12
    for places in possible:
        assert settled(places) == max((*places, DEFAULT))


def test_no_limit_is_a_limit_like_any_other():
    unified = {"cores": UnifiedLimit(10, -1), "ram": UnifiedLimit(-1)}
    assert in_force({"cores": 1, "ram": 2}, unified) == {"cores": -1, "ram": -1}
    assert in_force({"cores": 1, "ram": 2}, unified, {"ram": 7}, {"cores": 0}) == {"cores": 0, "ram": 7}


def test_what_a_service_does_not_know_is_left_out():
    assert in_force({"cores": 1}, {"colour": UnifiedLimit(3, 4)}, {"shape": 5}, {"size": 6}) == {"cores": 1}


def test_unified_names_become_those_of_the_service():
    said = UnifiedLimits({"class:VCPU": UnifiedLimit(3), "other": UnifiedLimit(4)}, "domain")
    named = said.named({"cores": "class:VCPU", "ram": "class:MEMORY_MB"})
    assert named == UnifiedLimits({"cores": UnifiedLimit(3)}, "domain")


def test_a_tree_limits_only_where_it_is_counted():
    limits = {"cores": UnifiedLimit(3, 2, 9), "ram": UnifiedLimit(3, 2, -1)}
    assert UnifiedLimits(limits, "domain").tree() == {"cores": 9}
    assert UnifiedLimits(limits).tree() == {}


def test_an_overrun_says_what_how_much_and_whose():
    (mine,) = overruns({"cores": 2, "ram": -1}, {"cores": 1}, {"cores": 2, "ram": 9, "instances": 1})
    assert str(mine) == "cores: 2 requested, 1 of 2 in use"
    (tree,) = overruns({"cores": 2}, {"cores": 1}, {"cores": 2}, of_tree=True)
    assert str(tree) == "cores: 2 requested, 1 of 2 in use by all projects of the domain"
    assert overruns({"cores": 0}, {"cores": 1}, {"cores": 0}) == []
