"""Where data is: outside locations added by clients and services, changed by PATCH, hashed, guarded by policy."""

from __future__ import annotations

import hashlib
import ipaddress
import shutil
from contextlib import ExitStack

import pytest
from tests.api.image.conftest import CALLERS, IMAGES, active, cloud_on, patch, register
from tests.api.image.test_imports import show, tasks_of

from gureum.drivers.image.web.guard import Allowed
from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Database
from gureum.foundation.errors import Unavailable
from gureum.services.image.locations.reading import ASKED_AT_ONCE, ASKED_BY_A_PROJECT, asking_outside

DATA = bytes(range(256)) * 40
SHA256, SHA512 = hashlib.sha256(DATA).hexdigest(), hashlib.sha512(DATA).hexdigest()
LOOPBACK = Allowed(ports=frozenset(), networks=(ipaddress.ip_network("127.0.0.0/8"),))


@pytest.fixture
def cloud(empty_database, tmp_path, monkeypatch):
    shutil.copy(empty_database, tmp_path / "test.sqlite")
    monkeypatch.setitem(CALLERS, "nova", Caller(user_id="nova", project_id="services", roles=("service",)))
    database = Database(f"sqlite:///{tmp_path}/test.sqlite")
    yield cloud_on(database, tmp_path, LOOPBACK, show_locations=True)
    database.close()


@pytest.fixture
def url(place):
    place.files["/image"] = DATA
    return place.url + "/image"


def add(client, image_id, url, **promise):
    return client.post(f"{IMAGES}/{image_id}/locations", {"url": url, "validation_data": promise})


def test_a_location_is_hashed_and_served(cloud, alice, url):
    image_id = register(alice)["id"]
    assert add(alice, image_id, url).status == 202
    assert show(alice, image_id)["status"] == "importing"
    cloud.engine.run_due()
    view = show(alice, image_id)
    assert (view["status"], view["size"], view["stores"]) == ("active", len(DATA), "web")
    assert (view["os_hash_algo"], view["os_hash_value"]) == ("sha512", SHA512)
    assert view["checksum"] == hashlib.md5(DATA).hexdigest()
    assert tasks_of(alice, image_id)[0]["type"] == "location_import"
    assert alice.get(f"{IMAGES}/{image_id}/file").content == DATA
    part = alice.get(f"{IMAGES}/{image_id}/file", range="bytes=10-19")
    assert (part.status, part.content) == (206, DATA[10:20])
    assert add(alice, image_id, url).status == 409


def test_a_promised_hash_is_held_to(cloud, alice, url):
    good, bad = register(alice)["id"], register(alice)["id"]
    assert add(alice, good, url, os_hash_algo="sha256", os_hash_value=SHA256).status == 202
    assert add(alice, bad, url, os_hash_algo="sha256", os_hash_value="0" * 64).status == 202
    cloud.engine.run_due()
    assert (show(alice, good)["status"], show(alice, good)["os_hash_value"]) == ("active", SHA256)
    view = show(alice, bad)
    assert (view["status"], view["os_hash_value"]) == ("queued", None)
    assert tasks_of(alice, bad)[0]["status"] == "failure"


@pytest.mark.parametrize(
    "promise",
    [
        {"os_hash_algo": "sha256"},
        {"os_hash_value": SHA256},
        {"os_hash_algo": "sha123", "os_hash_value": SHA256},
        {"os_hash_algo": "sha512", "os_hash_value": SHA256},
        {"os_hash_algo": "sha256", "os_hash_value": "x" * 64},
    ],
)
def test_a_promise_that_cannot_be_one(alice, url, promise):
    image_id = register(alice)["id"]
    assert add(alice, image_id, url, **promise).status == 400


def test_content_that_is_something_else_is_refused(cloud, alice, place):
    place.files["/qcow2"] = b"QFI\xfb\0\0\0\3" + DATA
    image_id = register(alice)["id"]
    assert add(alice, image_id, place.url + "/qcow2").status == 202
    cloud.engine.run_due()
    assert show(alice, image_id)["status"] == "queued"


def test_who_reads_and_adds_locations(cloud, alice, bob, url):
    image_id = register(alice)["id"]
    nova = cloud.as_("nova")
    assert add(bob, image_id, url).status == 404
    assert add(cloud.as_("reader"), image_id, url).status == 403
    assert add(nova, image_id, url).status == 202
    cloud.engine.run_due()
    assert alice.get(f"{IMAGES}/{image_id}/locations").status == 403
    assert nova.get(f"{IMAGES}/{image_id}/locations").json() == [{"url": url, "metadata": {"store": "web"}}]
    assert nova.get(f"{IMAGES}/nothing/locations").status == 404


