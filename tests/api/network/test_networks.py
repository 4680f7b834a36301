"""Networks: attributes, who sees them, what only administrators set, lists."""

from __future__ import annotations

import pytest
from tests.api.network.setting import AT, absent_id, fault

KEYS = {
    *("id", "name", "description", "tenant_id", "project_id", "tags", "revision_number", "created_at", "updated_at"),
    *("status", "admin_state_up", "shared", "subnets", "router:external", "is_default", "mtu"),
    *("port_security_enabled", "availability_zone_hints", "availability_zones"),
}


def test_a_network_has_the_documented_keys_and_administrators_see_more(alice, root, make):
    made = make.network(description="d")
    assert set(made) == KEYS
    assert (made["status"], made["mtu"], made["project_id"], made["description"]) == ("ACTIVE", 1442, "p1", "d")
    seen = root.get(f"{AT}/networks/{made['id']}").json()["network"]
    assert set(seen) - KEYS == {"provider:network_type", "provider:physical_network", "provider:segmentation_id"}


def test_changes_show_and_raise_the_revision(alice, make):
    made = make.network()
    answer = alice.put(
        f"{AT}/networks/{made['id']}", {"network": {"name": "new", "admin_state_up": False, "mtu": 1400}}
    )
    changed = answer.json()["network"]
    assert (changed["name"], changed["admin_state_up"], changed["mtu"]) == ("new", False, 1400)
    assert changed["revision_number"] > made["revision_number"]


@pytest.mark.parametrize(
    "body",
    [
        {"colour": "blue"},
        {"name": 5},
        {"name": "a" * 256},
        {"admin_state_up": "maybe"},
        {"mtu": -1},
        {"mtu": 9000},
        {"mtu": 10**30},
        {"description": "a\u0000b"},
        {"provider:network_type": "vlan", "provider:segmentation_id": 0},
        None,
        [],
        {"subnets": []},
    ],
)
def test_bad_bodies_are_refused_and_nothing_is_written(alice, body):
    answer = alice.post(f"{AT}/networks", {"network": body})
    assert answer.status == 400
    assert set(answer.json()["NeutronError"]) == {"type", "message", "detail"}
    assert alice.get(f"{AT}/networks?project_id=p1").json() == {"networks": []}


@pytest.mark.parametrize(
    "attributes",
    [
        {"shared": True},
        {"router:external": True},
        {"is_default": True},
        {"provider:physical_network": "x"},
    ],
)
def test_what_is_for_administrators_is_forbidden_to_others(alice, root, attributes):
    body = {"network": {"name": "n", **attributes}}
    assert alice.post(f"{AT}/networks", body).status == 403
    assert root.post(f"{AT}/networks", body).status == 201


def test_readers_read_and_write_nothing(cloud, make):
    made = make.network()
    reader = cloud.client("reader")
    assert reader.get(f"{AT}/networks/{made['id']}").status == 200
    assert reader.post(f"{AT}/networks", {"network": {}}).status == 403
    assert reader.put(f"{AT}/networks/{made['id']}", {"network": {"name": "x"}}).status == 403
    assert reader.delete(f"{AT}/networks/{made['id']}").status == 403


def test_foreign_networks_are_not_there_unless_shared_or_external(cloud, bob, root, make):
    made = make.network()
    at = f"{AT}/networks/{made['id']}"
    for answer in (bob.get(at), bob.put(at, {"network": {"name": "x"}}), bob.delete(at)):
        assert fault(answer) == (404, "NetworkNotFound")
    assert [one["name"] for one in bob.get(f"{AT}/networks").json()["networks"]] == ["public"]
    assert root.put(at, {"network": {"shared": True}}).status == 200
    assert bob.get(at).status == 200
    assert bob.put(at, {"network": {"name": "x"}}).status == 403
    assert {one["id"] for one in bob.get(f"{AT}/networks?shared=True").json()["networks"]} == {made["id"]}
    assert {one["id"] for one in bob.get(f"{AT}/networks?router:external=true").json()["networks"]} == {
        cloud.public_id()
    }


def test_lists_filter_select_sort_and_page(alice, make):
    for name in ("c", "a", "b"):
        make.network(name=name, description="x")

    def names(query):
        return [one["name"] for one in alice.get(f"{AT}/networks?project_id=p1&{query}").json()["networks"]]

    assert names("sort_key=name") == ["a", "b", "c"]
    assert names("sort_key=name&sort_dir=desc") == ["c", "b", "a"]
    assert names("name=a&name=c&sort_key=name") == ["a", "c"]
    assert names("admin_state_up=False") == []
    assert names("description=x&status=ACTIVE&tenant_id=p1&sort_key=name") == ["a", "b", "c"]
    listed = alice.get(f"{AT}/networks?name=a&fields=id&fields=mtu&fields=unknown").json()["networks"]
    assert [set(one) for one in listed] == [{"id", "mtu"}]
    assert alice.get(f"{AT}/networks?colour=blue").status == 400
    assert alice.get(f"{AT}/networks?sort_key=colour").status == 400
    assert alice.get(f"{AT}/networks?limit=-1").status == 400
    assert alice.get(f"{AT}/networks?marker={absent_id()}").status == 400


