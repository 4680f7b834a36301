"""Subnets: ranges, pools, gateways, DHCP and the service port, IPv6."""

from __future__ import annotations

import pytest
from tests.api.network.setting import AT, absent_id, fault


@pytest.fixture
def network(make):
    return make.network()


def post(client, network, **attributes):
    body = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24", **attributes}
    return client.post(f"{AT}/subnets", {"subnet": body})


def test_a_subnet_has_the_documented_keys(make, network):
    made = make.subnet(network, "10.0.0.7/24", dns_nameservers=["9.9.9.9"], name="s")
    assert set(made) == {
        *(
            "id",
            "name",
            "description",
            "tenant_id",
            "project_id",
            "tags",
            "revision_number",
            "created_at",
            "updated_at",
        ),
        *("network_id", "ip_version", "cidr", "gateway_ip", "enable_dhcp", "allocation_pools", "dns_nameservers"),
        *("host_routes", "ipv6_ra_mode", "ipv6_address_mode", "subnetpool_id", "service_types"),
        "router:external",
    }
    assert (made["cidr"], made["dns_nameservers"]) == ("10.0.0.0/24", ["9.9.9.9"])


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"cidr": "10.0.0.0"}, (400, "InvalidInput")),
        ({"cidr": "ten"}, (400, "InvalidInput")),
        ({"cidr": "fd00::/64"}, (400, "InvalidInput")),
        ({"gateway_ip": "10.0.0.0"}, (400, "InvalidInput")),
        ({"gateway_ip": "10.0.0.255"}, (400, "InvalidInput")),
        ({"gateway_ip": "fd00::1"}, (400, "InvalidInput")),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.5"}]}, (400, "InvalidAllocationPool")),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.1.5"}]}, (400, "OutOfBoundsAllocationPool")),
        (
            {
                "allocation_pools": [
                    {"start": "10.0.0.9", "end": "10.0.0.50"},
                    {"start": "10.0.0.40", "end": "10.0.0.60"},
                ]
            },
            (409, "OverlappingAllocationPools"),
        ),
        (
            {"gateway_ip": "10.0.0.10", "allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.50"}]},
            (409, "GatewayConflictWithAllocationPools"),
        ),
        ({"dns_nameservers": ["one"]}, (400, "InvalidInput")),
        ({"dns_nameservers": ["9.9.9.9", "9.9.9.9"]}, (400, "InvalidInput")),
        ({"host_routes": [{"destination": "10.1.0.0/24", "nexthop": "fd00::1"}]}, (400, "InvalidInput")),
        ({"ipv6_ra_mode": "slaac"}, (400, "InvalidInput")),
        ({"cidr": "10.0.0.0/31"}, (400, "InvalidInput")),
    ],
)
def test_what_cannot_be_is_refused_by_name(alice, network, attributes, expected):
    assert fault(post(alice, network, **attributes)) == expected
    assert alice.get(f"{AT}/subnets?project_id=p1").json()["subnets"] == []


@pytest.mark.parametrize(
    "attributes",
    [{"ip_version": 5}, {"cidr": None}, {"colour": 1}, {"enable_dhcp": "yes"}, {"host_routes": [{"destination": "x"}]}],
)
def test_bad_bodies_are_refused(alice, network, attributes):
    assert post(alice, network, **attributes).status == 400


def test_overlap_is_refused_in_a_network_and_nowhere_else(alice, make, network):
    make.subnet(network)
    answer = post(alice, network, cidr="10.0.0.128/25")
    assert answer.status == 400
    assert "overlaps with another subnet" in answer.json()["NeutronError"]["message"]
    make.subnet(make.network(), "10.0.0.0/24")


def test_subnets_go_onto_own_networks_only(cloud, alice, bob, root, network):
    assert fault(post(alice, {"id": absent_id()})) == (404, "NetworkNotFound")
    assert fault(post(bob, network)) == (404, "NetworkNotFound")
    assert post(bob, {"id": cloud.public_id()}, cidr="10.9.0.0/24").status == 403
    assert post(root, network).status == 201


