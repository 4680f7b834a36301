"""Images of servers: what is asked and answered, what the image says of itself, and what is left when it fails."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import at

from gureum.agents.hypervisor.faults import Fault
from gureum.agents.hypervisor.protocol import ServerObserved

SERVERS = "/compute/v2.1/servers"
IMAGES = "/image/v2/images"


@pytest.fixture
def base(cloud):
    image = cloud.image()
    admin = cloud.client()
    changes = [
        {"op": "add", "path": f"/{name}", "value": value}
        for name, value in {"os_distro": "mini", "img_signature": "x", "hw_rng_model": "virtio"}.items()
    ]
    changes += [{"op": "replace", "path": "/min_ram", "value": 32}]
    answer = admin.patch(f"{IMAGES}/{image}", changes, content_type="application/openstack-images-v2.1-json-patch")
    assert answer.status == 200, answer.content
    return image


@pytest.fixture
def server(cloud, demo, base):
    server_id = cloud.server(demo, imageRef=base)
    cloud.settle()
    assert shown(demo, server_id)["status"] == "ACTIVE"
    return server_id


def shown(client, server_id):
    return client.get(f"{SERVERS}/{server_id}", **at("2.79")).json()["server"]


def act(client, server_id, body, version="2.79"):
    return client.post(f"{SERVERS}/{server_id}/action", body, **at(version))


def snapshot(client, server_id, name="snap", version="2.79", **more):
    answer = act(client, server_id, {"createImage": {"name": name, **more}}, version)
    assert answer.status == 202, answer.content
    return answer.json()["image_id"]


def backup(client, server_id, rotation, kind="daily"):
    body = {"createBackup": {"name": "b", "backup_type": kind, "rotation": rotation}}
    answer = act(client, server_id, body)
    assert answer.status == 202, answer.content
    return answer.json()["image_id"] if answer.content else None


def last_action(client, server_id):
    actions = f"{SERVERS}/{server_id}/os-instance-actions"
    newest = client.get(actions, **at("2.84")).json()["instanceActions"][0]
    return client.get(f"{actions}/{newest['request_id']}", **at("2.84")).json()["instanceAction"]


def test_the_image_says_where_it_comes_from(cloud, demo, server, base):
    image_id = snapshot(demo, server, metadata={"mine": "1", "instance_uuid": "forged"})
    queued = demo.get(f"{IMAGES}/{image_id}").json()
    assert (queued["status"], queued["visibility"], queued["size"]) == ("queued", "private", None)
    assert shown(demo, server)["OS-EXT-STS:task_state"] == "image_snapshot_pending"
    assert shown(demo, server)["status"] == "ACTIVE"
    cloud.settle()
    image = demo.get(f"{IMAGES}/{image_id}").json()
    assert (image["status"], image["name"], image["disk_format"]) == ("active", "snap", "qcow2")
    assert (image["container_format"], image["min_disk"], image["min_ram"]) == ("bare", 1, 32)
    assert (image["virtual_size"], len(image["checksum"]), len(image["os_hash_value"])) == (1 << 30, 32, 128)
    view = shown(demo, server)
    said = {
        "image_type": "snapshot",
        "instance_uuid": server,
        "base_image_ref": base,
        "user_id": view["user_id"],
        "owner_id": view["tenant_id"],
        "owner_user_name": "demo",
        "owner_project_name": "demo",
        "image_location": "snapshot",
        "image_state": "available",
        "os_distro": "mini",
        "hw_rng_model": "virtio",
        "mine": "1",
    }
    assert {name: image.get(name) for name in said} == said
    assert "member" in image["boot_roles"].split(",")
    assert "img_signature" not in image
    assert image["owner"] == view["tenant_id"]
    assert (view["status"], view["OS-EXT-STS:task_state"]) == ("ACTIVE", None)
    data = demo.get(f"{IMAGES}/{image_id}/file").content
    assert (len(data), data[:4]) == (image["size"], b"QFI\xfb")
    assert cloud.simulated["host1"].copies(server) == set()
    action = last_action(demo, server)
    assert (action["action"], action["message"]) == ("createImage", None)
    assert (action["events"][0]["event"], action["events"][0]["result"]) == ("compute_snapshot_instance", "Success")


def test_a_server_boots_from_an_image_of_another(cloud, demo, server):
    image_id = snapshot(demo, server)
    cloud.settle()
    second = cloud.server(demo, imageRef=image_id)
    cloud.settle()
    assert shown(demo, second)["status"] == "ACTIVE"
    again = snapshot(demo, second)
    cloud.settle()
    image = demo.get(f"{IMAGES}/{again}").json()
    assert (image["base_image_ref"], image["instance_uuid"]) == (image_id, second)
    smaller = {"name": "s", "flavorRef": "42", "imageRef": again, "networks": "none"}
    demo.patch(
        f"{IMAGES}/{again}",
        [{"op": "replace", "path": "/min_disk", "value": 2}],
        content_type="application/openstack-images-v2.1-json-patch",
    )
    assert demo.post(SERVERS, {"server": smaller}, **at("2.79")).status == 400


def test_the_answer_names_the_image_by_header_before_2_45_and_by_body_since(cloud, demo, server):
    answer = act(demo, server, {"createImage": {"name": "old"}}, "2.44")
    assert (answer.status, answer.content) == (202, b"")
    place = answer.headers["location"]
    cloud.settle()
    image_id = place.rsplit("/", 1)[-1]
    assert place.endswith(f"/image/v2/images/{image_id}")
    assert demo.get(f"{IMAGES}/{image_id}").json()["status"] == "active"
    answer = act(demo, server, {"createImage": {"name": "new"}}, "2.45")
    assert list(answer.json()) == ["image_id"]
    assert "location" not in answer.headers


@pytest.mark.parametrize("state", ["stopped", "paused"])
def test_a_server_that_does_not_run_stays_as_it_is(cloud, demo, server, state):
    act(demo, server, {"os-stop": None} if state == "stopped" else {"pause": None})
    cloud.settle()
    before = shown(demo, server)["status"]
    image_id = snapshot(demo, server)
    cloud.settle()
    assert demo.get(f"{IMAGES}/{image_id}").json()["status"] == "active"
    assert shown(demo, server)["status"] == before


def test_nothing_else_is_done_meanwhile_and_a_lock_does_not_bar_it(cloud, demo, server):
    act(demo, server, {"lock": None})
    snapshot(demo, server)
    for body in ({"os-stop": None}, {"createImage": {"name": "two"}}, {"reboot": {"type": "SOFT"}}):
        assert act(cloud.client(), server, body).status == 409, body
    cloud.settle()
    assert act(demo, server, {"os-stop": None}).status == 409
    act(demo, server, {"unlock": None})
    assert act(demo, server, {"os-stop": None}).status == 202


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 256},
        {"name": "x", "metadata": None},
        {"name": "x", "metadata": {"k": 1}},
        {"name": "x", "metadata": {"": "v"}},
        {"name": "x", "metadata": {"k": "v" * 256}},
        {"name": "x", "metadata": {"status": "active"}},
        {"name": "x", "metadata": {"visibility": "public"}},
        {"name": "x", "more": 1},
        None,
    ],
)
def test_a_bad_request_reserves_nothing(demo, server, body):
    assert act(demo, server, {"createImage": body}).status in (400, 403)
    assert shown(demo, server)["OS-EXT-STS:task_state"] is None
    assert [one["name"] for one in demo.get(IMAGES).json()["images"]] == ["tiny"]


def test_a_server_in_error_and_servers_of_others_make_no_image(cloud, demo, server):
    assert act(cloud.client(), server, {"os-resetState": {"state": "error"}}).status == 202
    assert act(demo, server, {"createImage": {"name": "x"}}).status == 409
    assert act(demo, "0" * 8 + server[8:], {"createImage": {"name": "x"}}).status == 404


def test_quotas_of_metadata_and_of_images(cloud, demo, server):
    admin, project = cloud.client(), shown(demo, server)["tenant_id"]
    limit = {"quota_set": {"metadata_items": 1}}
    assert admin.put(f"/compute/v2.1/os-quota-sets/{project}", limit).status == 200
    two = {"createImage": {"name": "x", "metadata": {"a": "1", "b": "2"}}}
    assert act(demo, server, two, "2.38").status == 403
    assert act(demo, server, two, "2.39").status == 202
    cloud.settle()
    many = {f"k{number}": "v" for number in range(130)}
    assert act(demo, server, {"createImage": {"name": "x", "metadata": many}}).status == 403


@pytest.mark.parametrize("call", ["copy_disk", "read_copy"])
def test_a_host_that_cannot_leaves_no_image_and_an_error_in_the_action(cloud, demo, server, call):
    host = cloud.simulated["host1"]
    world = cloud.simulated.world
    world.faults.add("host1", Fault("fail", call, text="secret path", public="The host is full.", retry=False))
    image_id = snapshot(demo, server)
    cloud.settle()
    assert demo.get(f"{IMAGES}/{image_id}").status == 404
    assert shown(demo, server)["OS-EXT-STS:task_state"] is None
    assert shown(demo, server)["status"] == "ACTIVE"
    assert host.copies(server) == set()
    action = last_action(demo, server)
    assert (action["message"], action["events"][0]["result"]) == ("Error", "Error")
    assert action["events"][0]["details"] == "The host is full."
    assert "secret" in last_action(cloud.client(), server)["events"][0]["traceback"]


def test_a_deleted_image_and_a_deleted_server_end_it(cloud, demo, server):
    image_id = snapshot(demo, server)
    assert demo.delete(f"{IMAGES}/{image_id}").status == 204
    cloud.settle()
    assert shown(demo, server)["OS-EXT-STS:task_state"] is None
    assert last_action(demo, server)["events"][0]["result"] == "Error"
    image_id = snapshot(demo, server)
    assert demo.delete(f"{SERVERS}/{server}").status == 204
    cloud.settle()
    assert demo.get(f"{SERVERS}/{server}").status == demo.get(f"{IMAGES}/{image_id}").status == 404


def test_a_change_of_the_server_meanwhile_does_not_end_it_early(cloud, demo, server):
    image_id = snapshot(demo, server)
    assert act(cloud.client(), server, {"injectNetworkInfo": None}).status == 202
    assert act(demo, server, {"reboot": {"type": "HARD"}}).status == 202
    cloud.settle()
    assert demo.get(f"{IMAGES}/{image_id}").json()["status"] == "active"
    assert shown(demo, server)["OS-EXT-STS:task_state"] is None
    actions = demo.get(f"{SERVERS}/{server}/os-instance-actions").json()["instanceActions"]
    assert [(one["action"], one["message"]) for one in actions] == [
        ("reboot", None), ("createImage", None), ("create", None),
    ]  # fmt: skip


def test_a_guest_that_powers_itself_off_meanwhile_is_seen(cloud, demo, server):
    image_id = snapshot(demo, server)
    cloud.simulated["host1"].change_power(server, "stopped")
    cloud.server_changed("host1", ServerObserved(server, "stopped"))
    cloud.settle()
    assert demo.get(f"{IMAGES}/{image_id}").json()["status"] == "active"
    assert shown(demo, server)["status"] == "SHUTOFF"


def test_backups_rotate_and_snapshots_stay(cloud, demo, server):
    snap = snapshot(demo, server)
    cloud.settle()
    made = []
    for _ in range(3):
        made.append(backup(demo, server, 2))
        cloud.settle()
    weekly = backup(demo, server, 1, "weekly")
    cloud.settle()
    there = {one["id"]: one for one in demo.get(f"{IMAGES}?owner={shown(demo, server)['tenant_id']}").json()["images"]}
    assert set(there) == {snap, *made[1:], weekly}
    assert (there[weekly]["image_type"], there[weekly]["backup_type"]) == ("backup", "weekly")
    assert last_action(demo, server)["events"][0]["event"] == "compute_backup_instance"
    assert backup(demo, server, 0) is None
    cloud.settle()
    left = {one["id"] for one in demo.get(f"{IMAGES}?owner={shown(demo, server)['tenant_id']}").json()["images"]}
    assert left == {snap, weekly}


@pytest.mark.parametrize("more", [{"rotation": -1}, {"rotation": "x"}, {"backup_type": None}, {"extra": 1}])
def test_a_bad_backup_is_refused(demo, server, more):
    body = {"createBackup": {"name": "b", "backup_type": "daily", "rotation": "1", **more}}
    assert act(demo, server, body).status == 400
