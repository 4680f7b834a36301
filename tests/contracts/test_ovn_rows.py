"""What the OVN driver leaves in the northbound database, where the contract's own words cannot reach.

Rows that somebody else removed are seen and come back, other owners' rows are not touched, and a database that
goes away for a moment costs a moment.
"""

from __future__ import annotations

import dataclasses
import threading

import pytest
from tests.contracts.ovn_central import OvnCentral, eventually
from tests.contracts.test_network import OWNER, Scene, new_id, revisions

from gureum.drivers.network.interface import NetworkDriverError, SecurityRule, Subnet
from gureum.drivers.network.things import INCOMPLETE, key_of

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def central():
    central = OvnCentral()
    yield central
    central.close()


@pytest.fixture
def driver(central):
    from gureum.drivers.network.ovn.driver import OvnDriver

    driver = OvnDriver(central.north, central.south, owner=OWNER, timeout_s=15)
    yield driver
    driver.apply([], list(driver.observe()))
    driver.close()


@pytest.fixture
def scene():
    return Scene()


def column(central, table, record, name):
    return central.nbctl("--bare", "get", table, record, name)


def test_a_port_is_written_with_security_dhcp_and_host(central, driver, scene):
    driver.apply(scene.everything())
    port = scene.port
    assert column(central, "logical_switch_port", port.id, "addresses") == f'["{port.mac} 10.0.0.10"]'
    assert column(central, "logical_switch_port", port.id, "port_security") == f'["{port.mac} 10.0.0.10"]'
    assert column(central, "logical_switch_port", port.id, "options") == "{requested-chassis=h1}"
    options = central.nbctl(
        "--bare", "--columns=options", "find", "dhcp_options", f"external_ids:gureum\\:id={scene.subnet.id}"
    )
    assert "classless_static_route={169.254.169.254/32,10.0.0.2, 0.0.0.0/0,10.0.0.1}" in options
    assert "mtu=1442" in options
    assert column(central, "logical_switch_port", scene.metadata.id, "type") == "localport"
    assert column(central, "logical_switch_port", scene.metadata.id, "port_security") == "[]"


def test_a_port_without_port_security_or_groups(central, driver, scene):
    open_port = dataclasses.replace(scene.new_port(20), port_security=False, security_groups=())
    closed = dataclasses.replace(scene.new_port(21), security_groups=(), fixed_ips=())
    driver.apply([*scene.everything(), open_port, closed])
    assert "unknown" in column(central, "logical_switch_port", open_port.id, "addresses")
    assert column(central, "logical_switch_port", open_port.id, "port_security") == "[]"
    assert column(central, "logical_switch_port", closed.id, "port_security") == f'["{closed.mac} 0.0.0.0"]'
    members = column(central, "port_group", "gureum_none_contract", "ports")
    assert members == f"[{column(central, 'logical_switch_port', closed.id, '_uuid')}]"
    driver.apply([dataclasses.replace(closed, revision=2, security_groups=(scene.group.id,))])
    assert column(central, "port_group", "gureum_none_contract", "ports") == "[]"


def test_a_dual_stack_router_advertises(central, driver, scene):
    six = Subnet(
        new_id(),
        1,
        scene.network.id,
        6,
        "2001:db8:1::/64",
        "2001:db8:1::1",
        True,
        ipv6_ra_mode="slaac",
        ipv6_address_mode="slaac",
    )
    leg = dataclasses.replace(scene.router.interfaces[0], addresses=("10.0.0.1/24", "2001:db8:1::1/64"), mtu=1442)
    driver.apply([*scene.everything(), six])
    driver.apply([dataclasses.replace(scene.router, revision=2, interfaces=(leg,))])
    assert column(central, "logical_router_port", f"leg-{leg.port_id}", "ipv6_ra_configs") == (
        '{address_mode=slaac, mtu="1442", send_periodic="true"}'
    )


def test_rows_that_somebody_removed_are_seen_and_come_back(central, driver, scene):
    driver.apply(scene.everything())
    group = "sg_" + scene.group.id.replace("-", "_")
    members = column(central, "port_group", group, "ports")
    assert members != "[]"
    removed = {
        key_of(scene.group): ("pg-del", group),
        key_of(scene.router): ("lrp-del", f"leg-{scene.router.interfaces[0].port_id}"),
        key_of(scene.outside): ("lsp-del", f"localnet-{scene.outside.id}"),
    }
    for command in removed.values():
        central.nbctl(*command)
    eventually(lambda: driver.observe().get(key_of(scene.outside)) == INCOMPLETE, "the loss is seen")
    observed = driver.observe()
    assert key_of(scene.group) not in observed
    assert observed[key_of(scene.port)] == observed[key_of(scene.router)] == INCOMPLETE
    driver.apply([scene.group, scene.router, scene.outside])
    assert driver.observe() == revisions(scene.everything())
    assert column(central, "port_group", group, "ports") == members, "the group came back without its ports"


