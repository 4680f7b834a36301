"""Cleaning what a deleted project left takes nothing from the projects that live."""

from __future__ import annotations

import pytest
from tests.api.leftovers.furnished import NETWORK, delete_project, made, new_project
from tests.cloud import ADMIN_PASSWORD, SimulatedCloud

from gureum.foundation import clock
from gureum.foundation.leftovers import projects
from gureum.services.network import leftovers

EXTERNAL = {"network": {"name": "out", "router:external": True}}


@pytest.fixture
def moving():
    moving = clock.VirtualClock()
    with clock.use(moving):
        yield moving


@pytest.fixture
def cloud(tmp_path, moving, monkeypatch):
    monkeypatch.setattr(projects, "GIVE_UP_AFTER", 3)
    cloud = SimulatedCloud(tmp_path)
    yield cloud
    cloud.close()


@pytest.fixture
def project_id(cloud):
    return new_project(cloud, "tenant")


@pytest.fixture
def tenant(cloud, project_id):
    return cloud.client("admin", "tenant", ADMIN_PASSWORD)


def clean(cloud, moving, project_id):
    """Delete and clean the project; what is left of it in the network."""
    delete_project(cloud, project_id)
    deleted = cloud.control.deleted_projects
    assert cloud.control.database.write(lambda tx: deleted.begin_cleaning(tx, project_id))
    for _ in range(15):
        moving.advance(1.5)
        cloud.beat()
        cloud.settle()
    with cloud.control.database.read() as tx:
        return deleted.left(tx, project_id).get("network", {})


def subnet(client, network_id, cidr):
    new = {"network_id": network_id, "ip_version": 4, "cidr": cidr}
    return made(client.post(f"{NETWORK}/subnets", {"subnet": new}))["id"]


def test_a_floating_ip_in_an_external_network_of_the_project_stays(cloud, moving, tenant, project_id):
    external = made(tenant.post(f"{NETWORK}/networks", EXTERNAL))["id"]
    subnet(tenant, external, "203.0.113.0/24")
    other = cloud.client("admin", "admin", ADMIN_PASSWORD)
    held = made(other.post(f"{NETWORK}/floatingips", {"floatingip": {"floating_network_id": external}}))
    left = clean(cloud, moving, project_id)
    assert other.get(f"{NETWORK}/floatingips/{held['id']}").status == 200
    assert left["networks"] == left["subnets"] == 1


def test_a_floating_ip_through_a_router_of_the_project_goes_on_leading(cloud, moving, tenant, project_id):
    external = made(tenant.get(f"{NETWORK}/networks?router:external=True"))[0]["id"]
    shared = made(tenant.post(f"{NETWORK}/networks", {"network": {"name": "all", "shared": True}}))["id"]
    leg = {"subnet_id": subnet(tenant, shared, "10.9.0.0/24")}
    gateway = {"router": {"external_gateway_info": {"network_id": external}}}
    router_id = made(tenant.post(f"{NETWORK}/routers", gateway))["id"]
    assert tenant.request("PUT", f"{NETWORK}/routers/{router_id}/add_router_interface", leg).status == 200
    other = cloud.client("demo")
    port_id = made(other.post(f"{NETWORK}/ports", {"port": {"network_id": shared}}))["id"]
    wanted = {"floatingip": {"floating_network_id": external, "port_id": port_id}}
    held = made(other.post(f"{NETWORK}/floatingips", wanted))
    left = clean(cloud, moving, project_id)
    after = made(other.get(f"{NETWORK}/floatingips/{held['id']}"))
    assert (after["port_id"], after["router_id"]) == (port_id, router_id)
    assert left["routers"] == left["networks"] == 1


def test_a_rule_that_names_a_group_of_the_project_stays(cloud, moving, tenant, project_id):
    named = made(tenant.post(f"{NETWORK}/security-groups", {"security_group": {"name": "web"}}))["id"]
    other = cloud.client("admin", "admin", ADMIN_PASSWORD)
    group_id = made(other.post(f"{NETWORK}/security-groups", {"security_group": {"name": "db"}}))["id"]
    wanted = {"security_group_id": group_id, "direction": "ingress", "remote_group_id": named}
    rule_id = made(other.post(f"{NETWORK}/security-group-rules", {"security_group_rule": wanted}))["id"]
    left = clean(cloud, moving, project_id)
    assert other.get(f"{NETWORK}/security-group-rules/{rule_id}").status == 200
    assert left == {"security groups": 1}


def test_what_stays_does_not_hide_what_can_go(cloud, moving, tenant, project_id, monkeypatch):
    monkeypatch.setattr(leftovers, "AT_ONCE", 1)
    networks = []
    for number in range(3):
        network = {"network": {"name": str(number), "shared": True}}
        networks.append(made(tenant.post(f"{NETWORK}/networks", network))["id"])
    other = cloud.client("demo")
    for network_id in sorted(networks)[:2]:
        made(other.post(f"{NETWORK}/ports", {"port": {"network_id": network_id}}))
    assert clean(cloud, moving, project_id)["networks"] == 2


def test_a_router_that_serves_ports_of_others_stays(cloud, moving, tenant, project_id):
    shared = made(tenant.post(f"{NETWORK}/networks", {"network": {"name": "all", "shared": True}}))["id"]
    leg = {"subnet_id": subnet(tenant, shared, "10.9.0.0/24")}
    routers = [made(tenant.post(f"{NETWORK}/routers", {"router": {"name": name}}))["id"] for name in ("used", "alone")]
    assert tenant.request("PUT", f"{NETWORK}/routers/{routers[0]}/add_router_interface", leg).status == 200
    other = cloud.client("demo")
    made(other.post(f"{NETWORK}/ports", {"port": {"network_id": shared}}))
    left = clean(cloud, moving, project_id)
    assert left["routers"] == 1
    admin = cloud.client()
    assert [admin.get(f"{NETWORK}/routers/{router_id}").status for router_id in routers] == [200, 404]
