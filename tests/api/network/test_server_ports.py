"""The facade: what compute asks for a server's interfaces, from plan to release."""

from __future__ import annotations

import pytest
from tests.api.network.setting import AT, CALLERS, Maker, absent_id

from gureum.foundation.errors import BadRequest, Conflict, Forbidden, NotFound, OverQuota
from gureum.foundation.events.event import InTransaction
from gureum.services.network.bootstrap import bootstrap
from gureum.services.network.facade import AddressesChanged, NicRequest, NicWanted, PortsChanged

ALICE = CALLERS["alice"]


def boot(cloud, server_id="s1", request=None, caller=ALICE, count=1):
    """Plan and make one server's ports, as POST /servers does."""

    def work(tx):
        plan = cloud.facade.plan(tx, caller, request or NicRequest("auto"), count)
        cloud.facade.create_server_ports(tx, plan, server_id, caller.project_id, "nova")

    cloud.write(work)


def hear(cloud, woken):
    """Note the servers that events of ports and addresses name."""
    kinds = (PortsChanged, AddressesChanged)
    cloud.events.subscribe(InTransaction(kind, lambda _tx, event: woken.extend(event.server_ids)) for kind in kinds)


def read(cloud, name, *arguments):
    with cloud.database.read() as tx:
        return getattr(cloud.facade, name)(tx, *arguments)


def listed(*nics, groups=()):
    return NicRequest("listed", tuple(nics), groups)


def test_a_servers_port_from_boot_to_release(cloud, alice, make, wan):
    network, _, _ = wan
    woken = []
    hear(cloud, woken)
    boot(cloud)
    port = alice.get(f"{AT}/ports?device_id=s1").json()["ports"][0]
    assert (port["device_owner"], port["name"], port["status"], len(port["security_groups"])) == (
        "compute:nova",
        "",
        "DOWN",
        1,
    )
    assert read(cloud, "wiring", "s1").down == [port["id"]]
    nic = read(cloud, "wiring", "s1").nics[0]
    assert (nic.port_id, nic.mac, nic.mtu, nic.fixed_ips) == (port["id"], port["mac_address"], 1442, ("10.0.0.3",))
    assert nic.metadata_addresses == ("10.0.0.2/24",)
    assert nic.metadata_port_id
    assert nic.metadata_mac

    cloud.write(lambda tx: cloud.facade.bind(tx, "s1", "h1"))
    assert cloud.held("port")[port["id"]].host == "h1"
    cloud.driver.bring_up(port["id"], "h1")
    cloud.settle()
    assert read(cloud, "wiring", "s1").down == []
    assert woken == ["s1"]
    floating = make.floating_ip(cloud.public_id(), port_id=port["id"])
    addresses = read(cloud, "addresses", ["s1", "other"])
    assert [(one.kind, one.ip, one.network_name) for one in addresses["s1"]] == [
        ("fixed", "10.0.0.3", network["name"]),
        ("floating", floating["floating_ip_address"], network["name"]),
    ]
    assert group_names(cloud, "s1", "other") == {"s1": ["default"]}
    assert (
        read(cloud, "servers_with_address", ["10.0.0.3"]) == read(cloud, "servers_with_address", ["198.18"]) == ["s1"]
    )

    cloud.write(lambda tx: cloud.facade.release(tx, "s1"))
    assert alice.get(f"{AT}/ports/{port['id']}").status == 404
    assert alice.get(f"{AT}/floatingips/{floating['id']}").json()["floatingip"]["port_id"] is None
    assert cloud.held("floating_ip") == {}
    assert read(cloud, "wiring", "s1").nics == ()


def test_a_users_port_is_adopted_and_outlives_the_server(cloud, alice, make, wan):
    network, _, _ = wan
    port = make.port(network, name="mine")
    boot(cloud, request=listed(NicWanted(port_id=port["id"], tag="front")))
    shown = alice.get(f"{AT}/ports/{port['id']}").json()["port"]
    assert (shown["device_id"], shown["device_owner"]) == ("s1", "compute:nova")
    assert alice.put(f"{AT}/ports/{port['id']}", {"port": {"device_id": "s2"}}).status == 409
    with pytest.raises(Conflict):
        boot(cloud, "s2", listed(NicWanted(port_id=port["id"])))
    cloud.write(lambda tx: cloud.facade.bind(tx, "s1", "h1"))
    cloud.write(lambda tx: cloud.facade.release(tx, "s1"))
    shown = alice.get(f"{AT}/ports/{port['id']}").json()["port"]
    assert (shown["device_id"], shown["device_owner"], shown["name"], shown["status"]) == ("", "", "mine", "DOWN")
    assert cloud.held("port")[port["id"]].host is None
    boot(cloud, "s2", listed(NicWanted(port_id=port["id"])))


