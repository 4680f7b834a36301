"""Floating IPs: taken, tied, moved, let go."""

from __future__ import annotations

import pytest
from tests.api.network.setting import AT, Maker, absent_id, fault

FLOATING = f"{AT}/floatingips"


def test_a_floating_ip_has_the_documented_keys_and_a_life(cloud, alice, make, wan):
    network, _, router = wan
    port, other = make.port(network, name="one"), make.port(network)
    made = make.floating_ip(cloud.public_id())
    assert set(made) == {
        *("id", "description", "tenant_id", "project_id", "tags", "revision_number", "created_at", "updated_at"),
        *("floating_network_id", "floating_ip_address", "port_id", "fixed_ip_address", "router_id", "status"),
        "port_details",
    }
    assert (made["status"], made["port_id"], made["router_id"]) == ("DOWN", None, None)
    assert cloud.held("floating_ip") == {}
    at = f"{FLOATING}/{made['id']}"
    tied = alice.put(at, {"floatingip": {"port_id": port["id"]}}).json()["floatingip"]
    assert (tied["status"], tied["router_id"], tied["fixed_ip_address"]) == (
        "ACTIVE",
        router["id"],
        port["fixed_ips"][0]["ip_address"],
    )
    assert tied["port_details"]["name"] == "one"
    moved = alice.put(at, {"floatingip": {"port_id": other["id"]}}).json()["floatingip"]
    assert (
        cloud.held("floating_ip")[made["id"]].fixed_ip
        == moved["fixed_ip_address"]
        == other["fixed_ips"][0]["ip_address"]
    )
    kept = alice.put(at, {"floatingip": {"description": "d"}}).json()["floatingip"]
    assert (kept["port_id"], kept["description"]) == (other["id"], "d")
    loose = alice.put(at, {"floatingip": {"port_id": None}}).json()["floatingip"]
    assert (loose["status"], loose["port_id"], loose["fixed_ip_address"], loose["router_id"]) == (
        "DOWN",
        None,
        None,
        None,
    )
    assert cloud.held("floating_ip") == {}
    assert alice.delete(at).status == 204
    assert alice.get(at).status == 404
    assert make.floating_ip(cloud.public_id())["floating_ip_address"] != made["floating_ip_address"]


def test_a_deleted_port_lets_its_floating_ip_go(cloud, alice, make, wan):
    network, _, _ = wan
    port = make.port(network)
    made = make.floating_ip(cloud.public_id(), port_id=port["id"])
    assert cloud.held("floating_ip")
    assert alice.delete(f"{AT}/ports/{port['id']}").status == 204
    shown = alice.get(f"{FLOATING}/{made['id']}").json()["floatingip"]
    assert (shown["status"], shown["port_id"], shown["fixed_ip_address"], shown["router_id"]) == (
        "DOWN",
        None,
        None,
        None,
    )
    assert cloud.held("floating_ip") == {}


def test_an_address_under_a_floating_ip_stays_until_it_is_let_go(cloud, alice, make, wan):
    network, _, _ = wan
    port = make.port(network)
    made = make.floating_ip(cloud.public_id(), port_id=port["id"])
    at, held = f"{AT}/ports/{port['id']}", [{"ip_address": port["fixed_ips"][0]["ip_address"]}]
    for fixed_ips in ([], [{"ip_address": "10.0.0.77"}], None):
        assert fault(alice.put(at, {"port": {"fixed_ips": fixed_ips}})) == (409, "PortInUse")
    assert alice.get(f"{FLOATING}/{made['id']}").json()["floatingip"]["port_id"] == port["id"]
    assert alice.put(at, {"port": {"fixed_ips": [*held, {"ip_address": "10.0.0.77"}]}}).status == 200
    assert alice.put(at, {"port": {"fixed_ips": held}}).status == 200
    alice.put(f"{FLOATING}/{made['id']}", {"floatingip": {"port_id": None}})
    assert alice.put(at, {"port": {"fixed_ips": []}}).status == 200


def test_several_addresses_need_a_choice(cloud, alice, make, wan):
    network, subnet, _ = wan
    port = make.port(network, fixed_ips=[{"subnet_id": subnet["id"]}, {"subnet_id": subnet["id"]}])
    body = {"floating_network_id": cloud.public_id(), "port_id": port["id"]}
    assert fault(alice.post(FLOATING, {"floatingip": body})) == (400, "BadRequest")
    first, second = (one["ip_address"] for one in port["fixed_ips"])
    made = make.floating_ip(cloud.public_id(), port_id=port["id"], fixed_ip_address=first)
    assert made["fixed_ip_address"] == first
    at = f"{FLOATING}/{made['id']}"
    moved = alice.put(at, {"floatingip": {"port_id": port["id"], "fixed_ip_address": second}}).json()["floatingip"]
    assert moved["fixed_ip_address"] == second


