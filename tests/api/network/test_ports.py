"""Ports: addresses, security, binding, filters, who may do what."""

from __future__ import annotations

import pytest
from tests.api.network.setting import AT, Maker, absent_id, fault


@pytest.fixture
def network(make):
    return make.network()


@pytest.fixture
def subnet(make, network):
    return make.subnet(network)


def post(client, network, **attributes):
    return client.post(f"{AT}/ports", {"port": {"network_id": network["id"], **attributes}})


def test_a_port_has_the_documented_keys(root, make, network, subnet):
    made = make.port(network)
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
        *("network_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner", "fixed_ips"),
        *("allowed_address_pairs", "security_groups", "port_security_enabled", "binding:vnic_type"),
    }
    assert set(made) == keys
    assert (made["status"], made["admin_state_up"], made["device_id"]) == ("DOWN", True, "")
    seen = root.get(f"{AT}/ports/{made['id']}").json()["port"]
    assert set(seen) - keys == {"binding:host_id", "binding:profile", "binding:vif_type", "binding:vif_details"}


def test_addresses_are_given_in_order_chosen_and_never_twice(alice, make, network, subnet):
    first = make.port(network)["fixed_ips"][0]["ip_address"]
    assert make.port(network)["fixed_ips"][0]["ip_address"] == "10.0.0.4"
    assert first == "10.0.0.3"
    chosen = make.port(network, fixed_ips=[{"ip_address": "10.0.0.200"}])
    assert chosen["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.200"}]
    assert fault(post(alice, network, fixed_ips=[{"ip_address": "10.0.0.200"}])) == (409, "IpAddressAlreadyAllocated")
    assert fault(post(alice, network, fixed_ips=[{"ip_address": "10.9.0.1"}])) == (400, "InvalidIpForNetwork")
    wish = [{"subnet_id": subnet["id"], "ip_address": "10.0.0.255"}]
    assert fault(post(alice, network, fixed_ips=wish)) == (400, "InvalidIpForSubnet")
    assert fault(post(alice, network, fixed_ips=[{"subnet_id": absent_id()}])) == (400, "InvalidInput")
    assert make.port(network, fixed_ips=[])["fixed_ips"] == []
    both = make.port(network, fixed_ips=[{"ip_address": "10.0.0.5"}, {"subnet_id": subnet["id"]}])
    assert [one["ip_address"] for one in both["fixed_ips"]] == ["10.0.0.5", "10.0.0.6"]


def test_the_last_address_is_given_and_then_none(alice, make, network):
    make.subnet(network, "10.0.0.0/29", enable_dhcp=False)
    ports = [make.port(network) for _ in range(5)]
    assert {port["fixed_ips"][0]["ip_address"] for port in ports} == {f"10.0.0.{n}" for n in range(2, 7)}
    assert fault(post(alice, network)) == (409, "IpAddressGenerationFailure")
    alice.delete(f"{AT}/ports/{ports[2]['id']}")
    assert make.port(network)["fixed_ips"][0]["ip_address"] == "10.0.0.4"


def test_a_full_neighbourhood_does_not_hide_a_free_address(alice, make, network):
    make.subnet(network, "10.0.0.0/26", enable_dhcp=False)
    ports = [make.port(network) for _ in range(61)]
    alice.delete(f"{AT}/ports/{ports[30]['id']}")
    assert make.port(network)["fixed_ips"] == ports[30]["fixed_ips"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"colour": 1},
        {"mac_address": "ff:ff:ff:ff:ff:ff"},
        {"mac_address": "nonsense"},
        {"fixed_ips": [{}]},
        {"fixed_ips": "10.0.0.9"},
        {"fixed_ips": [{"ip_address": "10.0.0.999"}]},
        {"allowed_address_pairs": [{"mac_address": "fa:00:00:00:00:01"}]},
        {"allowed_address_pairs": [{"ip_address": "ten"}]},
        {"device_owner": "network:router_interface"},
        {"binding:vnic_type": "magic"},
        {"extra_dhcp_opts": [{"opt_name": "x", "opt_value": "a\nb"}]},
        {"name": "a\u0000"},
    ],
)
def test_bad_bodies_are_refused_and_nothing_is_written(alice, network, subnet, attributes):
    assert post(alice, network, **attributes).status == 400
    assert [one["device_owner"] for one in alice.get(f"{AT}/ports").json()["ports"]] == ["network:distributed"]


