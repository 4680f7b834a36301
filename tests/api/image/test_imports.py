"""Imports through HTTP: staged, downloaded, copied, from another image; refused, interrupted by deletion, in part."""

from __future__ import annotations

import hashlib
import ipaddress

import pytest
from tests.api.image.conftest import IMAGES, OCTETS, active, cloud_on, patch, qcow2, register, upload

from gureum.drivers.image.errors import StoreFull
from gureum.drivers.image.stores import Stores
from gureum.drivers.image.web.guard import Allowed
from gureum.foundation.tasks.model import Task

DATA = bytes(range(256)) * 40
LOOPBACK = Allowed(ports=frozenset(), networks=(ipaddress.ip_network("127.0.0.0/8"),))


@pytest.fixture
def cloud(empty_database, tmp_path):
    """One that may fetch from this machine."""
    import shutil

    from gureum.foundation.db.engine import Database

    shutil.copy(empty_database, tmp_path / "test.sqlite")
    database = Database(f"sqlite:///{tmp_path}/test.sqlite")
    yield cloud_on(database, tmp_path, LOOPBACK)
    database.close()


def stage(client, image_id, data=DATA):
    return client.request("PUT", f"{IMAGES}/{image_id}/stage", raw=data, content_type=OCTETS)


def begin(client, image_id, method="glance-direct", **more):
    named = {"name": method, **{name: more.pop(name) for name in list(more) if name.startswith(("uri", "glance_"))}}
    return client.post(f"{IMAGES}/{image_id}/import", {"method": named, **more})


def show(client, image_id):
    return client.get(f"{IMAGES}/{image_id}").json()


def tasks_of(client, image_id):
    return client.get(f"{IMAGES}/{image_id}/tasks").json()["tasks"]


def assert_nothing_left(cloud, *, blobs=0):
    cloud.engine.run_due()
    assert len([*cloud.store.locations(), *cloud.second.locations()]) == blobs
    with cloud.database.read() as tx:
        assert tx.query(Task).all() == []