@pytest.mark.parametrize("attributes", [{"colour": 1}, {"port_id": 5}, {"fixed_ip_address": "10.0.0.9"}])
def test_bad_bodies_are_refused_and_nothing_is_written(cloud, alice, attributes):
    body = {"floating_network_id": cloud.public_id(), **attributes}
    assert alice.post(FLOATING, {"floatingip": body}).status == 400
    assert alice.get(FLOATING).json()["floatingips"] == []


def test_what_cannot_be_tied_is_refused_by_name(cloud, alice, bob, make, wan):
    network, _, _ = wan
    public, port, lonely = cloud.public_id(), make.port(network), make.network()
    make.subnet(lonely, "10.3.0.0/24")

    def post(**body):
        return fault(alice.post(FLOATING, {"floatingip": {"floating_network_id": public, **body}}))

    assert post(floating_network_id=absent_id()) == (404, "NetworkNotFound")
    assert post(floating_network_id=network["id"]) == (400, "BadRequest")
    assert post(port_id=absent_id()) == (404, "PortNotFound")
    assert post(port_id=make.port(lonely)["id"]) == (404, "ExternalGatewayForFloatingIPNotFound")
    assert post(port_id=make.port(network, fixed_ips=[])["id"]) == (400, "BadRequest")
    make.floating_ip(public, port_id=port["id"])
    assert post(port_id=port["id"]) == (409, "FloatingIPPortAlreadyAssociated")
    assert fault(bob.post(FLOATING, {"floatingip": {"floating_network_id": public, "port_id": port["id"]}})) == (
        404,
        "PortNotFound",
    )
    assert len(alice.get(FLOATING).json()["floatingips"]) == 1


def test_choosing_the_address_is_for_administrators(cloud, alice, root):
    body = {"floatingip": {"floating_network_id": cloud.public_id(), "floating_ip_address": "198.18.0.200"}}
    assert alice.post(FLOATING, body).status == 403
    assert root.post(FLOATING, body).json()["floatingip"]["floating_ip_address"] == "198.18.0.200"
    assert fault(root.post(FLOATING, body)) == (409, "IpAddressAlreadyAllocated")


def test_lists_filter_and_foreign_ones_are_not_there(cloud, alice, bob, make, wan):
    network, _, router = wan
    port = make.port(network)
    one = make.floating_ip(cloud.public_id(), port_id=port["id"])
    two = make.floating_ip(cloud.public_id())

    def ids(query):
        return {entry["id"] for entry in alice.get(f"{FLOATING}?{query}").json()["floatingips"]}

    assert ids("") == {one["id"], two["id"]}
    assert ids(f"port_id={port['id']}") == ids(f"router_id={router['id']}") == ids("status=ACTIVE") == {one["id"]}
    assert ids(f"floating_ip_address={two['floating_ip_address']}") == {two["id"]}
    at = f"{FLOATING}/{one['id']}"
    for answer in (bob.get(at), bob.put(at, {"floatingip": {}}), bob.delete(at)):
        assert fault(answer) == (404, "FloatingIPNotFound")
    assert Maker(bob).floating_ip(cloud.public_id())["project_id"] == "p2"


def test_the_external_network_stays_while_it_is_used_and_takes_loose_addresses_with_it(cloud, alice, root, make, wan):
    network, _, router = wan
    port = make.port(network)
    made = make.floating_ip(cloud.public_id(), port_id=port["id"])
    at = f"{AT}/networks/{cloud.public_id()}"
    assert fault(root.delete(at)) == (409, "NetworkInUse")
    assert fault(root.put(at, {"network": {"router:external": False}})) == (409, "ExternalNetworkInUse")
    alice.put(f"{FLOATING}/{made['id']}", {"floatingip": {"port_id": None}})
    alice.put(f"{AT}/routers/{router['id']}", {"router": {"external_gateway_info": None}})
    assert root.delete(at).status == 204
    assert alice.get(f"{FLOATING}/{made['id']}").status == 404


@pytest.fixture
def held_ports(cloud, root):
    """The ports of floating IPs that an administrator sees in the external network."""

    def read():
        query = f"network_id={cloud.public_id()}&device_owner=network:floatingip"
        return root.get(f"{AT}/ports?{query}").json()["ports"]

    return read


