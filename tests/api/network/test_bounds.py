"""Attributes at their bounds and in other spellings: what every noun refuses, with nothing written."""

from __future__ import annotations

import pytest
from tests.api.network.setting import AT, absent_id, fault

NOT_A_UUID = "no-uuid"


@pytest.fixture
def network(make):
    return make.network()


def test_two_names_of_the_project_that_differ_are_refused(cloud, root, network):
    group_id = root.post(f"{AT}/security-groups", {"security_group": {}}).json()["security_group"]["id"]
    for noun, single, body in (
        ("networks", "network", {}),
        ("subnets", "subnet", {"network_id": network["id"], "cidr": "10.0.0.0/24", "ip_version": 4}),
        ("ports", "port", {"network_id": network["id"]}),
        ("routers", "router", {}),
        ("security-groups", "security_group", {}),
        ("security-group-rules", "security_group_rule", {"security_group_id": group_id, "direction": "ingress"}),
        ("floatingips", "floatingip", {"floating_network_id": cloud.public_id()}),
    ):
        named = {single: {**body, "project_id": "p1", "tenant_id": "p2"}}
        assert fault(root.post(f"{AT}/{noun}", named)) == (400, "HTTPBadRequest"), noun
        alike = root.post(f"{AT}/{noun}", {single: {**body, "project_id": "p1", "tenant_id": "p1"}})
        assert (alike.status, alike.json()[single]["project_id"]) == (201, "p1"), noun


@pytest.mark.parametrize(
    ("noun", "body"),
    [
        ("subnets", {"subnet": {"network_id": NOT_A_UUID, "cidr": "10.0.0.0/24", "ip_version": 4}}),
        ("ports", {"port": {"network_id": NOT_A_UUID}}),
        ("ports", {"port": {"network_id": absent_id(), "security_groups": [NOT_A_UUID]}}),
        ("ports", {"port": {"network_id": absent_id(), "fixed_ips": [{"subnet_id": NOT_A_UUID}]}}),
        ("routers", {"router": {"external_gateway_info": {"network_id": NOT_A_UUID}}}),
        ("floatingips", {"floatingip": {"floating_network_id": NOT_A_UUID}}),
        ("floatingips", {"floatingip": {"floating_network_id": absent_id(), "port_id": NOT_A_UUID}}),
        ("floatingips", {"floatingip": {"floating_network_id": absent_id(), "subnet_id": ""}}),
        ("security-group-rules", {"security_group_rule": {"security_group_id": "", "direction": "ingress"}}),
    ],
)
def test_ids_in_bodies_are_uuids(alice, noun, body):
    assert fault(alice.post(f"{AT}/{noun}", body)) == (400, "HTTPBadRequest")


@pytest.mark.parametrize("noun", ["networks", "routers"])
@pytest.mark.parametrize("hints", [["nova", "nova"], ["nova"] * 65, ["x" * 256], [None], "nova"])
def test_zone_hints_are_few_and_each_its_own(alice, noun, hints):
    answer = alice.post(f"{AT}/{noun}", {noun[:-1]: {"availability_zone_hints": hints}})
    assert answer.status == 400
    assert alice.get(f"{AT}/{noun}?name=").json()[noun] == []


def test_a_gateway_without_its_network_changes_nothing(cloud, alice, root, make, wan):
    at = f"{AT}/routers/{wan[2]['id']}"
    before = alice.get(at).json()["router"]
    for info in ({"external_fixed_ips": [{"ip_address": "198.18.0.99"}]}, {"external_fixed_ips": []}):
        assert root.put(at, {"router": {"external_gateway_info": info}}).status == 400
        assert root.post(f"{AT}/routers", {"router": {"external_gateway_info": info}}).status == 400
    assert root.post(f"{AT}/routers", {"router": {"external_gateway_info": {"enable_snat": False}}}).status == 400
    assert alice.get(at).json()["router"] == before


