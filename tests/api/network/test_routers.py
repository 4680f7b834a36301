"""Routers: legs, gateways, routes, what refuses to go."""

from __future__ import annotations

import pytest
from tests.api.network.setting import AT, Maker, absent_id, fault

ROUTERS = f"{AT}/routers"


def leg(client, router, verb, **body):
    return client.put(f"{ROUTERS}/{router['id']}/{verb}_router_interface", body)


def test_a_router_has_the_documented_keys(root, make):
    made = make.router(admin_state_up=False, description="d", external_gateway_info={})
    keys = {
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
        *(
            "status",
            "admin_state_up",
            "external_gateway_info",
            "routes",
            "availability_zone_hints",
            "availability_zones",
        ),
    }
    assert set(made) == keys
    assert (made["status"], made["admin_state_up"], made["external_gateway_info"]) == ("ACTIVE", False, None)
    assert set(root.get(f"{ROUTERS}/{made['id']}").json()["router"]) == keys


def test_a_leg_by_subnet_comes_and_goes_with_its_port(cloud, alice, make):
    network, router = make.network(), make.router()
    subnet = make.subnet(network)
    added = make.add_leg(router, subnet_id=subnet["id"])
    assert set(added) == {"id", "tenant_id", "project_id", "port_id", "network_id", "subnet_id", "subnet_ids", "tags"}
    port = alice.get(f"{AT}/ports/{added['port_id']}").json()["port"]
    assert (port["device_id"], port["device_owner"], port["status"]) == (
        router["id"],
        "network:router_interface",
        "ACTIVE",
    )
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.1"}]
    assert port["id"] not in cloud.held("port")
    assert cloud.held("router")[router["id"]].interfaces[0].mac == port["mac_address"]
    assert fault(alice.delete(f"{AT}/ports/{port['id']}")) == (409, "ServicePortInUse")
    assert fault(leg(alice, router, "add", subnet_id=subnet["id"])) == (400, "BadRequest")
    assert fault(alice.delete(f"{ROUTERS}/{router['id']}")) == (409, "RouterInUse")
    removed = leg(alice, router, "remove", subnet_id=subnet["id"])
    assert (removed.status, removed.json()["port_id"]) == (200, port["id"])
    assert alice.get(f"{AT}/ports/{port['id']}").status == 404
    assert cloud.held("router")[router["id"]].interfaces == ()
    assert alice.delete(f"{ROUTERS}/{router['id']}").status == 204


def test_a_leg_by_port_takes_the_ports_address(cloud, alice, make):
    network, router = make.network(), make.router()
    make.subnet(network)
    port = make.port(network)
    assert port["id"] in cloud.held("port")
    make.add_leg(router, port_id=port["id"])
    assert port["id"] not in cloud.held("port")
    assert cloud.held("router")[router["id"]].interfaces[0].addresses == ("10.0.0.3/24",)
    assert fault(leg(alice, make.router(), "add", port_id=port["id"])) == (409, "PortInUse")
    assert leg(alice, router, "remove", port_id=port["id"]).status == 200
    assert alice.get(f"{AT}/ports/{port['id']}").status == 404


@pytest.mark.parametrize("verb", ["add", "remove"])
def test_what_is_no_leg_is_refused(alice, make, verb):
    router, network = make.router(), make.network()
    subnet = make.subnet(network, gateway_ip=None)
    port = make.port(network, fixed_ips=[])
    assert leg(alice, router, verb).status == 400
    assert fault(leg(alice, router, verb, subnet_id=absent_id())) == (404, "SubnetNotFound")
    assert leg(alice, router, verb, port_id=absent_id()).status == 404
    if verb == "add":
        assert leg(alice, router, verb, subnet_id=subnet["id"], port_id=port["id"]).status == 400
        assert fault(leg(alice, router, verb, subnet_id=subnet["id"])) == (400, "BadRequest")
        assert fault(leg(alice, router, verb, port_id=port["id"])) == (400, "BadRequest")
    else:
        assert fault(leg(alice, router, verb, subnet_id=subnet["id"])) == (404, "RouterInterfaceNotFoundForSubnet")
        assert fault(leg(alice, router, verb, port_id=port["id"])) == (404, "RouterInterfaceNotFound")