def test_staged_data_becomes_an_image_in_every_store(cloud, alice):
    image_id = register(alice)["id"]
    assert begin(alice, image_id).status == 409
    assert stage(alice, image_id).status == 204
    view = show(alice, image_id)
    assert (view["status"], view["size"], "stores" in view) == ("uploading", None, False)
    assert alice.get(f"{IMAGES}/{image_id}/file").status == 204
    assert stage(alice, image_id).status == 409
    answer = begin(alice, image_id, all_stores=True)
    assert (answer.status, answer.content) == (202, b"")
    view = show(alice, image_id)
    assert (view["status"], view["os_glance_importing_to_stores"]) == ("importing", "file,second")
    [task] = tasks_of(alice, image_id)
    assert (task["status"], task["type"], task["id"]) == ("pending", "api_image_import", view["os_glance_import_task"])
    assert begin(alice, image_id, all_stores=True).status == 409
    cloud.engine.run_due()
    view = show(alice, image_id)
    assert (view["status"], view["stores"], view["size"]) == ("active", "file,second", len(DATA))
    assert (view["os_glance_importing_to_stores"], view["os_glance_failed_import"]) == ("", "")
    assert "os_glance_import_task" not in view
    assert view["checksum"] == hashlib.md5(DATA).hexdigest()
    assert view["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert alice.get(f"{IMAGES}/{image_id}/file").content == DATA
    [task] = tasks_of(alice, image_id)
    assert (task["status"], task["user_id"], task["owner"]) == ("success", "alice", "p1")
    assert task["request_id"] == answer.headers["x-openstack-request-id"]
    assert task["input"]["import_req"]["method"] == {"name": "glance-direct"}
    assert task["expires_at"]
    assert_nothing_left(cloud, blobs=2)


def test_staged_data_that_goes_elsewhere_leaves_the_stage(cloud, alice):
    image_id = register(alice)["id"]
    stage(alice, image_id)
    assert begin(alice, image_id, stores=["second"]).status == 202
    cloud.engine.run_due()
    assert show(alice, image_id)["stores"] == "second"
    assert_nothing_left(cloud, blobs=1)


@pytest.mark.parametrize(
    ("declared", "data"), [("raw", qcow2()), ("qcow2", DATA), ("qcow2", qcow2(backing_file=b"/etc/passwd"))]
)
def test_an_import_of_something_else_is_refused(cloud, alice, declared, data):
    """CVE-2024-32498, CVE-2024-40767: what is staged is judged before anything can read it."""
    image_id = register(alice, disk_format=declared)["id"]
    assert stage(alice, image_id, data).status == 204
    assert begin(alice, image_id).status == 202
    cloud.engine.run_due()
    view = show(alice, image_id)
    assert (view["status"], view["size"], view["os_glance_failed_import"]) == ("queued", None, "file")
    [task] = tasks_of(alice, image_id)
    assert task["status"] == "failure"
    assert "refused" in task["message"]
    assert_nothing_left(cloud)
    assert stage(alice, image_id, qcow2() if declared == "qcow2" else DATA).status == 204


def test_web_download(cloud, alice, place):
    place.files["/image"] = DATA
    place.moved["/old"] = "/image"
    image_id = register(alice)["id"]
    assert begin(alice, image_id, "web-download", uri=place.url + "/old").status == 202
    cloud.engine.run_due()
    view = show(alice, image_id)
    assert (view["status"], view["size"], view["stores"]) == ("active", len(DATA), "file")
    assert_nothing_left(cloud, blobs=1)


def test_web_download_that_breaks_off_or_finds_nothing(cloud, alice, place, virtual_clock):
    place.files["/image"] = DATA
    place.short.add("/image")
    image_id = register(alice)["id"]
    for path in ("/image", "/nothing"):
        assert begin(alice, image_id, "web-download", uri=place.url + path).status == 202
        for _ in range(6):
            cloud.engine.run_due()
            virtual_clock.advance(30)
        assert show(alice, image_id)["status"] == "queued"
        assert tasks_of(alice, image_id)[-1]["status"] == "failure"
    assert_nothing_left(cloud)


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://example.org/i",
        "file:///etc/passwd",
        "http://user:secret@example.org/",
        "http://example.org:99999/",
        "http:///x",
        "http://exa mple.org/",
        "http://example.org/\r\nX: y",
        "gopher://example.org/",
        "",
    ],
)
def test_a_uri_that_its_text_forbids_is_refused_at_once(alice, uri):
    image_id = register(alice)["id"]
    assert begin(alice, image_id, "web-download", uri=uri).status == 400
    assert show(alice, image_id)["status"] == "queued"


def test_methods_and_statuses_that_do_not_fit(cloud, alice, bob, root):
    image_id = register(alice)["id"]
    assert begin(alice, image_id, "by-post").status == 400
    assert begin(alice, image_id, "web-download").status == 400
    assert begin(alice, image_id, "copy-image", all_stores=True).status == 403
    assert begin(root, image_id, "copy-image", all_stores=True).status == 409
    assert begin(bob, image_id, "glance-direct").status == 404
    assert begin(cloud.as_("reader"), image_id, "glance-direct").status == 403
    stage(alice, image_id)
    assert begin(alice, image_id, stores=["tape"]).status == 409
    assert begin(alice, image_id, stores=["web"]).status == 409
    assert begin(alice, image_id, stores=["file"], all_stores=True).status == 400
    bare = alice.post(IMAGES, {"name": "bare"}).json()["id"]
    assert begin(alice, bare, "web-download", uri="http://example.org/").status == 400


