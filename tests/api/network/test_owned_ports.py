"""Ports that the cloud owns keep what it needs of them: router legs, gateways, service ports, servers' ports."""

from __future__ import annotations

import pytest
from tests.api.network.setting import AT, fault

from gureum.foundation.caller import Caller
from gureum.foundation.errors import BadRequest
from gureum.services.network.facade import NicRequest, NicWanted

ALICE = Caller(user_id="alice", project_id="p1", roles=("member", "reader"))


def ports_of(client, owner, **query):
    words = "".join(f"&{name}={value}" for name, value in query.items())
    return client.get(f"{AT}/ports?device_owner={owner}{words}").json()["ports"]


@pytest.fixture
def leg(alice, wan):
    return ports_of(alice, "network:router_interface", device_id=wan[2]["id"])[0]


def test_a_leg_keeps_its_subnet_and_may_have_another_address_there(cloud, alice, make, wan, leg):
    network, subnet, router = wan
    other = make.subnet(network, "10.0.1.0/24")
    at = f"{AT}/ports/{leg['id']}"
    for fixed_ips in (
        [],
        None,
        [{"subnet_id": other["id"]}],
        [{"subnet_id": subnet["id"]}, {"subnet_id": other["id"]}],
        [{"ip_address": "10.0.0.1"}, {"ip_address": "10.0.0.99"}],
    ):
        assert fault(alice.put(at, {"port": {"fixed_ips": fixed_ips}})) == (409, "PortInUse"), fixed_ips
    assert alice.get(at).json()["port"]["fixed_ips"] == leg["fixed_ips"]
    moved = alice.put(at, {"port": {"fixed_ips": [{"subnet_id": subnet["id"], "ip_address": "10.0.0.99"}]}})
    assert moved.json()["port"]["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.99"}]
    assert cloud.held("router")[router["id"]].interfaces[0].addresses == ("10.0.0.99/24",)
    removed = alice.put(f"{AT}/routers/{router['id']}/remove_router_interface", {"port_id": leg["id"]})
    assert removed.status == 200


def test_a_leg_takes_no_address_that_its_router_sends_to(alice, wan, leg):
    router = wan[2]
    routes = [{"destination": "10.50.0.0/16", "nexthop": "10.0.0.9"}]
    alice.put(f"{AT}/routers/{router['id']}", {"router": {"routes": routes}})
    answer = alice.put(f"{AT}/ports/{leg['id']}", {"port": {"fixed_ips": [{"ip_address": "10.0.0.9"}]}})
    assert fault(answer) == (400, "InvalidRoutes")


def test_a_gateways_port_keeps_its_address(cloud, root, wan):
    port = ports_of(root, "network:router_gateway", device_id=wan[2]["id"])[0]
    at = f"{AT}/ports/{port['id']}"
    assert fault(root.put(at, {"port": {"fixed_ips": []}})) == (409, "PortInUse")
    assert root.put(at, {"port": {"fixed_ips": [{"ip_address": "198.18.0.77"}]}}).status == 200
    assert cloud.held("router")[wan[2]["id"]].gateway.addresses == ("198.18.0.77/24",)


def test_addresses_and_mac_of_the_service_port_follow_the_network(alice, root, make):
    network = make.network()
    make.subnet(network)
    port = ports_of(alice, "network:distributed", network_id=network["id"])[0]
    for changes in ({"fixed_ips": []}, {"fixed_ips": [{"ip_address": "10.0.0.9"}]}, {"mac_address": None}):
        assert fault(root.put(f"{AT}/ports/{port['id']}", {"port": changes})) == (409, "PortInUse"), changes


@pytest.mark.parametrize(
    "device",
    [
        {"device_id": ""},
        {"device_id": "other"},
        {"device_owner": ""},
        {"device_owner": "compute:nova"},
        {"device_owner": "network:dhcp"},
    ],
)
def test_the_device_of_a_port_that_the_cloud_owns_stays(alice, root, wan, leg, device):
    gateway = ports_of(root, "network:router_gateway", device_id=wan[2]["id"])[0]
    service = ports_of(root, "network:distributed", network_id=wan[0]["id"])[0]
    for port in (leg, gateway, service):
        answer = root.put(f"{AT}/ports/{port['id']}", {"port": device})
        assert fault(answer) == (409, "PortInUse"), port["device_owner"]


@pytest.mark.parametrize(
    "owner",
    [
        *("network:router_interface", "network:router_gateway", "network:distributed", "network:floatingip"),
        *("network:router_interface_distributed", "network:router_centralized_snat"),
    ],
)
def test_owners_that_the_cloud_alone_sets_are_refused(root, make, owner):
    network = make.network()
    port = make.port(network)
    body = {"network_id": network["id"], "device_owner": owner}
    assert fault(root.post(f"{AT}/ports", {"port": body})) == (400, "InvalidInput")
    assert fault(root.put(f"{AT}/ports/{port['id']}", {"port": {"device_owner": owner}})) == (400, "InvalidInput")


@pytest.fixture
def server_port(cloud, make, wan):
    """A port of the server s1, bound to h1."""
    port = make.port(wan[0])

    def boot(tx):
        plan = cloud.facade.plan(tx, ALICE, NicRequest("listed", (NicWanted(port_id=port["id"]),)), 1)
        cloud.facade.create_server_ports(tx, plan, "s1", "p1", "nova")
        cloud.facade.bind(tx, "s1", "h1")

    cloud.write(boot)
    return port


def test_compute_takes_no_address_from_under_a_floating_ip(cloud, make, server_port):
    make.floating_ip(cloud.public_id(), port_id=server_port["id"])
    address = server_port["fixed_ips"][0]["ip_address"]
    with pytest.raises(BadRequest, match="floating IP"):
        cloud.write(lambda tx: cloud.facade.remove_fixed_ip(tx, "s1", address))


@pytest.mark.parametrize("host", ["nowhere", "h2", "", None])
def test_a_servers_port_stays_where_its_server_is(root, server_port, host):
    at = f"{AT}/ports/{server_port['id']}"
    assert root.put(at, {"port": {"binding:host_id": host}}).status == (400 if host == "nowhere" else 409)
    shown = root.put(at, {"port": {"binding:host_id": "h1"}}).json()["port"]
    assert shown["binding:host_id"] == "h1"


def test_a_bound_port_moves_to_hosts_that_exist(root, make):
    network = make.network()
    at = f"{AT}/ports/{make.port(network)['id']}"
    for host in ("one-to-come", "another-to-come"):
        assert root.put(at, {"port": {"binding:host_id": host}}).json()["port"]["binding:host_id"] == host
    assert root.put(at, {"port": {"binding:host_id": "h1"}}).status == 200
    assert fault(root.put(at, {"port": {"binding:host_id": "nowhere"}})) == (400, "InvalidInput")
    assert root.put(at, {"port": {"binding:host_id": "h2"}}).status == 200
    assert root.put(at, {"port": {"binding:host_id": ""}}).json()["port"]["binding:host_id"] == ""


def test_a_port_with_a_groups_mac_is_made_and_serves_no_server(cloud, make, wan):
    port = make.port(wan[0], mac_address="11:22:33:44:55:66")
    assert port["mac_address"] == "11:22:33:44:55:66"
    request = NicRequest("listed", (NicWanted(port_id=port["id"]),))
    with pytest.raises(BadRequest, match="multicast MAC"):
        cloud.write(lambda tx: cloud.facade.plan(tx, ALICE, request, 1))