def test_subnets_of_external_networks_are_seen_by_all(cloud, bob):
    listed = bob.get(f"{AT}/subnets?network_id={cloud.public_id()}").json()["subnets"]
    assert [one["cidr"] for one in listed] == ["198.18.0.0/24"]
    assert listed[0]["allocation_pools"] == [{"start": "198.18.0.10", "end": "198.18.0.250"}]


def test_the_gateway_can_be_none_and_pools_then_begin_at_the_first_host(make, network):
    made = make.subnet(network, gateway_ip=None)
    assert made["gateway_ip"] is None
    assert made["allocation_pools"] == [{"start": "10.0.0.1", "end": "10.0.0.254"}]


def test_a_gateway_inside_splits_the_pool(make, network):
    made = make.subnet(network, gateway_ip="10.0.0.100")
    assert made["allocation_pools"] == [
        {"start": "10.0.0.1", "end": "10.0.0.99"},
        {"start": "10.0.0.101", "end": "10.0.0.254"},
    ]


def test_dhcp_comes_and_goes_with_the_service_ports_address(cloud, alice, make, network):
    subnet = make.subnet(network)
    at = f"{AT}/subnets/{subnet['id']}"
    assert cloud.held("subnet")[subnet["id"]].metadata_ip == "10.0.0.2"
    assert [one.kind for one in cloud.held("port").values()] == ["metadata"]
    assert alice.put(at, {"subnet": {"enable_dhcp": False}}).json()["subnet"]["enable_dhcp"] is False
    assert cloud.held("port") == {}
    assert cloud.held("subnet")[subnet["id"]].metadata_ip is None
    alice.put(at, {"subnet": {"enable_dhcp": True}})
    assert cloud.held("subnet")[subnet["id"]].metadata_ip is not None
    port = alice.get(f"{AT}/ports?device_owner=network:distributed").json()["ports"][0]
    assert port["device_id"] == f"ovnmeta-{network['id']}"
    assert alice.put(f"{AT}/ports/{port['id']}", {"port": {"fixed_ips": []}}).status == 409
    assert alice.delete(at).status == 204
    assert cloud.held("port") == {}


def test_updates_change_what_may_change(cloud, alice, make, network):
    subnet = make.subnet(network)
    at = f"{AT}/subnets/{subnet['id']}"
    routes = [{"destination": "10.20.0.0/24", "nexthop": "10.0.0.9"}]
    wanted = {"name": "new", "dns_nameservers": ["1.1.1.1", "9.9.9.9"], "host_routes": routes, "gateway_ip": None}
    changed = alice.put(at, {"subnet": wanted}).json()["subnet"]
    assert {key: changed[key] for key in wanted} == wanted
    held = cloud.held("subnet")[subnet["id"]]
    assert (held.dns_servers, held.host_routes, held.gateway_ip) == (
        ("1.1.1.1", "9.9.9.9"),
        (("10.20.0.0/24", "10.0.0.9"),),
        None,
    )
    assert alice.put(at, {"subnet": {"cidr": "10.1.0.0/24"}}).status == 400
    assert alice.put(at, {"subnet": {"gateway_ip": "10.0.0.50"}}).status == 409
    pools = [{"start": "10.0.0.100", "end": "10.0.0.110"}]
    assert alice.put(at, {"subnet": {"allocation_pools": pools}}).json()["subnet"]["allocation_pools"] == pools
    assert make.port(network)["fixed_ips"][0]["ip_address"] == "10.0.0.100"


def test_a_service_port_that_its_owner_deletes_comes_back_with_the_next_change_of_a_subnet(cloud, alice, make, network):
    subnets = [make.subnet(network), make.subnet(network, "10.0.1.0/24")]
    port = alice.get(f"{AT}/ports?device_owner=network:distributed").json()["ports"][0]
    assert [one["ip_address"] for one in port["fixed_ips"]] == ["10.0.0.2", "10.0.1.2"]
    cloud.settle()
    assert alice.delete(f"{AT}/ports/{port['id']}").status == 204
    assert cloud.held("port") == {}
    assert [one.metadata_ip for one in cloud.held("subnet").values() if one.network_id == network["id"]] == [None, None]
    assert alice.put(f"{AT}/subnets/{subnets[0]['id']}", {"subnet": {"name": "again"}}).status == 200
    held = cloud.held("subnet")
    assert all(held[subnet["id"]].metadata_ip is not None for subnet in subnets)
    assert [one.kind for one in cloud.held("port").values()] == ["metadata"]