def test_a_subnet_that_comes_back_serves_its_ports(central, driver, scene):
    driver.apply(scene.everything())
    central.nbctl("dhcp-options-del", column(central, "logical_switch_port", scene.port.id, "dhcpv4_options"))
    eventually(lambda: key_of(scene.subnet) not in driver.observe(), "the loss is seen")
    driver.apply([scene.subnet])
    again = column(central, "logical_switch_port", scene.port.id, "dhcpv4_options")
    assert again != "[]"
    assert column(central, "dhcp_options", again, "cidr") == '"10.0.0.0/24"'


def test_rules_that_go_leave_no_acl(central, driver, scene):
    driver.apply(scene.everything())
    before = len(central.nbctl("--bare", "--columns=_uuid", "list", "acl").split())
    driver.apply([dataclasses.replace(scene.group, revision=2, rules=scene.group.rules[:1])])
    assert len(central.nbctl("--bare", "--columns=_uuid", "list", "acl").split()) == before - 1
    assert driver.observe()[key_of(scene.group)] == 2


def test_nothing_is_left_when_everything_is_removed(central, driver, scene):
    driver.apply(scene.everything())
    driver.apply([], list(driver.observe()))
    for table in (
        "logical_switch",
        "logical_switch_port",
        "logical_router",
        "logical_router_port",
        "nat",
        "dhcp_options",
    ):
        assert central.nbctl("--bare", "--columns=_uuid", "list", table) == "", f"{table} has rows left"
    assert central.nbctl("--bare", "--columns=name", "list", "port_group").split() in ([], ["gureum_none_contract"])


def test_another_owners_rows_are_neither_seen_nor_touched(central, driver, scene):
    from gureum.drivers.network.ovn.driver import OvnDriver

    other = OvnDriver(central.north, central.south, owner="other", timeout_s=15)
    try:
        other.apply(scene.everything())
        assert driver.observe() == {}
        driver.apply([], [key_of(scene.network)])
        assert other.observe() == revisions(scene.everything())
    finally:
        other.apply([], list(other.observe()))
        other.close()


def test_two_drivers_of_one_owner_see_each_other(central, driver, scene):
    from gureum.drivers.network.ovn.driver import OvnDriver

    second = OvnDriver(central.north, central.south, owner=OWNER, timeout_s=15)
    try:
        driver.apply(scene.everything())
        eventually(lambda: second.observe() == revisions(scene.everything()), "the second driver sees it all")
        second.apply([dataclasses.replace(scene.port, revision=2)])
        eventually(lambda: driver.observe()[key_of(scene.port)] == 2, "the first driver sees the second's change")
    finally:
        second.close()


def test_an_apply_waits_for_a_database_that_restarts(central, driver, scene):
    driver.apply([scene.network])
    central.stop_database("nb")
    results = []
    thread = threading.Thread(target=lambda: results.append(driver.apply([scene.subnet, scene.group, scene.port])))
    thread.start()
    thread.join(0.5)
    assert thread.is_alive(), "apply returned while the database was away"
    central.start_database("nb")
    thread.join(15)
    assert results == [None]
    assert driver.observe() == revisions([scene.network, scene.subnet, scene.group, scene.port])


def test_an_apply_that_cannot_be_written_in_time_is_never_written(central, scene):
    from gureum.drivers.network.ovn.driver import OvnDriver

    hasty = OvnDriver(central.north, central.south, owner="hasty", timeout_s=1)
    central.stop_database("nb")
    with pytest.raises(NetworkDriverError):
        hasty.apply([scene.network])
    central.start_database("nb")
    eventually(lambda: _applies(hasty, scene.outside), "the driver works again")
    assert hasty.observe() == revisions([scene.outside])
    hasty.apply([], list(hasty.observe()))
    hasty.close()


def _applies(driver, thing):
    try:
        driver.apply([thing])
    except NetworkDriverError:
        return False
    return True


def test_a_rule_for_a_group_uses_its_addresses(central, driver, scene):
    other = dataclasses.replace(
        scene.group,
        id=new_id(),
        rules=(SecurityRule(new_id(), "ingress", "IPv4", "tcp", 80, 81, remote_group_id=scene.group.id),),
    )
    driver.apply([*scene.everything(), other])
    name = "sg_" + scene.group.id.replace("-", "_")
    matches = central.nbctl("--bare", "--columns=match", "list", "acl")
    assert f"ip4.src == ${name}_ip4 && tcp && tcp.dst >= 80 && tcp.dst <= 81" in matches
    central.nbctl("--wait=sb", "sync")
    assert "10.0.0.10" in central.sbctl("--bare", "--columns=addresses", "find", "address_set", f"name={name}_ip4")