def test_copy_image(cloud, alice, root):
    image_id = active(alice, DATA)
    assert begin(root, image_id, "copy-image", stores=["file"]).status == 403
    assert begin(root, image_id, "copy-image").status == 400
    assert begin(root, image_id, "copy-image", all_stores=True).status == 202
    assert show(alice, image_id)["status"] == "active"
    assert root.delete(f"/image/v2/stores/file/{image_id}").status == 409
    cloud.engine.run_due()
    view = show(alice, image_id)
    assert (view["stores"], view["os_glance_importing_to_stores"]) == ("file,second", "")
    assert [cloud.second.size(location) for location in cloud.second.locations()] == [len(DATA)]
    assert root.delete(f"/image/v2/stores/tape/{image_id}").status == 404
    assert alice.delete(f"/image/v2/stores/file/{image_id}").status == 403
    assert root.delete(f"/image/v2/stores/file/{image_id}").status == 204
    assert root.delete(f"/image/v2/stores/file/{image_id}").status == 404
    assert root.delete(f"/image/v2/stores/second/{image_id}").status == 403
    assert alice.get(f"{IMAGES}/{image_id}/file").content == DATA
    assert_nothing_left(cloud, blobs=1)


def test_copy_with_nothing_to_copy_ends_for_who_waits(cloud, alice, root):
    """Clients wait until the attribute is there and names no store."""
    image_id = register(alice)["id"]
    assert upload(alice, image_id, DATA).status == 204
    for _ in range(2):
        assert begin(root, image_id, "copy-image", all_stores=True).status == 202
        assert "os_glance_importing_to_stores" in show(alice, image_id)
        cloud.engine.run_due()
        view = show(alice, image_id)
        assert (view["status"], view["stores"]) == ("active", "file,second")
        assert (view["os_glance_importing_to_stores"], view["os_glance_failed_import"]) == ("", "")
    uploaded = active(alice, DATA, name="everywhere")
    single = cloud_on(cloud.database, cloud.folder, stores=Stores([cloud.stores.get("file")]))
    assert begin(single.as_("root"), uploaded, "copy-image", all_stores=True).status == 202
    assert show(alice, uploaded)["os_glance_importing_to_stores"] == ""
    single.engine.run_due()
    assert [task["status"] for task in tasks_of(alice, uploaded)] == ["success"]
    assert_nothing_left(cloud, blobs=3)


def test_copies_that_fail_all_or_in_part(cloud, alice, root, monkeypatch):
    def full(_image_id):
        raise StoreFull("no room")

    monkeypatch.setattr(cloud.second, "create", full)
    image_id = active(alice, DATA)
    assert begin(root, image_id, "copy-image", stores=["second"]).status == 202
    cloud.engine.run_due()
    view = show(alice, image_id)
    assert (view["status"], view["stores"], view["os_glance_failed_import"]) == ("active", "file", "second")
    assert tasks_of(alice, image_id)[-1]["status"] == "failure"
    other = register(alice)["id"]
    stage(alice, other)
    assert begin(alice, other, all_stores=True, all_stores_must_succeed=False).status == 202
    cloud.engine.run_due()
    view = show(alice, other)
    assert (view["status"], view["stores"], view["os_glance_failed_import"]) == ("active", "file", "second")
    assert tasks_of(alice, other)[-1]["status"] == "success"
    third = register(alice)["id"]
    stage(alice, third)
    assert begin(alice, third, all_stores=True).status == 202
    cloud.engine.run_due()
    view = show(alice, third)
    assert (view["status"], view["size"], "stores" in view) == ("queued", None, False)
    assert_nothing_left(cloud, blobs=2)