def test_no_network_means_no_interface_and_several_a_conflict(cloud, make):
    boot(cloud)
    assert read(cloud, "wiring", "s1").nics == ()
    for cidr in ("10.0.0.0/24", "10.1.0.0/24"):
        make.subnet(make.network(), cidr)
    with pytest.raises(Conflict, match="Multiple possible networks"):
        boot(cloud)
    boot(cloud, request=NicRequest("none"))
    assert read(cloud, "wiring", "s1").nics == ()


def test_networks_in_order_with_addresses_and_tags(cloud, make):
    networks = [make.network(name=name) for name in "ab"]
    for network, cidr in zip(networks, ("10.0.0.0/24", "10.1.0.0/24"), strict=True):
        make.subnet(network, cidr)
    wanted = (NicWanted(network_id=networks[1]["id"], fixed_ip="10.1.0.99"), NicWanted(network_id=networks[0]["id"]))
    boot(cloud, request=listed(*wanted))
    assert [nic.network_id for nic in read(cloud, "wiring", "s1").nics] == [networks[1]["id"], networks[0]["id"]]
    assert [one.ip for one in read(cloud, "addresses", ["s1"])["s1"]] == ["10.1.0.99", "10.0.0.3"]


def test_what_compute_must_refuse(cloud, root, bob, make, wan):
    network, _, _ = wan
    bare = make.network()
    no_address = make.port(network, fixed_ips=[])
    theirs = Maker(bob)
    foreign = theirs.network()
    theirs.subnet(foreign)
    foreign_port = theirs.port(foreign)
    taken = make.port(network)["fixed_ips"][0]["ip_address"]
    free = make.port(network)
    for error, request, count in (
        (BadRequest, listed(NicWanted(network_id=absent_id())), 1),
        (BadRequest, listed(NicWanted(network_id=foreign["id"])), 1),
        (BadRequest, listed(NicWanted(network_id=bare["id"])), 1),
        (BadRequest, listed(NicWanted(port_id=absent_id())), 1),
        (BadRequest, listed(NicWanted(port_id=foreign_port["id"])), 1),
        (BadRequest, listed(NicWanted(port_id=no_address["id"])), 1),
        (BadRequest, listed(NicWanted(port_id=free["id"])), 2),
        (BadRequest, listed(NicWanted(port_id=free["id"]), NicWanted(port_id=free["id"])), 1),
        (BadRequest, listed(NicWanted(network_id=network["id"], fixed_ip="10.0.0.77")), 2),
        (BadRequest, listed(NicWanted(network_id=network["id"], fixed_ip=taken)), 1),
        (BadRequest, listed(NicWanted(network_id=network["id"], fixed_ip="10.9.9.9")), 1),
        (BadRequest, listed(NicWanted(network_id=network["id"], fixed_ip="x")), 1),
        (BadRequest, listed(NicWanted(network_id=network["id"]), groups=("magic",)), 1),
        (Forbidden, listed(NicWanted(network_id=cloud.public_id())), 1),
    ):
        with pytest.raises(error) as caught:
            boot(cloud, request=request, count=count)
        assert type(caught.value) is error, request
    root.put(f"{AT}/quotas/p1", {"quota": {"port": 0}})
    with pytest.raises(OverQuota, match="port"):
        boot(cloud, request=listed(NicWanted(network_id=network["id"])))
    assert read(cloud, "wiring", "s1").nics == ()


def group_names(cloud, *server_ids):
    with cloud.database.read() as tx:
        return cloud.facade.security_groups.names_of_servers(tx, server_ids)


def test_groups_by_name_or_id(cloud, make, wan):
    network, _, _ = wan
    one, two = make.group("one"), make.group("two")
    make.group("two")
    boot(cloud, request=listed(NicWanted(network_id=network["id"]), groups=("one", two["id"], "default")))
    assert group_names(cloud, "s1")["s1"] == ["one", "two", "default"]
    with pytest.raises(Conflict):
        boot(cloud, "s2", listed(NicWanted(network_id=network["id"]), groups=("two",)))
    cloud.write(lambda tx: cloud.facade.security_groups.remove_from_server(tx, ALICE, "s1", "one"))
    assert "one" not in group_names(cloud, "s1")["s1"]
    cloud.write(lambda tx: cloud.facade.security_groups.add_to_server(tx, "s1", one["id"]))
    assert "one" in group_names(cloud, "s1")["s1"]
    with pytest.raises(NotFound):
        cloud.write(lambda tx: cloud.facade.security_groups.add_to_server(tx, "s1", "magic"))


