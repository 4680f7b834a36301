"""Allocation candidates: single hosts, trees, sharing providers, groups, and each microversion's form."""

from __future__ import annotations

import pytest
from tests.api.placement.setting import LATEST, at

from gureum.foundation import ids
from gureum.services.placement.candidates import few, supplies

URL = "/placement/allocation_candidates"
AGGREGATE = "5e08ea53-c4c6-448e-9334-ac4953de3cfa"


def ask(root, query, version="1.39"):
    answer = root.get(f"{URL}?{query}", **at(version))
    return answer.json() if answer.status == 200 else answer.status


def chosen(found):
    return sorted(sorted(request["allocations"]) for request in found["allocation_requests"])


def test_each_host_that_fits_is_a_candidate(world, root):
    a = world.provider("a", {"VCPU": {"total": 4, "allocation_ratio": 16.0}, "MEMORY_MB": 1000}, traits=["CUSTOM_X"])
    b = world.provider("b", {"VCPU": 1, "MEMORY_MB": 100})
    world.provider("c", {"DISK_GB": 5})
    world.hold(ids.new_uuid(), {a: {"VCPU": 3}})
    found = ask(root, "resources=VCPU:1,MEMORY_MB:100", "1.36")
    assert chosen(found) == sorted([[a], [b]])
    assert found["allocation_requests"][0] == {
        "allocations": {a: {"resources": {"VCPU": 1, "MEMORY_MB": 100}}},
        "mappings": {"": [a]},
    }
    assert found["provider_summaries"][a] == {
        "resources": {"VCPU": {"capacity": 64, "used": 3}, "MEMORY_MB": {"capacity": 1000, "used": 0}},
        "traits": ["CUSTOM_X"],
        "parent_provider_uuid": None,
        "root_provider_uuid": a,
    }
    assert set(found["provider_summaries"]) == {a, b}
    assert chosen(ask(root, "resources=VCPU:1,MEMORY_MB:101")) == [[a]]
    assert chosen(ask(root, "resources=VCPU:2")) == [[a]]
    assert ask(root, "resources=VGPU:1") == {"allocation_requests": [], "provider_summaries": {}}
    assert len(ask(root, "resources=VCPU:1&limit=1")["allocation_requests"]) == 1


def test_older_forms_of_the_answer(world, root):
    a = world.provider("a", {"VCPU": 4, "MEMORY_MB": 10})
    old = ask(root, "resources=VCPU:1", "1.10")
    assert old["allocation_requests"] == [
        {"allocations": [{"resource_provider": {"uuid": a}, "resources": {"VCPU": 1}}]}
    ]
    assert old["provider_summaries"] == {a: {"resources": {"VCPU": {"capacity": 4, "used": 0}}}}
    assert "mappings" not in ask(root, "resources=VCPU:1", "1.33")["allocation_requests"][0]
    assert set(ask(root, "resources=VCPU:1", "1.17")["provider_summaries"][a]) == {"resources", "traits"}
    assert set(ask(root, "resources=VCPU:1", "1.27")["provider_summaries"][a]["resources"]) == {"VCPU", "MEMORY_MB"}
    assert root.get(f"{URL}?resources=VCPU:1", **at("1.9")).status == 404
    assert root.get(f"{URL}?resources=VCPU:1", **LATEST).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("query", "version"),
    [
        ("", "1.39"), ("resources=", "1.39"), ("resources=VCPU", "1.39"), ("resources=VCPU:0", "1.39"),
        ("resources=MCPU:1", "1.39"), ("resources=VCPU:1&limit=0", "1.39"), ("resources=VCPU:1&limit=x", "1.39"),
        ("resources=VCPU:1&limit=5", "1.15"), ("resources=VCPU:1&required=CUSTOM_X", "1.16"),
        ("resources=VCPU:1&required=", "1.39"), ("resources=VCPU:1&required=CUSTOM_NONE", "1.39"),
        ("resources=VCPU:1&required=!HW_CPU_X86_AVX", "1.21"), ("resources=VCPU:1&member_of=x", "1.39"),
        ("resources=VCPU:1&required=HW_CPU_X86_AVX,!HW_CPU_X86_AVX", "1.39"),
        (f"resources=VCPU:1&member_of=!{AGGREGATE}", "1.31"), ("resources1=VCPU:1", "1.24"),
        ("resources1=VCPU:1&resources2=VCPU:1", "1.39"), ("resources1=VCPU:1&required2=HW_CPU_X86_AVX", "1.35"),
        ("resources=VCPU:1&group_policy=some", "1.39"), ("resources_A=VCPU:1", "1.32"),
        ("resources=VCPU:1&same_subtree=_X", "1.39"), ("resources=VCPU:1&colour=red", "1.39"),
        ("resources=VCPU:1&root_required=HW_CPU_X86_AVX&root_required=HW_CPU_X86_AVX", "1.39"),
    ],
)  # fmt: skip
def test_bad_questions_are_refused(world, root, query, version):
    world.provider("a", {"VCPU": 4})
    assert ask(root, query, version) == 400


