"""Filters find what is stored in whatever spelling it is asked for."""

from __future__ import annotations

import pytest
from tests.api.network.setting import AT


def found(client, noun, **query):
    words = "&".join(f"{name.replace('__', ':')}={value}" for name, value in query.items())
    return [one["id"] for one in client.get(f"{AT}/{noun}?{words}").json()[noun.replace("-", "_")]]


@pytest.fixture
def network(make):
    return make.network()


@pytest.fixture
def subnets(make, network):
    return [
        make.subnet(network),
        make.subnet(
            network, "2001:DB8::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac", gateway_ip="2001:DB8::FF"
        ),
    ]


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"cidr": "10.0.0.9/24"}, 0),
        ({"cidr": "2001:DB8:0::/64"}, 1),
        ({"gateway_ip": "2001:0DB8::00FF"}, 1),
        ({"ipv6_ra_mode": "SLAAC"}, 1),
        ({"ipv6_address_mode": "Slaac", "enable_dhcp": "YES"}, 1),
        ({"ip_version": "4", "enable_dhcp": "1"}, 0),
    ],
)
def test_subnets(alice, network, subnets, query, place):
    assert found(alice, "subnets", network_id=network["id"], **query) == [subnets[place]["id"]]


@pytest.mark.parametrize(
    "query",
    [
        {"fixed_ips": "ip_address=2001:DB8:0:0::A"},
        {"fixed_ips": "ip_address_substr=DB8::A"},
        {"mac_address": "FA-16-3E-00-00-01"},
        {"mac_address": "fa163e000001"},
        {"mac_address": "fa16.3e00.0001"},
        {"mac_address": "fa:16:3e:0:0:1"},
        {"status": "down", "admin_state_up": "t"},
        {"binding__vnic_type": "NORMAL", "port_security_enabled": "on"},
    ],
)
def test_ports(alice, make, network, query):
    make.subnet(network, "2001:db8::/64")
    port = make.port(network, mac_address="FA16.3E00.0001", fixed_ips=[{"ip_address": "2001:DB8::A"}])
    assert port["mac_address"] == "fa:16:3e:00:00:01"
    assert found(alice, "ports", network_id=network["id"], device_owner="", **query) == [port["id"]]


def test_networks_and_routers(alice, root, make, network):
    assert found(root, "networks", id=network["id"], provider__network_type="Geneve", status="active") == [
        network["id"]
    ]
    router = make.router()
    assert found(alice, "routers", status="Active", admin_state_up="True") == [router["id"]]
    assert found(alice, "routers", status="down") == []


@pytest.mark.parametrize(
    ("stored", "query"),
    [
        ({"ethertype": "ipv4", "protocol": "TCP"}, {"ethertype": "ipv4", "protocol": "6"}),
        (
            {"ethertype": "IPv6", "protocol": "icmp"},
            {"ethertype": "IPV6", "protocol": "icmpv6", "direction": "INGRESS"},
        ),
        ({"protocol": "17"}, {"protocol": "Udp"}),
        ({"remote_ip_prefix": "5.6.7.8"}, {"remote_ip_prefix": "5.6.7.8/32"}),
        ({"remote_ip_prefix": "5.6.7.8/32"}, {"remote_ip_prefix": "5.6.7.8"}),
        (
            {"ethertype": "IPv6", "remote_ip_prefix": "2001:DB8::1/64"},
            {"remote_ip_prefix": "2001:db8:0::1/64"},
        ),
    ],
)
def test_security_group_rules(alice, make, stored, query):
    group = make.group()
    rule = make.rule(group["id"], **stored)
    assert found(alice, "security-group-rules", security_group_id=group["id"], **query) == [rule["id"]]


def test_rules_of_a_default_group_that_is_not_written_are_found_alike(alice):
    group_id = found(alice, "security-groups", name="default")[0]
    for query, amount in (({"ethertype": "ipv4"}, 2), ({"direction": "EGRESS"}, 2), ({"protocol": "tcp"}, 4)):
        assert len(found(alice, "security-group-rules", security_group_id=group_id, **query)) == amount, query
    assert found(alice, "security-groups", stateful="1") == [group_id]
    assert found(alice, "security-groups", stateful="no") == []


def test_floating_ips(cloud, alice, make, wan):
    floating = make.floating_ip(cloud.public_id(), port_id=make.port(wan[0])["id"])
    assert found(alice, "floatingips", status="active") == [floating["id"]]


def test_a_value_that_is_none_of_its_kind_finds_nothing(alice, make, network, subnets):
    make.port(network)
    for noun, query in (
        ("ports", {"mac_address": "nonsense"}),
        ("ports", {"fixed_ips": "ip_address=nonsense"}),
        ("subnets", {"cidr": "nonsense"}),
        ("security-group-rules", {"remote_ip_prefix": "nonsense"}),
        ("security-group-rules", {"protocol": "nonsense"}),
    ):
        assert found(alice, noun, **query) == [], noun


def test_booleans_and_numbers_are_checked(alice):
    for noun, query in (
        ("ports", "admin_state_up=perhaps"),
        ("networks", "mtu=large"),
        ("security-groups", "shared=x"),
        ("security-groups", "stateful=x"),
        ("agents", "alive=x"),
    ):
        assert alice.get(f"{AT}/{noun}?{query}").status == 400, noun


def test_agents_by_state(root):
    assert len(found(root, "agents", alive="1")) == 2
    assert found(root, "agents", alive="off") == []


@pytest.mark.parametrize(
    ("noun", "query"),
    [
        ("ports", "binding:host_id=h1"),
        ("ports", "binding:host_id=nowhere"),
        ("ports", "binding:host_id="),
        ("networks", "provider:physical_network=external"),
        ("networks", "provider:segmentation_id=5"),
        ("networks", "provider:network_type=flat"),
        ("networks", "sort_key=provider:physical_network"),
    ],
)
def test_what_a_caller_may_not_see_is_told_by_no_filter_or_order(alice, root, make, network, noun, query):
    port = make.port(network)
    root.put(f"{AT}/ports/{port['id']}", {"port": {"binding:host_id": "h1"}})
    assert alice.get(f"{AT}/{noun}?{query}").status == 403
    assert root.get(f"{AT}/{noun}?{query}").status == 200


def test_pages_sorted_by_a_boolean_hold_every_row_once(alice, make):
    for _ in range(3):
        make.network()
    every = {network["id"] for network in alice.get(f"{AT}/networks").json()["networks"]}
    walked, marker = [], ""
    while page := alice.get(f"{AT}/networks?sort_key=admin_state_up&limit=1{marker}").json()["networks"]:
        walked.append(page[0]["id"])
        marker = f"&marker={walked[-1]}"
    assert sorted(walked) == sorted(every)