def test_ports_without_a_network_are_refused(alice, bob, network):
    assert fault(post(alice, {"id": absent_id()})) == (404, "NetworkNotFound")
    assert fault(post(bob, network)) == (404, "NetworkNotFound")
    assert alice.post(f"{AT}/ports", {"port": {}}).status == 400


def test_tenants_make_no_ports_on_external_networks(cloud, alice):
    assert post(alice, {"id": cloud.public_id()}).status == 403


def test_binding_is_for_administrators(cloud, alice, root, make, network, subnet):
    port = make.port(network)
    at = f"{AT}/ports/{port['id']}"
    assert alice.put(at, {"port": {"binding:host_id": "h1"}}).status == 403
    assert post(alice, network, **{"binding:profile": {"a": 1}}).status == 403
    bound = root.put(at, {"port": {"binding:host_id": "h1", "binding:profile": {"a": 1}}}).json()["port"]
    assert (bound["binding:host_id"], bound["binding:vif_type"], bound["status"]) == ("h1", "ovs", "DOWN")
    assert cloud.held("port")[port["id"]].host == "h1"
    cloud.driver.bring_up(port["id"], "h1")
    cloud.settle()
    assert alice.get(at).json()["port"]["status"] == "ACTIVE"
    assert [one["id"] for one in root.get(f"{AT}/ports?binding:host_id=h1").json()["ports"]] == [port["id"]]


def test_foreign_ports_are_not_there(alice, bob, make, network, subnet):
    port = make.port(network)
    at = f"{AT}/ports/{port['id']}"
    for answer in (bob.get(at), bob.put(at, {"port": {}}), bob.delete(at)):
        assert fault(answer) == (404, "PortNotFound")
    assert bob.get(f"{AT}/ports").json()["ports"] == []
    assert bob.get(f"{AT}/ports?fixed_ips=ip_address=10.0.0.3").json()["ports"] == []


def test_the_network_owner_sees_guests_and_guests_shape_only_their_own(cloud, alice, bob, root, make, network, subnet):
    root.put(f"{AT}/networks/{network['id']}", {"network": {"shared": True}})
    guest = Maker(bob).port(network)
    assert alice.get(f"{AT}/ports/{guest['id']}").status == 200
    for attributes in (
        {"mac_address": "fa:00:00:00:00:01"},
        {"fixed_ips": [{"ip_address": "10.0.0.77"}]},
        {"port_security_enabled": False},
        {"allowed_address_pairs": [{"ip_address": "0.0.0.0/0"}]},
        {"device_owner": "network:dhcp"},
    ):
        assert post(bob, network, **attributes).status == 403, attributes
        assert bob.put(f"{AT}/ports/{guest['id']}", {"port": attributes}).status == 403, attributes
    mine = make.port(network)
    assert bob.get(f"{AT}/ports/{mine['id']}").status == 404
    assert alice.delete(f"{AT}/ports/{guest['id']}").status == 204