def test_traits_and_aggregates_narrow(world, root):
    a = world.provider("a", {"VCPU": 4}, traits=["HW_CPU_X86_AVX", "CUSTOM_A"], aggregates=[AGGREGATE])
    b = world.provider("b", {"VCPU": 4}, traits=["CUSTOM_B"])

    def only(query):
        return chosen(ask(root, f"resources=VCPU:1&{query}"))

    assert only("required=HW_CPU_X86_AVX") == [[a]]
    assert only("required=!HW_CPU_X86_AVX") == [[b]]
    assert only("required=CUSTOM_A,CUSTOM_B") == []
    assert only("required=in:CUSTOM_A,CUSTOM_B") == sorted([[a], [b]])
    assert only("required=in:CUSTOM_A,CUSTOM_B&required=!CUSTOM_A") == [[b]]
    assert only(f"member_of={AGGREGATE}") == [[a]]
    assert only(f"member_of=!{AGGREGATE}") == [[b]]
    assert only(f"in_tree={b}") == [[b]]
    assert only(f"in_tree={ids.new_uuid()}") == []
    assert only("root_required=CUSTOM_B") == [[b]]


def test_a_tree_serves_together(world, root):
    host = world.provider("host", {"MEMORY_MB": 100})
    left = world.provider("left", {"VCPU": 2}, parent=host, traits=["CUSTOM_LEFT"])
    right = world.provider("right", {"VCPU": 2}, parent=host)
    both = ask(root, "resources=VCPU:1,MEMORY_MB:10")
    assert chosen(both) == sorted([sorted([host, left]), sorted([host, right])])
    assert set(both["provider_summaries"]) == {host, left, right}
    assert chosen(ask(root, "resources=VCPU:1,MEMORY_MB:10&required=CUSTOM_LEFT")) == [sorted([host, left])]
    assert ask(root, "resources=VCPU:1,MEMORY_MB:10", "1.28")["allocation_requests"] == []
    apart = ask(root, "resources1=VCPU:1&resources2=VCPU:1&group_policy=isolate")
    assert chosen(apart) == [sorted([left, right])] * 2
    free = ask(root, "resources1=VCPU:1&resources2=VCPU:1&group_policy=none")
    assert len(free["allocation_requests"]) == 4
    same = [r for r in free["allocation_requests"] if list(r["allocations"]) == [left]]
    assert same[0]["allocations"] == {left: {"resources": {"VCPU": 2}}}
    assert same[0]["mappings"] == {"1": [left], "2": [left]}
    crowded = ask(root, "resources1=VCPU:2&resources2=VCPU:1&group_policy=none")
    assert chosen(crowded) == [sorted([left, right])] * 2


def test_a_sharing_provider_serves_its_aggregate(world, root):
    near = world.provider("near", {"VCPU": 2}, aggregates=[AGGREGATE])
    far = world.provider("far", {"VCPU": 2})
    shared = world.provider("disks", {"DISK_GB": 100}, traits=["MISC_SHARES_VIA_AGGREGATE"], aggregates=[AGGREGATE])
    assert chosen(ask(root, "resources=VCPU:1,DISK_GB:10")) == [sorted([near, shared])]
    assert chosen(ask(root, "resources=VCPU:1")) == sorted([[near], [far]])
    assert chosen(ask(root, "resources=DISK_GB:10")) == [[shared]]


