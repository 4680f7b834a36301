"""What raises whose revision number. Source: network API reference, "Resource revision numbers"."""

from __future__ import annotations

import pytest
from tests.api.network.setting import AT


def revision(client, noun, resource):
    single = {"security-groups": "security_group"}.get(noun, noun[:-1])
    return client.get(f"{AT}/{noun}/{resource['id']}").json()[single]["revision_number"]


@pytest.fixture
def network(make):
    return make.network()


def test_a_networks_revision_rises_with_its_subnets(alice, make, network):
    seen = [revision(alice, "networks", network)]
    subnet = make.subnet(network)
    seen.append(revision(alice, "networks", network))
    alice.put(f"{AT}/subnets/{subnet['id']}", {"subnet": {"name": "new"}})
    seen.append(revision(alice, "networks", network))
    alice.delete(f"{AT}/subnets/{subnet['id']}")
    seen.append(revision(alice, "networks", network))
    assert seen == sorted(set(seen))


def test_a_routers_revision_rises_with_its_legs_its_gateway_and_its_routes(cloud, alice, make, network):
    router = make.router()
    at = f"{AT}/routers/{router['id']}"
    subnet = make.subnet(network)
    route = {"destination": "10.50.0.0/16", "nexthop": "10.0.0.9"}
    seen = [router["revision_number"]]
    for path, body in (
        (f"{at}/add_router_interface", {"subnet_id": subnet["id"]}),
        (at, {"router": {"external_gateway_info": {"network_id": cloud.public_id()}}}),
        (at, {"router": {"routes": [route]}}),
        (f"{at}/remove_extraroutes", {"router": {"routes": [route]}}),
        (f"{at}/remove_router_interface", {"subnet_id": subnet["id"]}),
    ):
        assert alice.put(path, body).status == 200
        seen.append(revision(alice, "routers", router))
    assert seen == sorted(set(seen))


def test_a_groups_revision_rises_with_its_rules(alice, make):
    group = make.group()
    rule = make.rule(group["id"], protocol="tcp")
    with_rule = revision(alice, "security-groups", group)
    alice.delete(f"{AT}/security-group-rules/{rule['id']}")
    assert group["revision_number"] < with_rule < revision(alice, "security-groups", group)


@pytest.mark.parametrize("noun", ["networks", "subnets", "ports", "routers", "security-groups", "floatingips"])
def test_tags_raise_the_revision_and_may_be_for_one(cloud, alice, make, wan, noun):
    resource = {
        "networks": lambda: wan[0],
        "subnets": lambda: wan[1],
        "ports": lambda: make.port(wan[0]),
        "routers": lambda: wan[2],
        "security-groups": make.group,
        "floatingips": lambda: make.floating_ip(cloud.public_id()),
    }[noun]()
    at = f"{AT}/{noun}/{resource['id']}"
    before = revision(alice, noun, resource)
    assert alice.put(f"{at}/tags/red").status == 201
    tagged = revision(alice, noun, resource)
    assert tagged > before
    assert alice.put(f"{at}/tags/red").status == 201
    assert revision(alice, noun, resource) == tagged
    assert alice.put(f"{at}/tags", {"tags": ["blue"]}, If_Match=f"revision_number={before}").status == 412
    assert alice.delete(f"{at}/tags/red").status == 204
    assert revision(alice, noun, resource) > tagged


def test_a_ports_revision_rises_with_its_groups_and_addresses(alice, make, network):
    subnet = make.subnet(network)
    port = make.port(network)
    at = f"{AT}/ports/{port['id']}"
    seen = [port["revision_number"]]
    for changes in ({"security_groups": [make.group()["id"]]}, {"fixed_ips": [{"subnet_id": subnet["id"]}] * 2}):
        alice.put(at, {"port": changes})
        seen.append(revision(alice, "ports", port))
    assert seen == sorted(set(seen))