def test_a_subnet_without_pools_has_dhcp_and_no_metadata_until_it_has_room(cloud, alice, make, network):
    subnet = make.subnet(network, allocation_pools=[])
    assert (subnet["allocation_pools"], subnet["enable_dhcp"]) == ([], True)
    assert cloud.held("port") == {}
    pools = [{"start": "10.0.0.10", "end": "10.0.0.11"}]
    alice.put(f"{AT}/subnets/{subnet['id']}", {"subnet": {"allocation_pools": pools}})
    assert cloud.held("subnet")[subnet["id"]].metadata_ip == "10.0.0.10"


def test_a_network_of_ipv6_alone_has_a_service_port_without_an_address(cloud, alice, make, network):
    """Guests reach it as fe80::a9fe:a9fe."""
    first = make.subnet(network, "fd00:1::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    second = make.subnet(network, "fd00:2::/64")
    [port] = alice.get(f"{AT}/ports?network_id={network['id']}").json()["ports"]
    assert (port["device_owner"], port["fixed_ips"]) == ("network:distributed", [])
    [held] = cloud.held("port").values()
    assert (held.kind, held.fixed_ips) == ("metadata", ())
    make.subnet(network)
    [port] = alice.get(f"{AT}/ports?network_id={network['id']}").json()["ports"]
    assert [one["ip_address"] for one in port["fixed_ips"]] == ["10.0.0.2"]
    for subnet in alice.get(f"{AT}/subnets?network_id={network['id']}&ip_version=4").json()["subnets"]:
        assert alice.delete(f"{AT}/subnets/{subnet['id']}").status == 204
    assert alice.put(f"{AT}/subnets/{second['id']}", {"subnet": {"enable_dhcp": False}}).status == 200
    assert len(cloud.held("port")) == 1
    assert alice.delete(f"{AT}/subnets/{first['id']}").status == 204
    assert cloud.held("port") == {}
    assert alice.delete(f"{AT}/networks/{network['id']}").status == 204


@pytest.mark.parametrize(
    "cidr",
    [
        *("0.0.0.0/0", "0.0.0.0/8", "0.1.2.0/24", "0.0.0.0/1", "127.0.0.0/24", "127.0.0.0/8", "64.0.0.0/2"),
        *("224.0.0.0/24", "239.255.255.0/24", "128.0.0.0/1", "255.255.255.255/32", "255.255.255.0/24"),
        *("169.254.0.0/16", "169.254.169.0/24", "169.254.169.254/32"),
        *(
            "::/0",
            "::/64",
            "::1/128",
            "::ffff:10.0.0.0/120",
            "fe80::/64",
            "fe80::a9fe:a9fe/128",
            "ff02::/64",
            "8000::/1",
        ),
    ],
)
def test_ranges_that_no_port_can_use_are_refused(alice, network, cidr):
    for dhcp in (True, False):
        body = {"network_id": network["id"], "cidr": cidr, "ip_version": 6 if ":" in cidr else 4, "enable_dhcp": dhcp}
        assert fault(alice.post(f"{AT}/subnets", {"subnet": body})) == (400, "InvalidInput")
    assert alice.get(f"{AT}/subnets?network_id={network['id']}").json()["subnets"] == []


@pytest.mark.parametrize("gateway", ["224.0.0.1", "127.0.0.1", "0.0.0.0", "255.255.255.255"])
def test_a_gateway_that_no_router_can_have_is_refused(alice, make, network, gateway):
    body = {"network_id": network["id"], "cidr": "10.0.0.0/24", "ip_version": 4, "gateway_ip": gateway}
    assert fault(alice.post(f"{AT}/subnets", {"subnet": body})) == (400, "InvalidInput")
    subnet = make.subnet(network)
    answer = alice.put(f"{AT}/subnets/{subnet['id']}", {"subnet": {"gateway_ip": gateway}})
    assert fault(answer) == (400, "InvalidInput")


def test_gateways_may_be_outside_and_link_local(make, network):
    assert make.subnet(network, gateway_ip="10.9.0.1")["gateway_ip"] == "10.9.0.1"
    assert make.subnet(network, "fd00:1::/64", gateway_ip="FE80::1")["gateway_ip"] == "fe80::1"


def test_the_smallest_subnets_have_no_dhcp_and_an_address_each(alice, make, network):
    for cidr, addresses in (("10.0.0.0/31", ["10.0.0.0"]), ("10.0.1.7/32", ["10.0.1.7"]), ("fd00::7/128", ["fd00::7"])):
        subnet = make.subnet(network, cidr, enable_dhcp=False)
        port = make.port(network, fixed_ips=[{"subnet_id": subnet["id"]}])
        assert [one["ip_address"] for one in port["fixed_ips"]] == addresses
    for cidr in ("10.1.0.0/31", "10.1.0.0/32"):
        body = {"network_id": network["id"], "cidr": cidr, "ip_version": 4}
        assert fault(alice.post(f"{AT}/subnets", {"subnet": body})) == (400, "InvalidInput")


def test_name_servers_and_host_routes_are_bounded(alice, make, network):
    servers = [f"192.0.2.{n}" for n in range(1, 7)]
    routes = [{"destination": f"10.9.{n}.0/24", "nexthop": "10.0.0.9"} for n in range(21)]
    subnet = make.subnet(network, dns_nameservers=servers[:5], host_routes=routes[:20])
    assert (len(subnet["dns_nameservers"]), len(subnet["host_routes"])) == (5, 20)
    for attributes, code in (
        ({"dns_nameservers": servers}, "DNSNameServersExhausted"),
        ({"host_routes": routes}, "HostRoutesExhausted"),
    ):
        assert fault(alice.put(f"{AT}/subnets/{subnet['id']}", {"subnet": attributes})) == (400, code)
        body = {"network_id": network["id"], "cidr": "10.5.0.0/24", "ip_version": 4, **attributes}
        assert fault(alice.post(f"{AT}/subnets", {"subnet": body})) == (400, code)


def test_the_owner_of_a_network_changes_and_deletes_subnets_of_others(alice, bob, root, network):
    body = {"network_id": network["id"], "cidr": "10.0.0.0/24", "ip_version": 4, "project_id": "p2"}
    subnet = root.post(f"{AT}/subnets", {"subnet": body}).json()["subnet"]
    at = f"{AT}/subnets/{subnet['id']}"
    assert alice.put(at, {"subnet": {"name": "by the owner of the network"}}).status == 200
    assert bob.put(at, {"subnet": {"name": "by its own project"}}).status == 200
    assert alice.delete(at).status == 204


def test_a_subnet_in_use_stays(alice, make, network):
    subnet = make.subnet(network)
    port = make.port(network)
    assert fault(alice.delete(f"{AT}/subnets/{subnet['id']}")) == (409, "SubnetInUse")
    alice.delete(f"{AT}/ports/{port['id']}")
    assert alice.delete(f"{AT}/subnets/{subnet['id']}").status == 204


def test_the_gateway_that_a_router_has_stays(alice, make, wan):
    _, subnet, _ = wan
    answer = alice.put(f"{AT}/subnets/{subnet['id']}", {"subnet": {"gateway_ip": None}})
    assert fault(answer) == (409, "GatewayIpInUse")


def test_ipv6_addresses_follow_the_mode(cloud, alice, make, network):
    before = make.port(network)
    slaac = make.subnet(network, "fd00:1::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    stateful = make.subnet(network, "fd00:2::/64", ipv6_ra_mode="dhcpv6-stateful", ipv6_address_mode="dhcpv6-stateful")
    port = make.port(network, mac_address="FA:16:3e:00:00:01")
    by_subnet = {one["subnet_id"]: one["ip_address"] for one in port["fixed_ips"]}
    assert by_subnet[slaac["id"]] == "fd00:1::f816:3eff:fe00:1"
    assert by_subnet[stateful["id"]] == "fd00:2::2"
    assert len(alice.get(f"{AT}/ports/{before['id']}").json()["port"]["fixed_ips"]) == 1
    assert fault(alice.delete(f"{AT}/subnets/{stateful['id']}")) == (409, "SubnetInUse")
    assert alice.delete(f"{AT}/subnets/{slaac['id']}").status == 204
    assert len(cloud.held("port")[port["id"]].fixed_ips) == 1