def test_glance_download_brings_the_data_and_some_properties(cloud, alice, bob):
    source = active(alice, DATA, hw_cpu_cores="5", os_distro="debian", speed="88mph")
    patch(alice, source, {"op": "add", "path": "/trait:STORAGE_DISK_SSD", "value": "required"})
    target = register(alice, disk_format="iso", container_format="ovf", os_distro="windows")["id"]
    asked = {"glance_image_id": source, "glance_region": "RegionOne", "glance_service_interface": "public"}
    assert begin(alice, target, "glance-download", **asked).status == 202
    cloud.engine.run_due()
    view = show(alice, target)
    assert (view["status"], view["disk_format"], view["container_format"]) == ("active", "raw", "bare")
    assert (view["hw_cpu_cores"], view["os_distro"], view["trait:STORAGE_DISK_SSD"]) == ("5", "debian", "required")
    assert "speed" not in view
    mine = register(bob)["id"]
    for wrong in ({}, {"glance_region": "elsewhere"}, {"glance_service_interface": "none"}):
        assert begin(bob, mine, "glance-download", **{**asked, **wrong}).status == 202
        cloud.engine.run_due()
        assert show(bob, mine)["status"] == "queued"
        assert tasks_of(bob, mine)[-1]["status"] == "failure"
    answer = begin(bob, mine, "glance-download", **{**asked, "glance_image_id": "foo"})
    assert answer.status == 400
    assert "image id does not look like a UUID" in answer.json()["message"]


@pytest.mark.parametrize("run_first", [False, True])
def test_an_image_that_is_deleted_during_its_import_leaves_nothing(cloud, alice, root, monkeypatch, run_first):
    image_id = register(alice)["id"]
    stage(alice, image_id)
    assert begin(alice, image_id, all_stores=True).status == 202
    if run_first:
        create = cloud.second.create

        def create_late(name):
            assert alice.delete(f"{IMAGES}/{image_id}").status == 204
            return create(name)

        monkeypatch.setattr(cloud.second, "create", create_late)
    else:
        assert alice.delete(f"{IMAGES}/{image_id}").status == 204
    cloud.engine.run_due()
    assert_nothing_left(cloud)
    [task] = root.get("/image/v2/tasks").json()["tasks"]
    assert task["status"] == "failure"


def test_the_tasks_api(cloud, alice, root, place):
    place.files["/image"] = qcow2()
    body = {
        "type": "import",
        "input": {
            "import_from": place.url + "/image",
            "import_from_format": "qcow2",
            "image_properties": {
                "name": "t",
                "disk_format": "qcow2",
                "container_format": "bare",
                "visibility": "public",
            },
        },
    }
    assert alice.post("/image/v2/tasks", body).status == 403
    answer = root.post("/image/v2/tasks", body)
    assert answer.status == 201
    task = answer.json()
    assert (task["status"], task["type"], task["input"]) == ("pending", "import", body["input"])
    assert answer.headers["location"].endswith(f"/image/v2/tasks/{task['id']}")
    cloud.engine.run_due()
    task = root.get(f"/image/v2/tasks/{task['id']}").json()
    assert task["status"] == "success"
    image = show(alice, task["result"]["image_id"])
    assert (image["name"], image["status"], image["visibility"]) == ("t", "active", "public")
    listed = root.get("/image/v2/tasks?status=success&type=import&sort_key=created_at&sort_dir=asc&limit=1").json()
    assert [one["id"] for one in listed["tasks"]] == [task["id"]]
    assert root.get("/image/v2/tasks?status=lost").status == 400
    assert root.get("/image/v2/tasks/nothing").status == 404
    assert root.post("/image/v2/tasks", {**body, "type": "export"}).status == 400
    wrong = {**body["input"], "import_from": "http:///nowhere"}
    assert root.post("/image/v2/tasks", {**body, "input": wrong}).status == 400


def test_an_upload_to_a_named_store(cloud, alice):
    image_id = register(alice)["id"]
    assert upload(alice, image_id, DATA, x_image_meta_store="web").status == 400
    assert upload(alice, image_id, DATA, x_image_meta_store="second").status == 204
    assert show(alice, image_id)["stores"] == "second"
    assert len(list(cloud.second.locations())) == 1
    assert alice.get(f"{IMAGES}/{image_id}/file").content == DATA
    assert alice.delete(f"{IMAGES}/{image_id}").status == 204
    assert_nothing_left(cloud)
