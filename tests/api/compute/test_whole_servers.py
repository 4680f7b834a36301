"""What only a living server shows: a guest's password, and the answers to a change and a rebuild."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import at
from tests.cloud import SimulatedCloud

from gureum.agents.hypervisor.faults import Fault

SERVERS = "/compute/v2.1/servers"


@pytest.fixture
def server(cloud, demo):
    image = cloud.image()
    server_id = cloud.server(demo, imageRef=image, networks=[{"uuid": cloud.network(demo)}])
    cloud.settle()
    return demo.get(f"{SERVERS}/{server_id}").json()["server"]


def test_the_password_that_the_guest_posted_is_shown_and_cleared(cloud, demo, server):
    one = f"{SERVERS}/{server['id']}/os-server-password"
    assert demo.get(one).json() == {"password": ""}
    cloud.simulated["host1"].post_password(server["id"], "sealed")
    assert demo.get(one).json() == {"password": "sealed"}
    assert cloud.client("admin").get(one).json() == {"password": "sealed"}
    assert demo.delete(one).status == 204
    assert demo.get(one).json() == {"password": ""}
    assert demo.get(f"{SERVERS}/{server['id'][::-1]}/os-server-password").status == 404


def test_the_console_log_ends_with_as_many_lines_as_asked(demo, server):
    one = f"{SERVERS}/{server['id']}/action"
    demo.post(one, {"reboot": {"type": "HARD"}})

    def said(**arguments):
        return demo.post(one, {"os-getConsoleOutput": arguments}).json()["output"]

    assert said().endswith("\n")
    assert said(length=-1) == said()
    assert said(length=1) == said().splitlines()[-1]
    assert said(length=2).split("\n") == said().splitlines()[-2:]
    assert said(length=0) == ""


@pytest.mark.parametrize("version", ["2.1", "2.53", "2.74", "2.75"])
def test_change_and_rebuild_answer_alike_and_narrower_than_get_before_2_75(demo, server, version):
    one = f"{SERVERS}/{server['id']}"
    whole = demo.get(one, **at(version)).json()["server"]
    changed = demo.put(one, {"server": {"name": "two"}}, **at(version))
    rebuild = {"rebuild": {"imageRef": server["image"]["id"]}}
    rebuilt = demo.post(f"{one}/action", rebuild, **at(version))
    assert (changed.status, rebuilt.status) == (200, 202), rebuilt.content
    for view in (changed.json()["server"], rebuilt.json()["server"]):
        (address,) = view["addresses"]["net"]
        if version == "2.75":
            assert set(whole) - set(view) <= {"progress"}
            assert "OS-EXT-IPS:type" in address
        else:
            assert not [name for name in view if name.startswith("OS-EXT")]
            assert set(address) == {"version", "addr"}


def test_a_list_with_limit_zero_is_empty_and_a_project_is_only_named_with_all_projects(cloud, demo, server):
    assert demo.get(f"{SERVERS}?limit=0").json()["servers"] == []
    admin, project = cloud.client("admin"), server["tenant_id"]
    assert admin.get(f"{SERVERS}?tenant_id={project}").json()["servers"] == []
    found = admin.get(f"{SERVERS}?all_tenants=1&tenant_id={project}").json()["servers"]
    assert [one["id"] for one in found] == [server["id"]]
    assert admin.get(f"{SERVERS}?all_tenants=1&tenant_id={'0' * 32}").json()["servers"] == []


@pytest.fixture
def routed(cloud, demo, server):
    """The server's port, in a network that a router joins to the external one; and the external network's id."""
    public = demo.get("/network/v2.0/networks?router:external=True").json()["networks"][0]["id"]
    port = demo.get(f"/network/v2.0/ports?device_id={server['id']}").json()["ports"][0]
    new = {"router": {"name": "r", "external_gateway_info": {"network_id": public}}}
    router = demo.post("/network/v2.0/routers", new).json()["router"]["id"]
    leg = {"subnet_id": port["fixed_ips"][0]["subnet_id"]}
    assert demo.put(f"/network/v2.0/routers/{router}/add_router_interface", leg).status == 200
    cloud.settle()
    return port, public


def test_what_the_guest_is_told_follows_its_addresses(cloud, demo, server, routed):
    """Each change bumps the server's spec and signals its task; the host gets the new documents, and nothing else."""
    port, public = routed
    agent = cloud.simulated["host1"]
    floating = "/network/v2.0/floatingips"

    def told(path):
        cloud.settle()
        return agent._servers[server["id"]].spec.guest.ec2[path]

    assert told("public-ipv4") == ""
    body = {"floatingip": {"floating_network_id": public, "port_id": port["id"]}}
    one = demo.post(floating, body).json()["floatingip"]
    assert told("public-ipv4") == one["floating_ip_address"]
    demo.put(f"{floating}/{one['id']}", {"floatingip": {"port_id": None}})
    assert told("public-ipv4") == ""
    demo.put(f"{floating}/{one['id']}", {"floatingip": {"port_id": port["id"]}})
    assert told("public-ipv4") == one["floating_ip_address"]
    demo.put(f"{floating}/{one['id']}", {"floatingip": {"port_id": None}})
    demo.put(f"/network/v2.0/ports/{port['id']}", {"port": {"fixed_ips": [{"ip_address": "10.0.0.77"}]}})
    assert told("local-ipv4") == "10.0.0.77"
    assert told("public-ipv4") == ""
    demo.put(f"{floating}/{one['id']}", {"floatingip": {"port_id": port["id"]}})
    assert told("public-ipv4") == one["floating_ip_address"]
    assert demo.delete(f"{floating}/{one['id']}").status == 204
    assert told("public-ipv4") == ""
    assert agent.starts(server["id"]) == 1, "the guest ran on"
    assert demo.get(f"{SERVERS}/{server['id']}").json()["server"]["status"] == "ACTIVE"


