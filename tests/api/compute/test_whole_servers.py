"""What only a living server shows: a guest's password, and the answers to a change and a rebuild."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import at
from tests.cloud import SimulatedCloud

SERVERS = "/compute/v2.1/servers"


@pytest.fixture
def cloud(tmp_path):
    cloud = SimulatedCloud(tmp_path, hosts=1)
    yield cloud
    cloud.close()


@pytest.fixture
def demo(cloud):
    return cloud.client("demo")


@pytest.fixture
def server(cloud, demo):
    image = cloud.image()
    server_id = cloud.server(demo, imageRef=image, networks=[{"uuid": cloud.network(demo)}])
    cloud.settle()
    return demo.get(f"{SERVERS}/{server_id}").json()["server"]


def test_the_password_that_the_guest_posted_is_shown_and_cleared(cloud, demo, server):
    one = f"{SERVERS}/{server['id']}/os-server-password"
    assert demo.get(one).json() == {"password": ""}
    cloud.control.simulated["host-1"].post_password(server["id"], "sealed")
    assert demo.get(one).json() == {"password": "sealed"}
    assert cloud.client("admin").get(one).json() == {"password": "sealed"}
    assert demo.delete(one).status == 204
    assert demo.get(one).json() == {"password": ""}
    assert demo.get(f"{SERVERS}/{server['id'][::-1]}/os-server-password").status == 404


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