def test_a_patch_adds_notes_and_removes_locations(cloud, alice, root, url):
    image_id = register(alice)["id"]
    assert show(alice, image_id)["locations"] == []
    location = {"url": url, "metadata": {"a": "b"}}
    assert patch(alice, image_id, {"op": "add", "path": "/locations/-", "value": location}).status == 200
    view = show(alice, image_id)
    assert (view["status"], view["size"], view["os_hash_value"]) == ("active", len(DATA), None)
    assert view["locations"] == [{"url": url, "metadata": {"a": "b", "store": "web"}}]
    assert patch(alice, image_id, {"op": "add", "path": "/locations/-", "value": location}).status == 400
    second = {"url": url + "#2", "metadata": {}}
    assert patch(alice, image_id, {"op": "add", "path": "/locations/-", "value": second}).status == 200
    noted = [{"url": url, "metadata": {"c": "d"}}, second]
    assert patch(alice, image_id, {"op": "replace", "path": "/locations", "value": noted}).status == 200
    assert show(alice, image_id)["locations"][0]["metadata"] == {"c": "d", "store": "web"}
    assert patch(alice, image_id, {"op": "replace", "path": "/locations", "value": noted[:1]}).status == 400
    assert patch(alice, image_id, {"op": "remove", "path": "/locations/1"}).status == 403
    assert patch(root, image_id, {"op": "remove", "path": "/locations/1"}).status == 200
    assert patch(root, image_id, {"op": "remove", "path": "/locations/0"}).status == 403
    assert len(show(alice, image_id)["locations"]) == 1


def test_only_whoever_may_add_a_location_has_the_place_asked(cloud, alice, bob, place, url):
    image_id = register(alice)["id"]
    public = register(alice, visibility="community")["id"]
    added = {"op": "add", "path": "/locations/-", "value": {"url": url, "metadata": {}}}
    assert patch(bob, image_id, added).status == 404
    assert patch(bob, public, added).status == 403
    assert patch(cloud.as_("reader"), image_id, added).status == 403
    assert patch(alice, image_id, *[added] * 11).status == 400
    assert place.asked == []


def test_patches_that_wait_for_outside_places_leave_threads_to_others(cloud, alice, place, url):
    image_id = register(alice)["id"]
    added = {"op": "add", "path": "/locations/-", "value": {"url": url, "metadata": {}}}
    with ExitStack() as waiting:
        for number in range(ASKED_AT_ONCE):
            waiting.enter_context(asking_outside(f"project-{number}"))
        refused = patch(alice, image_id, added)
    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    assert place.asked == []
    assert patch(alice, image_id, added).status == 200


def test_the_outside_places_of_one_project_leave_room_to_others():
    with ExitStack() as waiting:
        for _ in range(ASKED_BY_A_PROJECT):
            waiting.enter_context(asking_outside("slow"))
        with pytest.raises(Unavailable), asking_outside("slow"):
            pytest.fail("one more of the same project")
        waiting.enter_context(asking_outside("other"))
    with asking_outside("slow"):
        pass


@pytest.mark.parametrize("wrong", ["gureum://file/x.0123456789abcdef", "file:///etc/passwd", "http://127.0.0.1:1/"])
def test_a_location_in_our_own_stores_or_nowhere_is_refused(cloud, alice, wrong):
    """A client that names data in a store would read other projects' images."""
    image_id = register(alice)["id"]
    location = {"url": wrong, "metadata": {}}
    assert patch(alice, image_id, {"op": "add", "path": "/locations/-", "value": location}).status == 400
    if not wrong.startswith("http"):
        assert add(alice, image_id, wrong).status == 400
    assert show(alice, image_id)["status"] == "queued"


def test_data_in_a_store_is_named_without_its_path(cloud, alice, root):
    image_id = active(alice, DATA)
    [location] = show(alice, image_id)["locations"]
    assert location["url"].startswith("gureum://file/")
    assert str(cloud.folder) not in location["url"]
    assert patch(root, image_id, {"op": "remove", "path": "/locations/0"}).status == 403
    alice.post(f"{IMAGES}/{image_id}/actions/deactivate")
    assert "locations" not in show(alice, image_id)
    assert "locations" in show(root, image_id)


def test_promises_of_a_patch_agree_with_the_image(cloud, alice, url):
    image_id = register(alice)["id"]
    promise = {"checksum": "1" * 32, "os_hash_algo": "sha512", "os_hash_value": "ab" * 64}
    location = {"url": url, "metadata": {}, "validation_data": promise}
    assert patch(alice, image_id, {"op": "add", "path": "/locations/-", "value": location}).status == 200
    assert show(alice, image_id)["checksum"] == "1" * 32
    other = {**location, "url": url + "#2", "validation_data": {**promise, "os_hash_algo": "sha256"}}
    assert patch(alice, image_id, {"op": "add", "path": "/locations/-", "value": other}).status == 409


def test_where_locations_are_not_shown_they_are_not_set(empty_database, tmp_path, url):
    folder = tmp_path / "plain"
    folder.mkdir()
    shutil.copy(empty_database, folder / "test.sqlite")
    database = Database(f"sqlite:///{folder}/test.sqlite")
    alice = cloud_on(database, folder, LOOPBACK).as_("alice")
    image_id = register(alice)["id"]
    assert "locations" not in show(alice, image_id)
    location = {"url": url, "metadata": {}}
    assert patch(alice, image_id, {"op": "add", "path": "/locations/-", "value": location}).status == 403
    database.close()