def test_extra_routes_are_found_in_any_spelling(alice, make, wan):
    at = f"{AT}/routers/{wan[2]['id']}"

    def change(verb, *destinations):
        routes = [{"destination": destination, "nexthop": "10.0.0.9"} for destination in destinations]
        return alice.put(f"{at}/{verb}_extraroutes", {"router": {"routes": routes}})

    kept = [{"destination": "10.5.0.0/24", "nexthop": "10.0.0.9"}]
    assert change("add", "10.5.0.7/24", "10.5.0.0/24").json()["router"]["routes"] == kept
    assert change("add", "10.5.0.0/255.255.255.0").json()["router"]["routes"] == kept
    assert change("remove", "10.6.0.0/24").json()["router"]["routes"] == kept
    assert change("remove", "nonsense").status == 400
    assert change("remove", "10.5.0.9/24").json()["router"]["routes"] == []


@pytest.mark.parametrize("name", ["default", "Default", "DEFAULT"])
def test_the_default_groups_name_is_taken_in_any_case(alice, make, name):
    body = {"security_group": {"name": name}}
    assert fault(alice.post(f"{AT}/security-groups", body)) == (409, "SecurityGroupDefaultAlreadyExists")
    at = f"{AT}/security-groups/{make.group()['id']}"
    assert fault(alice.put(at, body)) == (409, "SecurityGroupDefaultAlreadyExists")


def test_a_port_has_ten_address_pairs(alice, make, network):
    pairs = [{"ip_address": f"192.0.2.{n}"} for n in range(11)]
    port = make.port(network, allowed_address_pairs=pairs[:10])
    assert len(port["allowed_address_pairs"]) == 10
    answer = alice.put(f"{AT}/ports/{port['id']}", {"port": {"allowed_address_pairs": pairs}})
    assert fault(answer) == (400, "AllowedAddressPairExhausted")


def test_what_no_extension_offers_is_refused_and_not_silently_taken(alice, make, network):
    subnet = {"network_id": network["id"], "cidr": "10.0.0.0/24", "ip_version": 4}
    for attribute in ("use_default_subnetpool", "service_types", "segment_id", "prefixlen"):
        for value in (None, False, []):
            body = {"subnet": {**subnet, attribute: value}}
            assert fault(alice.post(f"{AT}/subnets", body)) == (400, "HTTPBadRequest"), attribute


def test_empty_texts_are_no_values(alice, root, make, network):
    port = make.port(network)
    assert root.put(f"{AT}/ports/{port['id']}", {"port": {"mac_address": ""}}).status == 400
    assert alice.post(f"{AT}/ports", {"port": {"network_id": network["id"], "mac_address": ""}}).status == 400
    rule = {"security_group_id": make.group()["id"], "direction": "ingress", "ethertype": ""}
    answer = alice.post(f"{AT}/security-group-rules", {"security_group_rule": rule})
    assert fault(answer) == (400, "SecurityGroupRuleInvalidEtherType")


def test_guests_have_their_own_address_in_a_subnet_of_an_automatic_mode(cloud, alice, make, network):
    subnet = make.subnet(network, "fd00:1::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    other = {"network_id": network["id"], "fixed_ips": [{"subnet_id": subnet["id"], "ip_address": "fd00:1::99"}]}
    assert fault(alice.post(f"{AT}/ports", {"port": other})) == (400, "AllocationOnAutoAddressSubnet")
    own = [{"subnet_id": subnet["id"], "ip_address": "fd00:1::f816:3eff:fe00:1"}]
    assert make.port(network, mac_address="fa:16:3e:00:00:01", fixed_ips=own)["fixed_ips"] == own
    assert make.add_leg(make.router(), subnet_id=subnet["id"])["subnet_id"] == subnet["id"]


def test_the_first_address_of_an_ipv6_range_is_for_routers(alice, make, network):
    make.subnet(network, "fd00:2::/64")
    body = {"network_id": network["id"], "fixed_ips": [{"ip_address": "fd00:2::"}]}
    assert fault(alice.post(f"{AT}/ports", {"port": body})) == (400, "InvalidIpForNetwork")
    anycast = make.subnet(network, "fd00:3::/64", gateway_ip="fd00:3::")
    assert make.add_leg(make.router(), subnet_id=anycast["id"])["subnet_id"] == anycast["id"]