def test_interfaces_come_and_go_on_a_running_server(cloud, alice, make, wan):
    boot(cloud)
    cloud.write(lambda tx: cloud.facade.bind(tx, "s1", "h2"))
    second = make.network()
    make.subnet(second, "10.1.0.0/24")
    wanted = NicWanted(network_id=second["id"])
    port_id = cloud.write(lambda tx: cloud.facade.attach(tx, ALICE, "s1", wanted, "nova"))
    assert [nic.port_id for nic in read(cloud, "wiring", "s1").nics][1] == port_id
    assert cloud.held("port")[port_id].host == "h2"
    cloud.write(lambda tx: cloud.facade.detach(tx, "s1", port_id))
    assert alice.get(f"{AT}/ports/{port_id}").status == 404
    with pytest.raises(NotFound):
        cloud.write(lambda tx: cloud.facade.detach(tx, "s1", port_id))


def test_a_port_is_up_only_where_its_server_is(cloud, make, wan):
    boot(cloud)
    port_id = read(cloud, "wiring", "s1").nics[0].port_id
    cloud.write(lambda tx: cloud.facade.bind(tx, "s1", "h1"))
    cloud.settle()
    cloud.driver.bring_up(port_id, "h1")
    cloud.settle()
    assert read(cloud, "wiring", "s1").down == []
    cloud.write(lambda tx: cloud.facade.bind(tx, "s1", "h2"))
    assert read(cloud, "wiring", "s1").down == [port_id]
    cloud.writer._hear(port_id, True, "h1")
    cloud.settle()
    assert read(cloud, "wiring", "s1").down == [port_id]
    cloud.driver.bring_up(port_id, "h2")
    cloud.settle()
    assert read(cloud, "wiring", "s1").down == []
    cloud.driver.bring_down(port_id)
    cloud.settle()
    assert read(cloud, "wiring", "s1").down == [port_id]


def test_a_port_that_its_owner_switched_off_is_not_waited_for(cloud, alice, make, wan):
    boot(cloud)
    port_id = read(cloud, "wiring", "s1").nics[0].port_id
    alice.put(f"{AT}/ports/{port_id}", {"port": {"admin_state_up": False}})
    assert read(cloud, "wiring", "s1").down == []


def test_network_data_reads_as_cloud_init_expects(cloud, make):
    network = make.network()
    make.subnet(network, dns_nameservers=["9.9.9.9"])
    make.subnet(network, "fd00::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    boot(cloud)
    data = read(cloud, "wiring", "s1").network_data
    link = data["links"][0]
    assert (link["type"], link["mtu"], link["vif_id"]) == ("ovs", 1442, read(cloud, "wiring", "s1").nics[0].port_id)
    assert [one["type"] for one in data["networks"]] == ["ipv4_dhcp", "ipv6_slaac"]
    assert {one["link"] for one in data["networks"]} == {link["id"]}
    assert data["services"] == [{"type": "dns", "address": "9.9.9.9"}]


def test_static_network_data_has_address_mask_and_routes(cloud, make):
    make.subnet(make.network(), enable_dhcp=False)
    boot(cloud)
    entry = read(cloud, "wiring", "s1").network_data["networks"][0]
    assert (entry["type"], entry["ip_address"], entry["netmask"]) == ("ipv4", "10.0.0.2", "255.255.255.0")
    assert entry["routes"] == [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}]


def test_deleting_a_servers_port_tells_compute(cloud, alice, wan):
    woken = []
    hear(cloud, woken)
    boot(cloud)
    port_id = read(cloud, "wiring", "s1").nics[0].port_id
    assert alice.delete(f"{AT}/ports/{port_id}").status == 204
    assert woken == ["s1"]


def test_bootstrap_is_done_once(cloud, root):
    ctx = cloud.app.apis[0].deps
    cloud.write(lambda tx: bootstrap(tx, ctx, "198.18.0.0/24", "p0"))
    listed_networks = root.get(f"{AT}/networks?router:external=True").json()["networks"]
    assert [(one["name"], one["shared"], one["mtu"]) for one in listed_networks] == [("public", False, 1500)]
    assert cloud.held("network")[listed_networks[0]["id"]].physical_network == "external"


def test_the_statements_of_one_server_stay_few(cloud, make, wan):
    """The network's part of what `tests/api/compute/test_statements.py` counts."""
    make.port(wan[0])
    count = cloud.database.counters
    steps = {}

    def measure(name, work):
        before = count.statements
        work()
        steps[name] = count.statements - before

    measure("create", lambda: boot(cloud))
    measure("bind", lambda: cloud.write(lambda tx: cloud.facade.bind(tx, "s1", "h1")))
    measure("nics", lambda: read(cloud, "wiring", "s1").nics)
    measure("addresses", lambda: read(cloud, "addresses", ["s1"]))
    cloud.settle()
    cloud.write(lambda tx: cloud.facade.bind(tx, "s1", "h2"))
    measure("write", cloud.settle)
    cloud.driver.bring_up(read(cloud, "wiring", "s1").nics[0].port_id, "h2")
    measure("up", cloud.settle)
    assert steps == {"create": 6, "bind": 2, "nics": 1, "addresses": 1, "write": 3, "up": 2}
