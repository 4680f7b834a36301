"""What compute's lists take of a page: limits, offsets, directions, and keys that the reference takes without effect."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import at

V21 = "/compute/v2.1"
LISTS = [
    ("servers", "2.1"), ("servers/detail", "2.75"), ("flavors", "2.1"), ("os-keypairs", "2.35"),
    ("os-server-groups", "2.1"), ("os-hypervisors", "2.53"), ("os-simple-tenant-usage", "2.40"),
    ("servers/{}/os-instance-actions", "2.58"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "version"), LISTS)
@pytest.mark.parametrize(
    ("limit", "status"),
    [("1", 200), ("0", 200), ("007", 200), ("0" * 30 + "5", 200), ("2147483648", 200), ("9" * 4000, 200), ("", 400), ("-1", 400),
     ("%2B1", 400), ("%201", 400), ("1.5", 400), ("x", 400), ("%D9%A1", 400)],
)  # fmt: skip
def test_a_limit_is_digits_and_none_is_too_large(world, root, path, version, limit, status):
    url = f"{V21}/{path}".format(world.server())
    assert root.get(f"{url}?limit={limit}", **at(version)).status == status


def test_zeros_before_a_limit_change_nothing(world, root):
    assert len(root.get(f"{V21}/flavors?limit={'0' * 30}1").json()["flavors"]) == 1


@pytest.mark.parametrize("path", ["servers", "flavors"])
def test_a_direction_is_one_of_two_with_or_without_a_key(world, root, path):
    for direction in ("x", "", "ASC"):
        assert root.get(f"{V21}/{path}?sort_dir={direction}").status == 400


def test_a_direction_without_a_key_turns_the_lists_own_order(world, alice):
    names = [name for name in ("one", "two", "three") if world.server(name)]

    def listed(query):
        return [server["name"] for server in alice.get(f"{V21}/servers{query}").json()["servers"]]

    assert listed("") == listed("?sort_dir=desc") == names[::-1]
    assert listed("?sort_dir=asc") == names
    flavors = [flavor["id"] for flavor in alice.get(f"{V21}/flavors").json()["flavors"]]
    turned = [flavor["id"] for flavor in alice.get(f"{V21}/flavors?sort_dir=desc").json()["flavors"]]
    assert turned == flavors[::-1] != flavors


def test_keys_without_effect_are_taken_until_2_74_and_locked_sorts_since_2_73(world, alice):
    world.server("open", locked=False)
    world.server("locked", locked=True)

    def listed(query, version):
        answer = alice.get(f"{V21}/servers?{query}", **at(version))
        return [server["name"] for server in answer.json()["servers"]] if answer.status == 200 else answer.status

    assert listed("sort_key=user_data", "2.74") == ["locked", "open"]
    assert listed("sort_key=user_data", "2.75") == 400
    assert listed("sort_key=locked&sort_dir=asc", "2.72") == ["locked", "open"]
    assert listed("sort_key=locked&sort_dir=asc", "2.73") == ["open", "locked"]
    assert listed("sort_key=nonsense", "2.1") == 400


@pytest.mark.parametrize("query", ["changes-since=", "changes-before=", "name=", "flavor=", "tags="])
def test_a_filter_that_needs_a_value_is_refused_without(alice, query):
    assert alice.get(f"{V21}/servers?{query}", **at("2.79")).status == 400


def test_what_counts_once_is_refused_twice(world, alice):
    url = f"{V21}/servers/{world.server()}/os-instance-actions"
    assert alice.get(f"{url}?limit=1&limit=1", **at("2.58")).status == 400