def test_groups_within_one_subtree(world, root):
    host = world.provider("host", {"MEMORY_MB": 100})
    left = world.provider("left", {"VCPU": 2}, parent=host, traits=["CUSTOM_NUMA"])
    right = world.provider("right", {"VCPU": 2}, parent=host, traits=["CUSTOM_NUMA"])
    card = world.provider("card", {"VGPU": 1}, parent=left)
    query = "resources_C=VCPU:1&resources_G=VGPU:1&group_policy=none"
    assert chosen(ask(root, query)) == sorted([sorted([left, card]), sorted([right, card])])
    assert chosen(ask(root, f"{query}&same_subtree=_C,_G")) == [sorted([left, card])]
    bare = "resources_G=VGPU:1&required_N=CUSTOM_NUMA&same_subtree=_N,_G&group_policy=none"
    found = ask(root, bare)
    assert chosen(found) == [[card]]
    assert found["allocation_requests"][0]["mappings"] == {"_G": [card], "_N": [left]}


QUERIES = (
    "resources=VCPU:1",
    "resources=VCPU:3,MEMORY_MB:10",
    "resources=VCPU:1&required=CUSTOM_X",
    "resources=VCPU:1&required=!CUSTOM_X&root_required=!CUSTOM_Y",
    f"resources=VCPU:1&member_of={AGGREGATE}",
    "resources1=VCPU:1&resources2=VF:1&group_policy=none",
    "resources1=VCPU:1&resources2=VCPU:1&group_policy=isolate",
    "resources=VCPU:99",
)


@pytest.mark.parametrize("query", QUERIES)
def test_a_limit_cuts_what_is_found_in_chunks_and_changes_nothing_else(world, root, query, monkeypatch):
    """Seven trees, read two at a time, are what they are when read at once."""
    for number in range(7):
        traits = [name for name, every in (("CUSTOM_X", 2), ("CUSTOM_Y", 3)) if number % every == 0]
        stock = {"VCPU": number + 1, "MEMORY_MB": 10 * (number % 4)} if number % 4 else {"VCPU": number + 1}
        host = world.provider(f"h{number}", stock, traits=traits, aggregates=[AGGREGATE] if number > 3 else [])
        if number % 2:
            world.provider(f"card{number}", {"SRIOV_NET_VF": 1, "VCPU": 1}, parent=host)
    query = query.replace("VF", "SRIOV_NET_VF")
    whole = ask(root, query)["allocation_requests"]
    monkeypatch.setattr(supplies, "CHUNK", 2)
    assert ask(root, query)["allocation_requests"] == whole
    for limit in (1, 2, 3):
        found = ask(root, f"{query}&limit={limit}")
        assert found["allocation_requests"] == whole[:limit]
        used = {host for request in whole[:limit] for host in request["allocations"]}
        assert used <= set(found["provider_summaries"])
    assert bool(whole) == ("99" not in query)


def test_a_repeated_parameter_counts_once_where_the_reference_says_which(world, root):
    a = world.provider("a", {"VCPU": 4}, traits=["CUSTOM_X"])
    b = world.provider("b", {"VCPU": 8}, traits=["CUSTOM_Y"])
    assert len(ask(root, "resources=VCPU:1&limit=2&limit=1", "1.16")["allocation_requests"]) == 2, "the first"
    assert chosen(ask(root, "resources=VCPU:1&resources=VCPU:5")) == [[b]], "the last"
    assert chosen(ask(root, "resources=VCPU:1&required=CUSTOM_Y&required=CUSTOM_X", "1.38")) == [[a]], "the last"
    assert chosen(ask(root, "resources=VCPU:1&required=CUSTOM_Y&required=CUSTOM_X", "1.39")) == [], "both"
    groups = "resources1=VCPU:1&resources2=VCPU:1"
    assert chosen(ask(root, f"{groups}&group_policy=none&group_policy=isolate")) == sorted([[a], [b]]), "the first"
    assert chosen(ask(root, f"{groups}&group_policy=isolate&group_policy=none")) == []


