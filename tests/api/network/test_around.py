"""Quotas, tags, extensions, agents and what else surrounds the nouns."""

from __future__ import annotations

import pytest
from tests.api.network.setting import AT, fault

DEFAULTS = {
    "network": 100,
    "subnet": 100,
    "port": 500,
    "router": 10,
    "floatingip": 50,
    "security_group": 10,
    "security_group_rule": 100,
    "rbac_policy": 10,
    "subnetpool": -1,
}


def test_quotas_are_shown_changed_and_put_back(alice, bob, root, make):
    assert alice.get(f"{AT}/quotas/p1").json()["quota"] == DEFAULTS
    assert alice.get(f"{AT}/quotas/p1/default").json()["quota"] == DEFAULTS
    assert bob.get(f"{AT}/quotas/p1").status == 403
    assert alice.put(f"{AT}/quotas/p1", {"quota": {"port": -1}}).status == 403
    assert root.put(f"{AT}/quotas/p1", {"quota": {"port": -2}}).status == 400
    assert root.put(f"{AT}/quotas/p1", {"quota": {"port": 7}}).json()["quota"]["port"] == 7
    assert [one["project_id"] for one in root.get(f"{AT}/quotas").json()["quotas"]] == ["p1"]
    make.network()
    for path in ("details", "details.json"):
        details = alice.get(f"{AT}/quotas/p1/{path}").json()["quota"]
        assert details["network"] == {"limit": 100, "used": 1, "reserved": 0}
        assert details["port"]["limit"] == 7
    assert root.delete(f"{AT}/quotas/p1").status == 204
    assert alice.get(f"{AT}/quotas/p1").json()["quota"] == DEFAULTS


@pytest.mark.parametrize(
    ("noun", "limit"), [("subnet", 0), ("port", 0), ("router", 0), ("floatingip", 0), ("security_group", 1)]
)
def test_every_noun_has_its_quota(cloud, alice, root, make, noun, limit):
    network = make.network()
    root.put(f"{AT}/quotas/p1", {"quota": {noun: limit}})
    bodies = {
        "subnet": ("subnets", {"network_id": network["id"], "cidr": "10.0.0.0/24", "ip_version": 4}),
        "port": ("ports", {"network_id": network["id"]}),
        "router": ("routers", {}),
        "floatingip": ("floatingips", {"floating_network_id": cloud.public_id()}),
        "security_group": ("security-groups", {"name": "g"}),
    }
    collection, body = bodies[noun]
    assert fault(alice.post(f"{AT}/{collection}", {noun: body})) == (409, "OverQuota")


@pytest.mark.parametrize("collection", ["networks", "subnets", "ports", "routers", "security-groups", "floatingips"])
def test_tags_on_every_noun(cloud, alice, bob, make, collection):
    network = make.network()
    made = {
        "networks": lambda: network,
        "subnets": lambda: make.subnet(network),
        "ports": lambda: make.port(network),
        "routers": make.router,
        "security-groups": make.group,
        "floatingips": lambda: make.floating_ip(cloud.public_id()),
    }[collection]()
    at = f"{AT}/{collection}/{made['id']}/tags"
    assert alice.put(at, {"tags": ["red", "blue", "red"]}).json() == {"tags": ["blue", "red"]}
    assert alice.put(f"{at}/green").status == 201
    assert alice.get(at).json() == {"tags": ["blue", "green", "red"]}
    assert alice.get(f"{at}/red").status == 204
    assert fault(alice.get(f"{at}/Red")) == (404, "TagNotFound")
    assert alice.delete(f"{at}/red").status == 204
    assert alice.delete(f"{at}/red").status == 404
    assert alice.put(at, {"tags": ["x" * 61]}).status == 400
    assert alice.put(at, {"tags": [""]}).status == 400
    assert bob.get(at).status == 404
    assert bob.put(at, {"tags": []}).status == 404
    key = collection.replace("-", "_")

    def found(query):
        return {one["id"] for one in alice.get(f"{AT}/{collection}?{query}").json()[key]}

    assert made["id"] in found("tags=blue,green") & found("tags-any=blue,none") & found("not-tags=blue,none")
    assert made["id"] not in found("tags=blue,none") | found("tags=Blue") | found("tags=lue") | found(
        "not-tags-any=blue,none"
    )
    assert alice.delete(at).status == 204
    assert alice.get(at).json() == {"tags": []}