def test_a_floating_ip_has_a_port_in_its_network(cloud, alice, root, make, wan, held_ports):
    made = make.floating_ip(cloud.public_id())
    [port] = held_ports()
    assert (port["device_id"], port["project_id"], port["status"], port["security_groups"]) == (
        made["id"],
        "",
        "N/A",
        [],
    )
    assert [one["ip_address"] for one in port["fixed_ips"]] == [made["floating_ip_address"]]
    assert alice.get(f"{AT}/ports/{port['id']}").status == 404
    assert alice.get(f"{AT}/quotas/p1/details.json").json()["quota"]["port"]["used"] == 2  # a leg and a service port
    assert port["id"] not in cloud.held("port")
    alice.delete(f"{FLOATING}/{made['id']}")
    assert held_ports() == []
    assert root.post(FLOATING, {"floatingip": _again(cloud, made)}).status == 201


def _again(cloud, made):
    return {"floating_network_id": cloud.public_id(), "floating_ip_address": made["floating_ip_address"]}


def test_the_port_of_a_floating_ip_is_not_for_clients(cloud, root, make, held_ports):
    make.floating_ip(cloud.public_id())
    at = f"{AT}/ports/{held_ports()[0]['id']}"
    assert fault(root.delete(at)) == (409, "ServicePortInUse")
    for changes in ({"fixed_ips": []}, {"mac_address": None}, {"device_id": ""}, {"device_owner": "compute:nova"}):
        assert fault(root.put(at, {"port": changes})) == (409, "PortInUse"), changes


def test_an_external_network_goes_with_its_unused_floating_ips(cloud, root, held_ports):
    theirs = Maker(root)
    outside = theirs.network(**{"router:external": True})
    theirs.subnet(outside, "203.0.113.0/24")
    theirs.floating_ip(outside["id"])
    assert root.delete(f"{AT}/networks/{outside['id']}").status == 204
    assert root.get(f"{AT}/ports?network_id={outside['id']}").json()["ports"] == []
    assert root.get(FLOATING).json()["floatingips"] == []


def test_another_projects_port_on_ones_own_network_is_refused(cloud, alice, bob, root, make, wan):
    network, _, _ = wan
    root.put(f"{AT}/networks/{network['id']}", {"network": {"shared": True}})
    guest = Maker(bob).port(network)
    body = {"floating_network_id": cloud.public_id(), "port_id": guest["id"]}
    assert fault(alice.post(FLOATING, {"floatingip": body})) == (400, "BadRequest")
    mine = make.floating_ip(cloud.public_id())
    answer = alice.put(f"{FLOATING}/{mine['id']}", {"floatingip": {"port_id": guest["id"]}})
    assert fault(answer) == (400, "BadRequest")
    unseen = make.port(make.network())
    answer = bob.post(FLOATING, {"floatingip": {**body, "port_id": unseen["id"]}})
    assert fault(answer) == (404, "PortNotFound")


def test_a_routers_leg_may_have_a_floating_ip_which_the_gateways_host_answers(cloud, alice, make, wan):
    leg = alice.get(f"{AT}/ports?device_owner=network:router_interface").json()["ports"][0]
    floating = make.floating_ip(cloud.public_id(), port_id=leg["id"])
    held = cloud.held("floating_ip")[floating["id"]]
    assert (held.fixed_ip, held.port_id) == ("10.0.0.1", None)
    service = alice.get(f"{AT}/ports?device_owner=network:distributed").json()["ports"][0]
    dhcp = make.port(wan[0], device_owner="network:dhcp")
    for port in (service, dhcp):
        body = {"floating_network_id": cloud.public_id(), "port_id": port["id"]}
        assert fault(alice.post(FLOATING, {"floatingip": body})) == (400, "BadRequest")


def test_a_port_with_a_floating_ip_becomes_a_leg(cloud, alice, make, wan):
    port = make.port(wan[0])
    floating = make.floating_ip(cloud.public_id(), port_id=port["id"])
    assert cloud.held("floating_ip")[floating["id"]].port_id == port["id"]
    make.add_leg(make.router(), port_id=port["id"])
    assert cloud.held("floating_ip")[floating["id"]].port_id is None


def test_a_change_of_the_fixed_address_keeps_the_port(cloud, alice, make, wan):
    port = make.port(wan[0])
    floating = make.floating_ip(cloud.public_id(), port_id=port["id"])
    at = f"{FLOATING}/{floating['id']}"
    kept = alice.put(at, {"floatingip": {"fixed_ip_address": None}}).json()["floatingip"]
    assert (kept["port_id"], kept["fixed_ip_address"]) == (port["id"], port["fixed_ips"][0]["ip_address"])
    both = {"port_id": None, "fixed_ip_address": kept["fixed_ip_address"]}
    assert fault(alice.put(at, {"floatingip": both})) == (400, "BadRequest")
