"""The same service over the real engine's databases: everything that the API can make is taken by OVN, and leaves nothing."""

from __future__ import annotations

import shutil

import pytest
from tests.api.network.setting import AT, CALLERS, Maker, open_cloud

from gureum.foundation.db.engine import Database
from gureum.services.network import things
from gureum.services.network.facade import NicRequest

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def central():
    from tests.contracts.ovn_central import OvnCentral

    central = OvnCentral()
    yield central
    central.close()


@pytest.fixture
def on_ovn(central, template, tmp_path):
    from gureum.drivers.network.ovn.driver import OvnDriver

    driver = OvnDriver(central.north, central.south, owner="gureum-api-test", timeout_s=15)
    database = Database(f"sqlite:///{shutil.copy(template, tmp_path / 'test.sqlite')}")
    cloud = open_cloud(database, driver)
    yield cloud
    cloud.writer.stop()
    driver.apply([], list(driver.observe()))
    driver.close()
    database.close()


def settled(cloud):
    """After the writer's work the engine holds exactly what the rows say."""
    cloud.settle()
    with cloud.database.read() as tx:
        wanted = things.revisions(tx)
    assert dict(cloud.driver.observe()) == wanted


def test_everything_the_api_makes_is_taken_and_given_back(on_ovn):
    cloud, alice, root = on_ovn, on_ovn.client("alice"), on_ovn.client("root")
    make = Maker(alice)
    network, router = make.network(), make.router(external_gateway_info={"network_id": cloud.public_id()})
    subnet = make.subnet(
        network, dns_nameservers=["9.9.9.9"], host_routes=[{"destination": "10.8.0.0/24", "nexthop": "10.0.0.9"}]
    )
    make.subnet(network, "fd00:1::/64", ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    settled(cloud)
    make.add_leg(router, subnet_id=subnet["id"])
    group = make.group()
    for attributes in (
        {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22},
        {"protocol": "icmp", "port_range_min": 8, "port_range_max": 0},
        {"protocol": "ipv6-icmp", "ethertype": "IPv6"},
        {"protocol": "gre", "remote_ip_prefix": "10.0.0.0/8"},
        {"protocol": "udp", "remote_group_id": group["id"]},
        {"protocol": "udp", "remote_ip_prefix": "0.0.0.0/0", "direction": "egress"},
    ):
        make.rule(group["id"], **attributes)
    port = make.port(network, security_groups=[group["id"]], allowed_address_pairs=[{"ip_address": "10.0.0.77"}])
    floating = make.floating_ip(cloud.public_id(), port_id=port["id"])
    alice.put(
        f"{AT}/routers/{router['id']}", {"router": {"routes": [{"destination": "10.50.0.0/16", "nexthop": "10.0.0.9"}]}}
    )
    root.put(f"{AT}/ports/{port['id']}", {"port": {"binding:host_id": "h1"}})
    settled(cloud)

    second = make.network()
    make.subnet(second, "10.1.0.0/24")
    leg = make.port(second)
    settled(cloud)
    make.add_leg(router, port_id=leg["id"])
    settled(cloud)
    alice.put(f"{AT}/networks/{network['id']}", {"network": {"mtu": 1300, "admin_state_up": False}})
    alice.put(
        f"{AT}/ports/{port['id']}",
        {"port": {"port_security_enabled": False, "security_groups": [], "allowed_address_pairs": []}},
    )
    alice.put(f"{AT}/subnets/{subnet['id']}", {"subnet": {"enable_dhcp": False}})
    settled(cloud)

    alice.delete(f"{AT}/floatingips/{floating['id']}")
    alice.put(f"{AT}/routers/{router['id']}", {"router": {"routes": [], "external_gateway_info": None}})
    settled(cloud)
    for one in (
        leg["id"],
        alice.get(f"{AT}/ports?device_owner=network:router_interface&network_id={network['id']}").json()["ports"][0][
            "id"
        ],
    ):
        assert alice.put(f"{AT}/routers/{router['id']}/remove_router_interface", {"port_id": one}).status == 200
    alice.delete(f"{AT}/routers/{router['id']}")
    alice.delete(f"{AT}/ports/{port['id']}")
    for one in (network, second):
        assert alice.delete(f"{AT}/networks/{one['id']}").status == 204
    settled(cloud)
    assert {kind for kind, _ in cloud.driver.observe()} <= {"network", "subnet", "security_group"}


def test_a_servers_ports_and_a_resynchronisation(on_ovn, central):
    cloud, make = on_ovn, Maker(on_ovn.client("alice"))
    make.subnet(make.network())

    def boot(tx):
        plan = cloud.facade.plan(tx, CALLERS["alice"], NicRequest("auto"), 1)
        cloud.facade.create_server_ports(tx, plan, "s1", "p1", "nova")

    cloud.write(boot)
    cloud.write(lambda tx: cloud.facade.bind(tx, "s1", "h1"))
    settled(cloud)
    cloud.driver.apply([], list(cloud.driver.observe()))
    cloud.writer.resync()
    settled(cloud)
    cloud.write(lambda tx: cloud.facade.release(tx, "s1"))
    settled(cloud)