def test_pages_link_forwards_and_backwards(alice, make):
    for name in "abcde":
        make.network(name=name)
    first = alice.get(f"{AT}/networks?project_id=p1&sort_key=name&limit=2").json()
    assert [one["name"] for one in first["networks"]] == ["a", "b"]
    link = {one["rel"]: one["href"] for one in first["networks_links"]}
    assert set(link) == {"next", "previous"}
    before = alice.get(link["previous"].removeprefix("http://cloud")).json()
    assert before["networks"] == []
    (only,) = before["networks_links"]
    assert only["rel"] == "next"
    assert alice.get(only["href"].removeprefix("http://cloud")).json() == first
    second = alice.get(link["next"].removeprefix("http://cloud")).json()
    assert [one["name"] for one in second["networks"]] == ["c", "d"]
    links = {one["rel"]: one["href"] for one in second["networks_links"]}
    third = alice.get(links["next"].removeprefix("http://cloud")).json()
    assert [one["name"] for one in third["networks"]] == ["e"]
    assert {one["rel"] for one in third["networks_links"]} == {"previous"}
    back = alice.get(links["previous"].removeprefix("http://cloud")).json()
    assert [one["name"] for one in back["networks"]] == ["a", "b"]


def test_bulk_is_all_or_nothing(alice):
    good, bad = {"name": "one"}, {"name": "two", "mtu": 9999}
    assert alice.post(f"{AT}/networks", {"networks": [good, bad]}).status == 400
    assert alice.get(f"{AT}/networks?project_id=p1").json()["networks"] == []
    made = alice.post(f"{AT}/networks", {"networks": [good, {"name": "two"}]})
    assert made.status == 201
    assert [one["name"] for one in made.json()["networks"]] == ["one", "two"]
    assert alice.post(f"{AT}/networks", {}).status == 400


def test_provider_networks_are_what_they_say_and_taken_once(root, cloud):
    body = {"provider:network_type": "vlan", "provider:physical_network": "phys", "provider:segmentation_id": 7}
    made = root.post(f"{AT}/networks", {"network": body}).json()["network"]
    assert (made["provider:segmentation_id"], made["mtu"]) == (7, 1500)
    assert cloud.held("network")[made["id"]].vlan == 7
    assert fault(root.post(f"{AT}/networks", {"network": body})) == (409, "VlanIdInUse")
    flat = {"provider:network_type": "flat", "provider:physical_network": "external"}
    assert fault(root.post(f"{AT}/networks", {"network": flat})) == (409, "FlatNetworkInUse")
    assert root.post(f"{AT}/networks", {"network": {"provider:network_type": "vlan"}}).status == 400


def test_a_network_goes_with_its_subnets_and_its_service_port(cloud, alice, make):
    network = make.network()
    subnet = make.subnet(network)
    assert [one["device_owner"] for one in alice.get(f"{AT}/ports").json()["ports"]] == ["network:distributed"]
    port = make.port(network)
    assert fault(alice.delete(f"{AT}/networks/{network['id']}")) == (409, "NetworkInUse")
    alice.delete(f"{AT}/ports/{port['id']}")
    assert alice.delete(f"{AT}/networks/{network['id']}").status == 204
    assert alice.get(f"{AT}/subnets/{subnet['id']}").status == 404
    assert alice.get(f"{AT}/ports").json()["ports"] == []
    assert cloud.held("port") == {}


def test_a_quota_overrun_names_the_quota_and_its_use(alice, root, make):
    assert root.put(f"{AT}/quotas/p1", {"quota": {"network": 1}}).json()["quota"]["network"] == 1
    make.network()
    answer = alice.post(f"{AT}/networks", {"network": {}})
    assert fault(answer) == (409, "OverQuota")
    assert "network: 1 requested, 1 of 1 in use" in answer.json()["NeutronError"]["message"]


def test_without_a_token_nothing_but_discovery_answers(cloud):
    stranger = cloud.client("nobody")
    assert stranger.get(f"{AT}/networks").status == 401
    assert stranger.get("/network/").json()["versions"][0]["id"] == "v2.0"
    names = {one["name"] for one in stranger.get(f"{AT}/").json()["resources"]}
    assert {"network", "subnet", "port"} <= names