def test_legs_do_not_overlap_and_are_ones_own(alice, bob, root, make):
    router = make.router()
    make.add_leg(router, subnet_id=make.subnet(make.network())["id"])
    twin = make.subnet(make.network(), "10.0.0.128/25")
    assert fault(leg(alice, router, "add", subnet_id=twin["id"])) == (400, "BadRequest")
    theirs = Maker(bob)
    network = theirs.network()
    foreign = theirs.subnet(network, "10.7.0.0/24")
    assert fault(leg(alice, router, "add", subnet_id=foreign["id"])) == (404, "SubnetNotFound")
    root.put(f"{AT}/networks/{network['id']}", {"network": {"shared": True}})
    assert leg(alice, router, "add", subnet_id=foreign["id"]).status == 403
    assert fault(leg(bob, router, "add", subnet_id=foreign["id"])) == (404, "RouterNotFound")


def test_a_gateway_is_set_shown_and_cleared(cloud, alice, root, make):
    public = cloud.public_id()
    router = make.router(external_gateway_info={"network_id": public})
    at = f"{ROUTERS}/{router['id']}"
    info = router["external_gateway_info"]
    assert (info["network_id"], info["enable_snat"]) == (public, True)
    assert info["external_fixed_ips"][0]["ip_address"] == "198.18.0.10"
    assert alice.get(f"{AT}/ports?device_id={router['id']}").json()["ports"] == []
    owned = root.get(f"{AT}/ports?device_id={router['id']}").json()["ports"]
    assert [(one["device_owner"], one["project_id"]) for one in owned] == [("network:router_gateway", "")]
    assert cloud.held("router")[router["id"]].gateway.addresses == ("198.18.0.10/24",)
    assert alice.put(at, {"router": {"external_gateway_info": {}}}).json()["router"]["external_gateway_info"] is None
    assert root.get(f"{AT}/ports?device_id={router['id']}").json()["ports"] == []
    assert cloud.held("router")[router["id"]].gateway is None


def test_snat_and_outside_addresses_are_for_administrators(cloud, alice, root, make, wan):
    public, (_, _, router) = cloud.public_id(), wan
    at = f"{ROUTERS}/{router['id']}"
    off = {"router": {"external_gateway_info": {"network_id": public, "enable_snat": False}}}
    chosen = {
        "router": {
            "external_gateway_info": {"network_id": public, "external_fixed_ips": [{"ip_address": "198.18.0.99"}]}
        }
    }
    same = {"router": {"external_gateway_info": {"network_id": public, "enable_snat": True}}}
    assert alice.put(at, off).status == 403
    assert alice.put(at, chosen).status == 403
    assert alice.put(at, same).status == 200
    assert root.put(at, off).json()["router"]["external_gateway_info"]["enable_snat"] is False
    assert cloud.held("router")[router["id"]].gateway.snat_cidrs == ()
    moved = root.put(at, chosen).json()["router"]["external_gateway_info"]["external_fixed_ips"]
    assert [one["ip_address"] for one in moved] == ["198.18.0.99"]
    assert cloud.held("router")[router["id"]].gateway.addresses == ("198.18.0.99/24",)


def test_a_gateway_leads_outside_or_not_at_all(alice, make):
    network = make.network()
    make.subnet(network)
    body = {"router": {"external_gateway_info": {"network_id": network["id"]}}}
    assert fault(alice.post(ROUTERS, body)) == (400, "BadRequest")
    body["router"]["external_gateway_info"]["network_id"] = absent_id()
    assert fault(alice.post(ROUTERS, body)) == (404, "NetworkNotFound")
    assert alice.get(ROUTERS).json()["routers"] == []


def test_a_gateway_in_use_by_a_floating_ip_stays(cloud, alice, make, wan):
    network, _, router = wan
    make.floating_ip(cloud.public_id(), port_id=make.port(network)["id"])
    answer = alice.put(f"{ROUTERS}/{router['id']}", {"router": {"external_gateway_info": None}})
    assert fault(answer) == (409, "RouterExternalGatewayInUseByFloatingIp")


def test_routes_go_to_neighbours(cloud, alice, make, wan):
    _, subnet, router = wan
    at = f"{ROUTERS}/{router['id']}"
    route = {"destination": "10.50.0.0/16", "nexthop": "10.0.0.9"}
    assert alice.put(at, {"router": {"routes": [route]}}).json()["router"]["routes"] == [route]
    assert cloud.held("router")[router["id"]].routes == (("10.50.0.0/16", "10.0.0.9"),)
    assert fault(leg(alice, router, "remove", subnet_id=subnet["id"])) == (409, "RouterInterfaceInUseByRoute")
    for wrong in ({**route, "nexthop": "10.9.9.9"}, {**route, "nexthop": "10.0.0.1"}):
        assert fault(alice.put(at, {"router": {"routes": [wrong]}})) == (400, "InvalidRoutes")
    assert alice.put(at, {"router": {"routes": [{"destination": "x", "nexthop": "10.0.0.9"}]}}).status == 400
    more = {"router": {"routes": [{"destination": "10.60.0.0/16", "nexthop": "10.0.0.9"}]}}
    assert len(alice.put(f"{at}/add_extraroutes", more).json()["router"]["routes"]) == 2
    assert alice.put(f"{at}/remove_extraroutes", more).json()["router"]["routes"] == [route]
    assert alice.put(at, {"router": {"routes": None}}).json()["router"]["routes"] == []


