"""Which name servers DHCP tells guests of."""

from __future__ import annotations

import msgspec
import pytest
from tests.api.network.setting import AT, CALLERS, open_cloud

from gureum.services.network.config import NetworkConfig
from gureum.services.network.facade import NicRequest, NicWanted

RESOLVERS = NetworkConfig(dns_servers=["192.0.2.53", "2001:db8::53"])


@pytest.fixture
def subnets(make):
    network = make.network()
    return {
        "bare": make.subnet(network),
        "bare6": make.subnet(network, "fd00:1::/64"),
        "own": make.subnet(network, "10.0.1.0/24", dns_nameservers=["9.9.9.9", "2620:fe::fe"]),
        "own6": make.subnet(network, "fd00:2::/64", dns_nameservers=["9.9.9.9", "2620:fe::fe"]),
        "none": make.subnet(network, "10.0.2.0/24", dns_nameservers=["0.0.0.0"]),
    }


def told(cloud, subnets):
    held = cloud.held("subnet")
    return {name: held[subnet["id"]].dns_servers for name, subnet in subnets.items()}


def test_subnets_without_nameservers_have_none_by_default(cloud, alice, subnets):
    assert told(cloud, subnets) == {
        "bare": (),
        "bare6": (),
        "own": ("9.9.9.9",),
        "own6": ("2620:fe::fe",),
        "none": (),
    }


def test_subnets_without_nameservers_have_the_clouds_resolvers_of_their_ip_version(cloud, alice, subnets):
    cloud.settle()
    cloud.writer.stop()
    later = open_cloud(cloud.database, cloud.driver, RESOLVERS)
    expected = {
        "bare": ("192.0.2.53",),
        "bare6": ("2001:db8::53",),
        "own": ("9.9.9.9",),
        "own6": ("2620:fe::fe",),
        "none": (),
    }
    assert told(later, subnets) == expected
    shown = alice.get(f"{AT}/subnets/{subnets['bare']['id']}").json()["subnet"]
    assert shown["dns_nameservers"] == []
    later.client("alice").put(f"{AT}/subnets/{subnets['own']['id']}", {"subnet": {"dns_nameservers": []}})
    assert told(later, subnets) == expected | {"own": ("192.0.2.53",)}
    later.writer.stop()
    without = open_cloud(cloud.database, cloud.driver)
    assert told(without, subnets)["bare"] == ()
    without.writer.stop()


def test_guests_without_dhcp_are_told_of_the_same_resolvers(cloud, make):
    """By the network data of their metadata and config drive."""
    later = open_cloud(cloud.database, cloud.driver, RESOLVERS)
    network = make.network()
    expected = {}
    for cidr, own, told_of in (
        ("10.0.0.0/24", [], ["192.0.2.53", "2001:db8::53"]),
        ("10.0.1.0/24", ["9.9.9.9"], ["9.9.9.9"]),
        ("10.0.2.0/24", ["0.0.0.0"], []),
    ):
        subnet = make.subnet(network, cidr, enable_dhcp=False, dns_nameservers=own)
        expected[make.port(network, fixed_ips=[{"subnet_id": subnet["id"]}])["id"]] = told_of
    nics = NicRequest("listed", tuple(NicWanted(port_id=port_id) for port_id in expected))

    def boot(tx):
        later.facade.create_server_ports(tx, later.facade.plan(tx, CALLERS["alice"], nics, 1), "s1", "p1", "nova")

    later.write(boot)
    with later.database.read() as tx:
        networks = later.facade.wiring(tx, "s1").network_data["networks"]
    seen = [[service["address"] for service in one["services"]] for one in networks]
    assert seen == list(expected.values())


def test_a_resolver_that_is_no_address_is_refused_at_start():
    with pytest.raises(msgspec.ValidationError, match="one"):
        msgspec.convert({"dns_servers": ["one"]}, NetworkConfig)
