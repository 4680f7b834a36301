"""How large a root disk is, who may ask for one, and that a host's room for it is claimed."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import at

from gureum.drivers.hypervisor.blank_disk import blank_qcow2
from gureum.services.compute.servers.model import Server

V21 = "/compute/v2.1"
GIB = 1 << 30


@pytest.fixture
def admin(cloud):
    return cloud.client("admin")


def image_of(client, virtual_gib, **more):
    new = {"name": f"{virtual_gib} GiB", "disk_format": "qcow2", "container_format": "bare", **more}
    image_id = client.post("/image/v2/images", new).json()["id"]
    file = f"/image/v2/images/{image_id}/file"
    sent = client.request("PUT", file, raw=blank_qcow2(virtual_gib * GIB), content_type="application/octet-stream")
    assert sent.status == 204, sent.content
    return image_id


def flavor_of(admin, disk, **more):
    new = {"name": f"disk-{disk}", "vcpus": 1, "ram": 512, "disk": disk, **more}
    return admin.post(f"{V21}/flavors", {"flavor": new}).json()["flavor"]["id"]


def create(client, image_id, flavor_id):
    new = {"name": "one", "imageRef": image_id, "flavorRef": flavor_id, "networks": "none"}
    return client.post(f"{V21}/servers", {"server": new}, **at("2.79"))


def rebuild(client, server_id, image_id):
    return client.post(f"{V21}/servers/{server_id}/action", {"rebuild": {"imageRef": image_id}})


def claimed_gib(admin, server_id):
    allocations = admin.get(f"/placement/allocations/{server_id}").json()["allocations"]
    return [each["resources"].get("DISK_GB", 0) for each in allocations.values()]


def test_a_member_boots_no_image_with_a_flavor_without_disk(cloud, demo, admin):
    answer = create(demo, image_of(demo, 1000), flavor_of(admin, 0))
    assert answer.status == 403
    assert "zero disk" in answer.json()["forbidden"]["message"]
    assert demo.get(f"{V21}/servers").json()["servers"] == []


def test_the_disk_of_a_flavor_without_one_is_as_large_as_the_image_and_claimed(cloud, admin):
    flavor_id = flavor_of(admin, 0)
    small = create(admin, image_of(admin, 3), flavor_id).json()["server"]["id"]
    cloud.settle()
    assert claimed_gib(admin, small) == [3]
    large = create(admin, image_of(admin, 5000), flavor_id).json()["server"]["id"]
    cloud.settle()
    server = admin.get(f"{V21}/servers/{large}").json()["server"]
    assert server["status"] == "ERROR"
    assert "not enough DISK_GB: 5000 wanted" in server["fault"]["message"]


def test_a_rebuild_claims_what_the_new_image_needs(cloud, admin):
    server_id = create(admin, image_of(admin, 3), flavor_of(admin, 0)).json()["server"]["id"]
    cloud.settle()
    assert rebuild(admin, server_id, image_of(admin, 5000)).status == 409
    assert claimed_gib(admin, server_id) == [3]
    assert rebuild(admin, server_id, image_of(admin, 5)).status == 202
    cloud.settle()
    assert claimed_gib(admin, server_id) == [5]


def test_a_member_rebuilds_no_server_whose_flavor_has_no_disk(cloud, demo, admin):
    image_id = image_of(demo, 1)
    server_id = create(demo, image_id, flavor_of(admin, 1)).json()["server"]["id"]
    cloud.settle()
    assert rebuild(demo, server_id, image_id).status == 202
    cloud.settle()

    def take_the_disk_away(tx):
        server = tx.get(Server, server_id)
        server.flavor = {**server.flavor, "disk": 0}

    cloud.control.database.write(take_the_disk_away)
    assert rebuild(demo, server_id, image_id).status == 403


@pytest.mark.parametrize(
    ("limits", "status"), [({}, 202), ({"min_disk": 2}, 400), ({"min_ram": 513}, 400), ({"min_disk": 1}, 202)]
)
def test_an_image_says_how_large_a_flavor_it_needs(cloud, demo, admin, limits, status):
    assert create(demo, image_of(demo, 1, **limits), flavor_of(admin, 1)).status == status


def test_an_image_that_unfolds_beyond_the_flavors_disk_is_refused(cloud, demo, admin):
    server_id = create(demo, image_of(demo, 1), flavor_of(admin, 1)).json()["server"]["id"]
    cloud.settle()
    large = image_of(demo, 2)
    assert create(demo, large, "42").status == 400
    assert rebuild(demo, server_id, large).status == 400
    assert rebuild(demo, server_id, image_of(demo, 1, min_ram=4096)).status == 400
