"""A network of another domain that is shared with everybody: what a stranger may do on it, and what it shows."""

from __future__ import annotations

import json

import pytest
from tests.api.policy_matrix.personas import OTHER_PROJECT
from tests.api.policy_matrix.rollback import rolled_back
from tests.api.policy_matrix.things import COMPUTE, NET, SHARED, V, new
from tests.api.policy_matrix.world import matrix_world

ON = f"{NET}/networks/ALPHA"
PORT = f"{NET}/ports/OWN"
REQUESTS = [  # what the stranger asks, and the answer
    ("GET", ON, None, 200),
    ("GET", f"{NET}/subnets/SUBNET", None, 200),
    ("GET", f"{NET}/ports?network_id=ALPHA", None, 200),
    ("GET", f"{NET}/ports/THEIRS", None, 404),
    ("GET", f"{NET}/network-ip-availabilities/ALPHA", None, 403),
    ("PUT", ON, {"network": {"name": "x"}}, 403),
    ("PUT", ON, {"network": {"shared": False}}, 403),
    ("PUT", f"{ON}/tags/x", None, 403),
    ("DELETE", ON, None, 403),
    ("PUT", f"{NET}/subnets/SUBNET", {"subnet": {"dns_nameservers": ["9.9.9.9"]}}, 403),
    ("DELETE", f"{NET}/subnets/SUBNET", None, 403),
    ("POST", f"{NET}/subnets", {"subnet": {"network_id": "ALPHA", "ip_version": 4, "cidr": "10.9.0.0/24"}}, 403),
    ("POST", f"{NET}/ports", {"port": {"network_id": "ALPHA"}}, 201),
    ("POST", f"{NET}/ports", {"port": {"network_id": "ALPHA", "fixed_ips": [{"subnet_id": "SUBNET"}]}}, 201),
    ("POST", f"{NET}/ports", {"port": {"network_id": "ALPHA", "fixed_ips": [{"ip_address": "10.0.0.99"}]}}, 403),
    ("POST", f"{NET}/ports", {"port": {"network_id": "ALPHA", "mac_address": "fa:16:3e:00:00:99"}}, 403),
    ("POST", f"{NET}/ports", {"port": {"network_id": "ALPHA", "port_security_enabled": False}}, 403),
    (
        "POST",
        f"{NET}/ports",
        {"port": {"network_id": "ALPHA", "allowed_address_pairs": [{"ip_address": "10.0.0.1"}]}},
        403,
    ),
    ("PUT", PORT, {"port": {"allowed_address_pairs": [{"ip_address": "10.0.0.1"}]}}, 403),
    ("PUT", PORT, {"port": {"fixed_ips": [{"ip_address": "10.0.0.99"}]}}, 403),
    ("PUT", PORT, {"port": {"port_security_enabled": False, "security_groups": []}}, 403),
    ("PUT", PORT, {"port": {"device_owner": "network:dhcp"}}, 403),
    ("PUT", PORT, {"port": {"security_groups": ["GROUP"]}}, 404),
    ("PUT", f"{NET}/routers/ROUTER/add_router_interface", {"subnet_id": "SUBNET"}, 403),
    ("PUT", f"{NET}/routers/ROUTER/add_router_interface", {"port_id": "THEIRS"}, 404),
    ("POST", f"{NET}/floatingips", {"floatingip": {"floating_network_id": "ALPHA"}}, 400),
    ("POST", f"{COMPUTE}/servers", {"networks": [{"uuid": "ALPHA"}]}, 202),
    ("POST", f"{COMPUTE}/servers", {"networks": [{"uuid": "ALPHA", "fixed_ip": "10.0.0.99"}]}, 403),
    ("POST", f"{COMPUTE}/servers", {"networks": [{"port": "THEIRS"}]}, 400),
    ("POST", f"{COMPUTE}/servers/SERVER/os-interface", {"interfaceAttachment": {"net_id": "ALPHA"}}, 200),
    (
        "POST",
        f"{COMPUTE}/servers/SERVER/os-interface",
        {"interfaceAttachment": {"net_id": "ALPHA", "fixed_ips": [{"ip_address": "10.0.0.99"}]}},
        403,
    ),
]


@pytest.fixture(scope="module")
def world(request, tmp_path_factory):
    with matrix_world(request, tmp_path_factory) as world:
        shared = {"network": {"shared": True}}
        assert world.people.admin.put(f"{NET}/networks/{world.things.ids['network_id']}", shared).status == 200
        yield world


@pytest.fixture(scope="module")
def stranger(world):
    """A manager of a project of the other domain."""
    return next(who.client for who in world.personas if (who.place, who.letter) == (OTHER_PROJECT, "n"))


@pytest.fixture(scope="module")
def names(world, stranger):
    """The words of `REQUESTS` -> ids."""
    ids = world.things.ids
    server = world.cloud.server(stranger, imageRef=ids["public_image"])
    names = {
        "ALPHA": ids["network_id"],
        "SUBNET": ids["subnet_id"],
        "THEIRS": ids["port_id"],
        "GROUP": ids["security_group"],
        "OWN": new(stranger, f"{NET}/ports", {"port": {"network_id": ids["network_id"]}}, "port", "id"),
        "ROUTER": new(stranger, f"{NET}/routers", {"router": {"name": "r"}}, "router", "id"),
        "SERVER": server,
    }
    world.cloud.settle()
    return names


@pytest.mark.parametrize(("method", "url", "body", "status"), REQUESTS)
def test_strangers_use_a_shared_network_and_rule_nothing_of_it(world, stranger, names, method, url, body, status):
    ids = world.things.ids
    if url == f"{COMPUTE}/servers":
        body = {"server": {"name": "s", "flavorRef": "42", "imageRef": ids["public_image"], **body}}
    text = json.dumps([url, body])
    for word, id_ in names.items():
        text = text.replace(word, id_)
    url, body = json.loads(text)
    with rolled_back(world.cloud.control.database):
        answer = stranger.request(method, url, body, **V)
    assert answer.status == status, answer.content
    public = SHARED | {"network_id", "subnet_id", "project_id"}
    secret = [name for name, value in ids.items() if name not in public and len(value) >= 16 and value not in text]
    assert not [name for name in secret if ids[name] in answer.content.decode()]


def test_a_strangers_port_that_claims_a_server_shows_nowhere_on_it(world, stranger):
    """CVE-2014-0056: `device_id` is the client's text."""
    ids, owner = world.things.ids, world.things.owner_client
    server = f"{COMPUTE}/servers/{ids['server_id']}"
    before = [owner.get(f"{server}{part}").content for part in ("", "/os-interface", "/os-security-groups", "/ips")]
    claim = {"network_id": ids["network_id"], "device_id": ids["server_id"], "device_owner": "compute:nova"}
    port = new(stranger, f"{NET}/ports", {"port": claim}, "port", "id")
    assert [
        owner.get(f"{server}{part}").content for part in ("", "/os-interface", "/os-security-groups", "/ips")
    ] == before
    assert owner.delete(f"{server}/os-interface/{port}", **V).status == 404
    assert stranger.get(f"{NET}/ports/{port}").json()["port"]["device_id"] == ids["server_id"]