@pytest.mark.parametrize(
    "attributes",
    [
        *({"fixed_ips": value} for value in ([], None, [{"ip_address": "10.0.0.77"}])),
        *({"allowed_address_pairs": value} for value in ([], None)),
        *({"mac_address": value} for value in (None, "fa:00:00:00:00:01")),
        {"port_security_enabled": True},
        *({"binding:host_id": value} for value in ("", None, "h2")),
        *({"binding:profile": value} for value in ({}, None, {"a": 1})),
    ],
)
def test_a_guest_of_a_network_clears_no_more_than_it_sets(alice, bob, root, make, network, subnet, attributes):
    """What a change names is checked whatever its value: clearing a port's host or addresses is a change of them."""
    root.put(f"{AT}/networks/{network['id']}", {"network": {"shared": True}})
    guest = Maker(bob).port(network)
    at = f"{AT}/ports/{guest['id']}"
    root.put(at, {"port": {"binding:host_id": "h1"}})
    before = root.get(at).json()["port"]
    assert bob.put(at, {"port": attributes}).status == 403
    assert root.get(at).json()["port"] == before


def test_the_owner_of_a_network_removes_guests_and_changes_none(alice, bob, root, make, network, subnet):
    root.put(f"{AT}/networks/{network['id']}", {"network": {"shared": True}})
    guest = Maker(bob).port(network)
    at = f"{AT}/ports/{guest['id']}"
    assert alice.put(at, {"port": {"name": "mine"}}).status == 403
    assert alice.delete(at).status == 204


def test_a_mac_is_used_once_in_a_network_and_can_be_made_anew(alice, root, make, network, subnet):
    mac = "fa:16:3e:aa:bb:cc"
    port = make.port(network, mac_address=mac.upper())
    assert port["mac_address"] == mac
    assert fault(post(alice, network, mac_address=mac)) == (409, "MacAddressInUse")
    assert alice.put(f"{AT}/ports/{port['id']}", {"port": {"mac_address": None}}).status == 403
    changed = root.put(f"{AT}/ports/{port['id']}", {"port": {"mac_address": None}}).json()["port"]
    assert changed["mac_address"] != mac
    make.port(network, mac_address=mac)


def test_addresses_are_replaced_kept_and_given_back(cloud, alice, make, network, subnet):
    port = make.port(network)
    at = f"{AT}/ports/{port['id']}"
    wanted = [{"ip_address": "10.0.0.3"}, {"ip_address": "10.0.0.50"}]
    changed = alice.put(at, {"port": {"fixed_ips": wanted}}).json()["port"]
    assert [one["ip_address"] for one in changed["fixed_ips"]] == ["10.0.0.3", "10.0.0.50"]
    kept = alice.put(at, {"port": {"fixed_ips": [{"subnet_id": subnet["id"]}]}}).json()["port"]
    assert [one["ip_address"] for one in kept["fixed_ips"]] == ["10.0.0.3"]
    assert [one.ip for one in cloud.held("port")[port["id"]].fixed_ips] == ["10.0.0.3"]
    other = make.port(network)
    taken = [{"ip_address": other["fixed_ips"][0]["ip_address"]}]
    assert alice.put(at, {"port": {"fixed_ips": taken}}).status == 409
    assert alice.get(at).json()["port"]["fixed_ips"] == kept["fixed_ips"]


def test_security_groups_and_port_security_exclude_each_other(cloud, alice, make, network, subnet):
    group = make.group()
    port = make.port(network, security_groups=[group["id"]])
    at = f"{AT}/ports/{port['id']}"
    assert fault(alice.put(at, {"port": {"port_security_enabled": False}})) == (409, "PortSecurityPortHasSecurityGroup")
    off = {"port": {"port_security_enabled": False, "security_groups": []}}
    assert alice.put(at, off).json()["port"]["security_groups"] == []
    assert cloud.held("port")[port["id"]].port_security is False
    assert fault(alice.put(at, {"port": {"security_groups": [group["id"]]}}))[0] == 409
    pairs = [{"ip_address": "10.0.0.99"}]
    assert fault(alice.put(at, {"port": {"allowed_address_pairs": pairs}}))[0] == 409
    on = {"port": {"port_security_enabled": True, "security_groups": [group["id"]], "allowed_address_pairs": pairs}}
    changed = alice.put(at, on).json()["port"]
    assert changed["allowed_address_pairs"] == [{"ip_address": "10.0.0.99", "mac_address": port["mac_address"]}]
    assert cloud.held("port")[port["id"]].allowed_pairs == (("10.0.0.99", port["mac_address"]),)
    assert fault(post(alice, network, security_groups=[absent_id()])) == (404, "SecurityGroupNotFound")


