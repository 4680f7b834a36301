"""Interfaces of servers through compute's API, over the real network service."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import at

from gureum.services.network.facade import NetworkFacade
from gureum.services.network.networks.model import Network
from gureum.services.network.service import SERVICE

V21 = "/compute/v2.1"
pytestmark = pytest.mark.skipif(
    not hasattr(NetworkFacade, "interfaces"), reason="the network service offers no list of interfaces"
)


@pytest.fixture
def net(world, tmp_path):
    """A network with a subnet, made through the network API on the same database."""
    from tests.api.client import Client
    from tests.api.compute.setting import authenticate
    from tests.room import mount

    from gureum.drivers.network.fake import FakeNetworkDriver
    from gureum.drivers.network.interface import NetworkDriver
    from gureum.foundation.http.app import App
    from gureum.foundation.http.authentication import Authentication
    from gureum.foundation.policy import Policy
    from gureum.services.identity.facade import IdentityFacade

    engines, facades = {NetworkDriver: FakeNetworkDriver()}, {IdentityFacade: world.deps.identity}
    network = mount(SERVICE, world.database, tmp_path, engines=engines, facades=facades, tasks=world.deps.tasks)
    app = App(
        network.apis,
        world.database,
        Policy(SERVICE.rules),
        Authentication(authenticate, authenticate),
        public_url="http://cloud",
    )
    alice = Client(app, {"X-Auth-Token": "alice"})
    made = alice.post("/network/v2.0/networks", {"network": {"name": "n"}}).json()["network"]["id"]
    subnet = {"subnet": {"network_id": made, "cidr": "10.9.0.0/24", "ip_version": 4}}
    assert alice.post("/network/v2.0/subnets", subnet).status == 201
    assert Network.__tablename__
    return made


def test_an_interface_is_plugged_shown_and_unplugged(world, alice, net):
    world.hosts("h1")
    one = world.server(host="h1")
    all_ = f"{V21}/servers/{one}/os-interface"
    new = {"interfaceAttachment": {"net_id": net, "fixed_ips": [{"ip_address": "10.9.0.77"}]}}
    made = alice.post(all_, new)
    assert made.status == 200, made.content
    interface = made.json()["interfaceAttachment"]
    assert set(interface) == {"net_id", "port_id", "mac_addr", "port_state", "fixed_ips"}
    assert interface["fixed_ips"][0]["ip_address"] == "10.9.0.77"
    assert world.row(one).spec == 2
    assert alice.get(all_).json() == {"interfaceAttachments": [interface]}
    shown = alice.get(f"{all_}/{interface['port_id']}", **at("2.70")).json()["interfaceAttachment"]
    assert shown == {**interface, "tag": None}
    assert alice.get(f"{V21}/servers/{one}/ips").json() == {"addresses": {"n": [{"version": 4, "addr": "10.9.0.77"}]}}
    assert alice.get(f"{V21}/servers/{one}/ips/n").status == 200
    assert alice.get(f"{V21}/servers/{one}/ips/m").status == 404
    (group,) = alice.get(f"{V21}/servers/{one}/os-security-groups").json()["security_groups"]
    assert set(group) == {"id", "name", "description", "tenant_id", "rules"}
    assert alice.delete(f"{all_}/{interface['port_id']}").status == 202
    assert alice.get(all_).json() == {"interfaceAttachments": []}
    assert alice.delete(f"{all_}/{interface['port_id']}").status == 404


@pytest.mark.parametrize(
    "new",
    [
        {"net_id": "n", "colour": 1},
        {"net_id": "not-a-uuid"},
        {"fixed_ips": [{"ip_address": "10.9.0.7"}]},
        {"fixed_ips": []},
        {"tag": "since 2.49"},
    ],
)
def test_bad_interfaces_are_refused(world, alice, new):
    one = world.server()
    assert alice.post(f"{V21}/servers/{one}/os-interface", {"interfaceAttachment": new}).status == 400


def test_a_building_server_takes_no_interface(world, alice, net):
    one = world.server(vm_state="building", task_state="spawning")
    new = {"interfaceAttachment": {"net_id": net}}
    assert alice.post(f"{V21}/servers/{one}/os-interface", new).status == 409