def test_a_numbered_group_is_in_the_aggregates_of_its_provider_alone(world, root):
    top = world.provider("top", aggregates=[AGGREGATE])
    child = world.provider("child", {"VCPU": 4}, parent=top)
    assert chosen(ask(root, f"resources=VCPU:1&member_of={AGGREGATE}")) == [[child]]
    assert chosen(ask(root, f"resources1=VCPU:1&member_of1={AGGREGATE}")) == []
    assert chosen(ask(root, f"resources1=VCPU:1&member_of1=!{AGGREGATE}")) == [[child]]


def test_isolated_groups_share_no_provider_even_without_resources(world, root):
    nic = world.provider("nic", {"SRIOV_NET_VF": 4}, traits=["CUSTOM_NIC"])
    query = "resources1=SRIOV_NET_VF:1&required2=CUSTOM_NIC&same_subtree=1,2&group_policy="
    assert chosen(ask(root, query + "none")) == [[nic]]
    assert chosen(ask(root, query + "isolate")) == []
    child = world.provider("child", {"SRIOV_NET_VF": 4}, parent=nic)
    assert chosen(ask(root, query + "isolate")) == [[child]]


@pytest.mark.parametrize("version", ["1.10", "1.12", "1.17", "1.27", "1.29", "1.39"])
def test_few_providers_give_the_candidates_of_many_in_the_same_order(world, root, version, monkeypatch):
    for name, cores in (("a", 4), ("b", 1), ("c", {"total": 8, "reserved": 6, "min_unit": 2})):
        world.provider(name, {"VCPU": cores, "MEMORY_MB": 100}, traits=["CUSTOM_FAST"] if name != "b" else [])
    d = world.provider("d", {"VCPU": 4, "MEMORY_MB": 50})
    world.provider("nothing")
    world.hold(ids.new_uuid(), {d: {"VCPU": 4}})
    queries = ["resources=VCPU:1,MEMORY_MB:100", "resources=VCPU:2", "resources=DISK_GB:1", "resources=MEMORY_MB:50"]
    if version >= "1.17":
        queries += ["resources=VCPU:1&required=CUSTOM_FAST", "resources=VCPU:1&limit=2"]
    if version >= "1.39":
        queries += [
            f"resources=VCPU:1&in_tree={d}", f"resources=MEMORY_MB:50&in_tree={d}",
            "resources=VCPU:1&root_required=CUSTOM_FAST", "resources1=VCPU:1&resources2=VCPU:1&group_policy=none",
            "resources1=VCPU:1&resources2=VCPU:1&group_policy=isolate", "resources=VCPU:1&required=!CUSTOM_FAST",
            f"resources=VCPU:1&member_of={AGGREGATE}",
        ]  # fmt: skip
    found = [ask(root, query, version) for query in queries]
    assert len(found[0]["allocation_requests"]) == 2
    monkeypatch.setattr(few, "FEW_INVENTORIES", 2)
    assert [ask(root, query, version) for query in queries] == found
    for one, other in zip(found, [ask(root, query, version) for query in queries], strict=True):
        assert list(one["provider_summaries"]) == list(other["provider_summaries"])


def test_candidates_of_few_follow_each_change_at_once(world, root):
    a = world.provider("a", {"VCPU": 4})
    assert chosen(ask(root, "resources=VCPU:4")) == [[a]]
    world.hold(ids.new_uuid(), {a: {"VCPU": 1}})
    assert chosen(ask(root, "resources=VCPU:4")) == []
    assert ask(root, "resources=VCPU:1&required=CUSTOM_LATER") == 400
    b = world.provider("b", {"VCPU": 4}, traits=["CUSTOM_LATER"])
    assert chosen(ask(root, "resources=VCPU:1&required=CUSTOM_LATER")) == [[b]]


def test_candidates_of_few_are_for_those_whom_the_rule_names(world):
    world.provider("a", {"VCPU": 4})
    assert ask(world.as_("alice"), "resources=VCPU:1") == 403
    assert ask(world.as_("nobody"), "resources=VCPU:1") == 401