def test_ipv6_subnets_of_a_network_share_a_leg(cloud, alice, make):
    network, router = make.network(), make.router()
    one, two = make.subnet(network, "fd00:1::/64"), make.subnet(network, "fd00:2::/64")
    first = make.add_leg(router, subnet_id=one["id"])
    assert make.add_leg(router, subnet_id=two["id"])["port_id"] == first["port_id"]
    assert cloud.held("router")[router["id"]].interfaces[0].addresses == ("fd00:1::1/64", "fd00:2::1/64")
    assert leg(alice, router, "remove", subnet_id=one["id"]).status == 200
    assert cloud.held("router")[router["id"]].interfaces[0].addresses == ("fd00:2::1/64",)
    assert alice.get(f"{AT}/ports/{first['port_id']}").status == 200


def test_changes_by_owners_and_others(cloud, alice, bob, make):
    router = make.router()
    at = f"{ROUTERS}/{router['id']}"
    changed = alice.put(at, {"router": {"name": "new", "admin_state_up": False}}).json()["router"]
    assert (changed["name"], changed["admin_state_up"]) == ("new", False)
    assert cloud.held("router")[router["id"]].enabled is False
    for answer in (bob.get(at), bob.put(at, {"router": {}}), bob.delete(at)):
        assert fault(answer) == (404, "RouterNotFound")
    assert alice.put(at, {"router": {"colour": 1}}).status == 400


@pytest.mark.parametrize("attribute", ["distributed", "ha"])
@pytest.mark.parametrize("value", [True, False, None])
def test_how_a_router_is_spread_is_no_attribute(alice, root, make, attribute, value):
    """Their extensions, dvr and l3-ha, are not listed: every router is distributed, its gateway on several hosts."""
    at = f"{ROUTERS}/{make.router()['id']}"
    for client in (alice, root):
        assert client.post(ROUTERS, {"router": {attribute: value}}).status == 400
        assert client.put(at, {"router": {attribute: value}}).status == 400
    assert not {"dvr", "l3-ha"} & {one["alias"] for one in alice.get(f"{AT}/extensions").json()["extensions"]}


def test_gateways_follow_the_hosts_that_come_and_not_their_moments_of_weakness(cloud, make, wan):
    _, _, router = wan
    before = cloud.held("router")[router["id"]].gateway.hosts
    cloud.driver.set_host(before[0], alive=False)
    assert cloud.held("router")[router["id"]].gateway.hosts == before
    cloud.driver.set_host("h3", alive=True)
    assert set(cloud.held("router")[router["id"]].gateway.hosts) == {"h1", "h2", "h3"}
    for number in range(4, 9):
        cloud.driver.set_host(f"h{number}", alive=True)
    chosen = cloud.held("router")[router["id"]].gateway.hosts
    assert len(chosen) == 5
    cloud.driver.set_host(chosen[2], alive=False)
    after = cloud.held("router")[router["id"]].gateway.hosts
    assert chosen[2] not in after
    assert set(chosen) - {chosen[2]} < set(after)


def test_a_gateway_waits_for_a_subnet_of_its_network(cloud, alice, root, make):
    theirs = Maker(root)
    outside = theirs.network(**{"router:external": True})
    router = make.router(external_gateway_info={"network_id": outside["id"]})
    info = {"network_id": outside["id"], "external_fixed_ips": [], "enable_snat": True}
    assert router["external_gateway_info"] == info
    assert cloud.held("router")[router["id"]].gateway is None
    subnet = theirs.subnet(outside, "203.0.113.0/24")
    theirs.subnet(outside, "203.0.114.0/24")
    theirs.subnet(outside, "2001:db8:1::/64")
    shown = alice.get(f"{ROUTERS}/{router['id']}").json()["router"]["external_gateway_info"]["external_fixed_ips"]
    assert [one["subnet_id"] for one in shown][0] == subnet["id"]
    assert [":" in one["ip_address"] for one in shown] == [False, True]
    assert cloud.held("router")[router["id"]].gateway.addresses[0] == f"{shown[0]['ip_address']}/24"
    assert alice.delete(f"{ROUTERS}/{router['id']}").status == 204
    assert root.get(f"{AT}/ports?network_id={outside['id']}&device_owner=network:router_gateway").json()["ports"] == []