def test_an_address_that_changes_while_the_host_fails_is_told_when_it_does_not(
    virtual_clock, cloud, demo, server, routed
):
    port, public = routed
    simulated = cloud.simulated
    simulated.world.faults.add("host1", Fault("fail"))
    body = {"floatingip": {"floating_network_id": public, "port_id": port["id"]}}
    ip = demo.post("/network/v2.0/floatingips", body).json()["floatingip"]["floating_ip_address"]
    cloud.settle()
    held = simulated["host1"]._servers[server["id"]]
    assert held.spec.guest.ec2["public-ipv4"] == ""
    virtual_clock.advance(7)
    cloud.settle()
    assert held.spec.guest.ec2["public-ipv4"] == ip


class SilentAtFirst(SimulatedCloud):
    """Its control plane has just started, and no host has reported."""

    heard = False

    def beat(self):
        if self.heard:
            super().beat()


@pytest.mark.parametrize(("after_s", "status"), [(5, "ACTIVE"), (61, "ERROR")])
def test_a_server_that_is_asked_for_before_any_host_reports_waits_a_minute(virtual_clock, tmp_path, after_s, status):
    """`up` may end, and a person may ask, while a host still finds out what it can do."""
    cloud = SilentAtFirst(tmp_path, hosts=1)
    try:
        demo = cloud.client("demo")
        one = f"{SERVERS}/{cloud.server(demo, imageRef=cloud.image())}"
        cloud.settle()
        assert demo.get(one).json()["server"]["status"] == "BUILD"
        virtual_clock.advance(after_s)
        cloud.settle()
        cloud.heard = True
        cloud.beat()
        virtual_clock.advance(1)
        cloud.settle()
        assert demo.get(one).json()["server"]["status"] == status
    finally:
        cloud.close()


def test_the_quota_of_a_user_bounds_that_users_servers_alone(cloud, demo, server):
    admin = cloud.client("admin")
    project, user = server["tenant_id"], server["user_id"]
    sets = f"/compute/v2.1/os-quota-sets/{project}"
    body = {"name": "two", "flavorRef": "42", "imageRef": server["image"]["id"], "networks": "none"}
    assert admin.put(f"{sets}?user_id={user}", {"quota_set": {"instances": 1}}).status == 200
    refused = demo.post(SERVERS, {"server": body}, **at("2.79"))
    assert refused.status == 403
    assert "instances: 1 requested, 1 of 1 in use by this user" in refused.json()["forbidden"]["message"]
    assert admin.delete(f"{sets}?user_id={user}").status == 202
    assert demo.post(SERVERS, {"server": body}, **at("2.79")).status == 202


def test_a_start_follows_the_stop_that_is_under_way(cloud, demo, server):
    action = f"{SERVERS}/{server['id']}/action"
    assert demo.post(action, {"os-start": None}).status == 409, "it runs, and nothing stops it"
    assert demo.post(action, {"os-stop": None}).status == 202
    assert demo.post(action, {"os-start": None}).status == 202
    assert demo.post(action, {"os-start": None}).status == 409, "it is starting"
    cloud.settle()
    assert demo.get(f"{SERVERS}/{server['id']}").json()["server"]["status"] == "ACTIVE"
    assert cloud.simulated["host1"]._servers[server["id"]].starts == 2
    log = demo.get(f"{SERVERS}/{server['id']}/os-instance-actions").json()["instanceActions"]
    assert [(each["action"], each["message"]) for each in log[:2]] == [("start", None), ("stop", None)]


def test_more_servers_than_the_quota_allows_are_refused_by_the_quota(cloud, demo, server):
    body = {"name": "many", "flavorRef": "42", "imageRef": server["image"]["id"], "min_count": 1001}
    assert demo.post(SERVERS, {"server": body}).status == 403
    limits = {"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
    assert cloud.client("admin").put(f"/compute/v2.1/os-quota-sets/{server['tenant_id']}", limits).status == 200
    assert demo.post(SERVERS, {"server": body}).status == 400
    assert demo.post(SERVERS, {"server": {**body, "min_count": "2147483648"}}).status == 400