def test_several_tags_are_added_at_once(alice, bob, make):
    at = f"{AT}/networks/{make.network()['id']}/tags"
    assert alice.post(at, {"tags": ["red", "green"]}).status == 200
    for more in (["blue", "red"], []):
        answer = alice.post(at, {"tags": more})
        assert (answer.status, answer.json()) == (200, {"tags": ["blue", "green", "red"]})
    assert alice.post(at, {"tags": ["ok", "a,b"]}).status == 400
    assert alice.post(at, {"tags": [f"n{n}" for n in range(48)]}).status == 400
    assert alice.get(at).json() == {"tags": ["blue", "green", "red"]}
    assert bob.post(at, {"tags": ["x"]}).status == 404


def test_extensions_are_listed_and_shown_alike(alice):
    listed = alice.get(f"{AT}/extensions").json()["extensions"]
    aliases = {one["alias"] for one in listed}
    assert {"router", "security-group", "external-net", "binding", "quotas", "standard-attr-tag"} <= aliases
    for one in listed:
        assert alice.get(f"{AT}/extensions/{one['alias']}").json()["extension"] == one
    assert alice.get(f"{AT}/extensions/magic").status == 404


def test_fields_that_one_request_chose_are_not_those_of_the_next(alice):
    whole = alice.get(f"{AT}/extensions").json()
    chosen = alice.get(f"{AT}/extensions?fields=alias").json()["extensions"]
    assert {tuple(extension) for extension in chosen} == {("alias",)}
    assert alice.get(f"{AT}/extensions").json() == whole


def test_agents_are_the_hosts(cloud, alice, root):
    assert alice.get(f"{AT}/agents").json() == {"agents": []}
    cloud.driver.set_host("h2", alive=False)
    listed = root.get(f"{AT}/agents").json()["agents"]
    assert [(one["host"], one["alive"]) for one in listed] == [("h1", True), ("h2", False)]
    assert root.get(f"{AT}/agents/{listed[0]['id']}").json()["agent"]["host"] == "h1"
    assert alice.get(f"{AT}/agents/{listed[0]['id']}").status == 403
    assert [one["host"] for one in root.get(f"{AT}/agents?host=h2").json()["agents"]] == ["h2"]


def test_zones_providers_and_address_use(alice, root, make):
    zones = alice.get(f"{AT}/availability_zones").json()["availability_zones"]
    assert {(one["resource"], one["state"]) for one in zones} == {("network", "available"), ("router", "available")}
    assert alice.get(f"{AT}/service-providers").json() == {"service_providers": []}
    network = make.network()
    make.subnet(network)
    make.port(network)
    used = root.get(f"{AT}/network-ip-availabilities/{network['id']}").json()["network_ip_availability"]
    assert (used["used_ips"], used["total_ips"]) == (2, 253)
    details = {"total_ips_in_subnet": 254, "total_ips_in_allocation_pool": 253}
    details |= {"used_ips_in_subnet": 2, "used_ips_in_allocation_pool": 2}
    assert used["ip_availability_details"] == used["subnet_ip_availability"][0]["ip_availability_details"] == details
    assert alice.get(f"{AT}/network-ip-availabilities").status == 403
    make.subnet(network, "fd00::/64")
    make.subnet(network, "fd01::/63")
    used = root.get(f"{AT}/network-ip-availabilities?network_id={network['id']}").json()["network_ip_availabilities"][0]
    assert used["ip_availability_details"]["total_ips_in_subnet"] == 254 + 2**64 + 2**65


@pytest.mark.parametrize("raw", [b"{", b"\xff\xfe", b"[" * 5000, b'{"network": {"name": "\\ud800"}}', b"null", b""])
def test_what_is_not_json_is_refused(alice, raw):
    assert alice.request("POST", f"{AT}/networks", raw=raw).status == 400


def test_unknown_paths_and_methods(alice):
    assert alice.get(f"{AT}/magic").status == 404
    assert alice.delete(f"{AT}/networks").status == 405
    assert alice.get(f"{AT}/networks/not-an-id").status == 404
