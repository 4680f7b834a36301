"""Flavors through HTTP: sizes, microversions, access of projects, extra specs."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import P1, P2, at

URL = "/compute/v2.1/flavors"
KEYS = {
    "id", "name", "links", "ram", "vcpus", "disk", "swap", "rxtx_factor", "OS-FLV-DISABLED:disabled",
    "OS-FLV-EXT-DATA:ephemeral", "os-flavor-access:is_public",
}  # fmt: skip
BIG = {"name": "big", "ram": 4096, "vcpus": 2, "disk": 10}


def names(answer):
    return [flavor["name"] for flavor in answer.json()["flavors"]]


def test_a_new_cloud_has_the_sizes_that_guides_name(alice):
    flavors = {f["name"]: f for f in alice.get(f"{URL}/detail").json()["flavors"]}
    assert {name: (f["id"], f["vcpus"], f["ram"], f["disk"]) for name, f in flavors.items()} == {
        "m1.nano": ("42", 1, 128, 1),
        "m1.micro": ("84", 1, 192, 1),
        "m1.tiny": ("1", 1, 512, 1),
        "m1.small": ("2", 1, 2048, 20),
        "m1.medium": ("3", 2, 4096, 40),
        "m1.large": ("4", 4, 8192, 80),
    }


def test_each_microversion_has_its_own_keys(root):
    made = root.post(URL, {"flavor": BIG}).json()["flavor"]
    assert set(made) == KEYS
    assert made["swap"] == ""
    one = f"{URL}/{made['id']}"
    assert set(root.get(one, **at("2.55")).json()["flavor"]) == KEYS | {"description"}
    assert set(root.get(one, **at("2.61")).json()["flavor"]) == KEYS | {"description", "extra_specs"}
    assert root.get(one, **at("2.75")).json()["flavor"]["swap"] == 0
    assert set(root.get(URL, **at("2.55")).json()["flavors"][0]) == {"id", "name", "links", "description"}
    assert set(root.get(URL).json()["flavors"][0]) == {"id", "name", "links"}


def test_only_administrators_make_and_remove_flavors(alice, root):
    assert alice.post(URL, {"flavor": BIG}).status == 403
    made = root.post(URL, {"flavor": {**BIG, "id": "77"}})
    assert made.status == 200
    assert root.post(URL, {"flavor": {**BIG, "id": "78"}}).status == 409
    assert root.post(URL, {"flavor": {**BIG, "id": "77", "name": "other"}}).status == 409
    assert alice.delete(f"{URL}/77").status == 403
    assert root.delete(f"{URL}/77").status == 202
    assert root.delete(f"{URL}/77").status == 404


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""}, {"name": " x"}, {"name": "a\nb"}, {"name": "x" * 256}, {"ram": 0}, {"ram": -1}, {"ram": 2**31},
        {"ram": "many"}, {"vcpus": 0}, {"disk": -1}, {"disk": "99999999999"}, {"id": "a/b"}, {"id": " 7"},
        {"rxtx_factor": 0}, {"rxtx_factor": "x"}, {"swap": -1}, {"is_public": "perhaps"}, {"colour": "red"},
        {"description": "since 2.55"},
    ],
)  # fmt: skip
def test_bad_flavors_are_refused(root, change):
    assert root.post(URL, {"flavor": {**BIG, **change}}).status == 400
    assert "big" not in names(root.get(URL))


def test_numbers_may_come_as_digits(root):
    body = {**BIG, "ram": "64", "vcpus": "1", "disk": "0", "swap": "8", "os-flavor-access:is_public": "False"}
    made = root.post(URL, {"flavor": body}).json()["flavor"]
    assert (made["ram"], made["vcpus"], made["disk"], made["swap"]) == (64, 1, 0, 8)
    assert made["os-flavor-access:is_public"] is False


def test_the_description_is_changed_since_2_55(root):
    body = {"flavor": {"description": "for the lab"}}
    assert root.put(f"{URL}/1", body).status == 404
    assert root.put(f"{URL}/1", body, **at("2.55")).json()["flavor"]["description"] == "for the lab"
    assert root.put(f"{URL}/1", {"flavor": {}}, **at("2.55")).status == 400
    assert root.put(f"{URL}/1", {"flavor": {"ram": 1}}, **at("2.55")).status == 400


def test_lists_are_filtered_sorted_and_paged(alice):
    assert names(alice.get(f"{URL}?minRam=2048&sort_key=memory_mb")) == ["m1.small", "m1.medium", "m1.large"]
    assert names(alice.get(f"{URL}?minDisk=40")) == ["m1.medium", "m1.large"]
    first = alice.get(f"{URL}?limit=4&sort_key=memory_mb&sort_dir=desc")
    assert names(first) == ["m1.large", "m1.medium", "m1.small", "m1.tiny"]
    link = first.json()["flavors_links"][0]["href"]
    second = alice.get(link.removeprefix("http://cloud"))
    assert names(second) == ["m1.micro", "m1.nano"]
    assert "flavors_links" not in second.json()
    assert len(names(alice.get(f"{URL}?limit=0"))) == 6
    for query in ("minRam=x", "minDisk=x", "limit=-1", "sort_key=secret", "marker=none"):
        assert alice.get(f"{URL}?{query}").status == 400, query


def test_private_flavors_are_only_for_those_granted(world, alice, root):
    private = {**BIG, "id": "p", "os-flavor-access:is_public": False}
    root.post(URL, {"flavor": private})
    bob = world.as_("bob")
    assert alice.get(f"{URL}/p").status == 404
    assert "big" not in names(root.get(URL))
    assert "big" in names(root.get(f"{URL}?is_public=None"))
    assert names(root.get(f"{URL}?is_public=false")) == ["big"]
    assert "big" not in names(alice.get(f"{URL}?is_public=None"))
    assert alice.get(f"{URL}/p/os-extra_specs").status == 404
    added = root.post(f"{URL}/p/action", {"addTenantAccess": {"tenant": P1}})
    assert added.json() == {"flavor_access": [{"flavor_id": "p", "tenant_id": P1}]}
    assert root.post(f"{URL}/p/action", {"addTenantAccess": {"tenant": P1}}).status == 409
    assert "big" in names(alice.get(URL))
    assert alice.get(f"{URL}/p").status == 200
    assert bob.get(f"{URL}/p").status == 404
    assert root.get(f"{URL}/p/os-flavor-access").json()["flavor_access"][0]["tenant_id"] == P1
    assert root.post(f"{URL}/p/action", {"removeTenantAccess": {"tenant": P2}}).status == 404
    assert root.post(f"{URL}/p/action", {"removeTenantAccess": {"tenant": P1}}).json() == {"flavor_access": []}
    assert alice.get(f"{URL}/p").status == 404


def test_access_is_for_administrators_and_for_projects_that_exist(alice, root):
    assert alice.get(f"{URL}/1/os-flavor-access").status == 403
    assert alice.post(f"{URL}/1/action", {"addTenantAccess": {"tenant": P1}}).status == 403
    assert root.get(f"{URL}/1/os-flavor-access").status == 404
    assert root.post(f"{URL}/1/action", {"addTenantAccess": {"tenant": "f" * 32}}).status == 400
    assert root.post(f"{URL}/1/action", {"addTenantAccess": {"tenant": P1}}, **at("2.7")).status == 409
    assert root.post(f"{URL}/1/action", {}).status == 400
    assert (
        root.post(f"{URL}/1/action", {"removeTenantAccess": {"tenant": P1}, "addTenantAccess": {"tenant": P1}}).status
        == 400
    )


def test_extra_specs_are_set_read_and_removed(alice, root):
    specs = f"{URL}/1/os-extra_specs"
    assert alice.post(specs, {"extra_specs": {"a": "b"}}).status == 403
    made = root.post(specs, {"extra_specs": {"trait:CUSTOM_X": "required", "hw:n": 2}})
    assert made.json() == {"extra_specs": {"trait:CUSTOM_X": "required", "hw:n": "2"}}
    assert alice.get(specs).json() == {"extra_specs": {"trait:CUSTOM_X": "required", "hw:n": "2"}}
    assert alice.get(f"{specs}/hw:n").json() == {"hw:n": "2"}
    assert root.put(f"{specs}/hw:n", {"hw:n": "3"}).json() == {"hw:n": "3"}
    assert root.put(f"{specs}/hw:n", {"hw:m": "3"}).status == 400
    assert root.post(specs, {"extra_specs": {"a/b": "x"}}).status == 400
    assert root.delete(f"{specs}/hw:n").status == 200
    assert root.delete(f"{specs}/hw:n").status == 404
    assert alice.get(f"{specs}/hw:n").status == 404