def test_groups_of_other_projects_are_not_there(alice, bob, make, network, subnet):
    theirs = Maker(bob).group()
    assert fault(post(alice, network, security_groups=[theirs["id"]])) == (404, "SecurityGroupNotFound")


def test_filters_by_address_group_device_and_emptiness(alice, make, network, subnet):
    group = make.group()
    one = make.port(network, security_groups=[group["id"]], device_id="d1", name="one")
    two = make.port(network, name="two")

    def ids(query):
        return {port["id"] for port in alice.get(f"{AT}/ports?{query}").json()["ports"]}

    assert ids(f"fixed_ips=ip_address={one['fixed_ips'][0]['ip_address']}") == {one["id"]}
    assert {one["id"], two["id"]} <= ids(f"fixed_ips=subnet_id={subnet['id']}")
    assert {one["id"], two["id"]} <= ids("fixed_ips=ip_address_substr=10.0.0")
    assert ids(f"security_groups={group['id']}") == {one["id"]}
    assert ids("device_id=d1") == {one["id"]}
    assert ids("device_id=") == {two["id"]}
    assert ids(f"mac_address={one['mac_address'].upper()}") == {one["id"]}
    assert ids("fixed_ips=ip_address=10.9.9.9") == set()
    assert alice.get(f"{AT}/ports?fixed_ips=colour=blue").status == 400


def test_a_ports_claim_to_be_a_servers_plugs_nothing(cloud, alice, make, network, subnet):
    """CVE-2013-6419, CVE-2014-0056: device_id is the client's word; a server's ports are what compute made them."""
    make.port(network, device_id="victim", device_owner="compute:nova")
    with cloud.database.read() as tx:
        assert cloud.facade.wiring(tx, "victim").nics == ()
        assert cloud.facade.addresses(tx, ["victim"]) == {}


def test_bulk_ports_are_made_in_one_go(cloud, alice, make, network, subnet):
    body = {"ports": [{"network_id": network["id"], "name": str(n)} for n in range(5)]}
    made = alice.post(f"{AT}/ports", body)
    assert made.status == 201
    assert len({port["fixed_ips"][0]["ip_address"] for port in made.json()["ports"]}) == 5
    assert len(cloud.held("port")) == 6
    body["ports"].append({"network_id": network["id"], "fixed_ips": [{"ip_address": "10.0.0.3"}]})
    assert alice.post(f"{AT}/ports", body).status == 409
    assert len(cloud.held("port")) == 6


def test_a_new_process_finds_the_free_addresses_among_the_taken(cloud, make):
    """It begins at the first address, which is taken, as are those near it; at last the only one left is found."""
    network = make.network()
    subnet = make.subnet(network, "10.0.0.0/27", enable_dhcp=False)
    given = [make.port(network)["fixed_ips"][0]["ip_address"] for _ in range(20)]
    assert len(set(given)) == 20
    cloud.writer._ctx.cursors.clear()
    given += [make.port(network)["fixed_ips"][0]["ip_address"] for _ in range(9)]
    assert len(set(given)) == 29
    cloud.writer._ctx.cursors.clear()
    full = make.client.post(f"{AT}/ports", {"port": {"network_id": network["id"]}})
    assert fault(full) == (409, "IpAddressGenerationFailure")
    taken = {"network_id": network["id"], "fixed_ips": [{"subnet_id": subnet["id"], "ip_address": given[3]}]}
    assert fault(make.client.post(f"{AT}/ports", {"port": taken})) == (409, "IpAddressAlreadyAllocated")
