"""Images through HTTP: their documents, who may do what, deletion."""

from __future__ import annotations

import uuid

import pytest
from tests.api.image.conftest import CALLERS, IMAGES, active, patch, register

from gureum.foundation.caller import Caller
from gureum.services.image.images.model import Image

KEYS = {
    "id", "name", "status", "visibility", "os_hidden", "protected", "owner", "disk_format", "container_format",
    "min_disk", "min_ram", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "tags", "created_at",
    "updated_at", "self", "file", "schema",
}  # fmt: skip


def test_a_registered_image_has_every_key_and_its_own_properties(alice):
    answer = alice.post(IMAGES, {"name": "n", "tags": ["b", "a", "b"], "os_distro": "debian", "min_ram": 64})
    view = answer.json()
    assert answer.status == 201
    assert set(view) == {*KEYS, "os_distro"}
    assert answer.headers["location"] == f"http://cloud/image/v2/images/{view['id']}"
    assert answer.headers["openstack-image-store-ids"] == "file,second"
    assert (view["status"], view["visibility"], view["owner"]) == ("queued", "shared", "p1")
    assert (view["tags"], view["min_ram"], view["min_disk"]) == (["a", "b"], 64, 0)
    assert (view["size"], view["checksum"], view["os_hash_algo"], view["disk_format"]) == (None, None, None, None)
    assert (view["self"], view["file"]) == (f"/v2/images/{view['id']}", f"/v2/images/{view['id']}/file")
    assert len(view["created_at"]) == len("2026-01-31T12:00:00Z")
    assert alice.get(f"{IMAGES}/{view['id']}").json() == view


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "n" * 256}, 400),
        ({"name": 5}, 400),
        ({"id": "not-a-uuid"}, 400),
        ({"id": "7" * 36}, 400),
        ({"disk_format": "floppy"}, 400),
        ({"container_format": "box"}, 400),
        ({"visibility": "secret"}, 400),
        ({"min_disk": -1}, 400),
        ({"min_ram": 2**31}, 400),
        ({"min_ram": 10**30}, 400),
        ({"min_ram": True}, 400),
        ({"protected": "yes"}, 400),
        ({"tags": "a"}, 400),
        ({"tags": [""]}, 400),
        ({"tags": ["t" * 256]}, 400),
        ({"tags": [str(n) for n in range(129)]}, 413),
        ({f"p{n}": "v" for n in range(129)}, 413),
        ({"colour": 5}, 400),
        ({"colour": None}, 400),
        ({"": "v"}, 400),
        ({"k" * 256: "v"}, 400),
        ({"k": "v" * 65536}, 400),
        ({"k": "a\u0000b"}, 400),
        ({"status": "active"}, 403),
        ({"checksum": "0" * 32}, 403),
        ({"self": "x"}, 403),
        ({"stores": "x"}, 403),
        ({"locations": []}, 403),
        ({"deleted": "x"}, 403),
        ({"os_glance_import_task": "x"}, 403),
        ({"visibility": "public"}, 403),
        ({"owner": "p2"}, 403),
        ([], 400),
        ("text", 400),
    ],
)
def test_bad_bodies_are_refused_and_nothing_is_written(alice, root, body, status):
    answer = alice.post(IMAGES, body)
    assert answer.status == status, answer.content
    assert set(answer.json()) == {"message", "code", "title"}
    assert root.get(f"{IMAGES}?visibility=all").json()["images"] == []


def test_an_id_of_ones_own_is_taken_once_and_never_again(alice, root):
    """An image id used again after deletion: whoever trusts an image by its id would get somebody else's."""
    image_id = str(uuid.uuid4())
    assert alice.post(IMAGES, {"id": image_id.upper()}).json()["id"] == image_id
    assert root.post(IMAGES, {"id": image_id}).status == 409
    assert alice.delete(f"{IMAGES}/{image_id}").status == 204
    assert alice.get(f"{IMAGES}/{image_id}").status == 404
    assert alice.post(IMAGES, {"id": image_id}).status == 409


def test_an_administrator_registers_public_images_and_for_others(root):
    made = root.post(IMAGES, {"visibility": "public", "owner": "p1"})
    assert (made.status, made.json()["owner"]) == (201, "p1")
    assert root.post(IMAGES, {"owner": None}).json()["owner"] is None


def test_strangers_neither_see_nor_change_nor_delete(alice, bob):
    image_id = register(alice, visibility="private")["id"]
    assert bob.get(f"{IMAGES}/{image_id}").status == 404
    assert patch(bob, image_id, {"op": "replace", "path": "/name", "value": "x"}).status == 404
    assert bob.delete(f"{IMAGES}/{image_id}").status == 404
    assert bob.post(f"{IMAGES}/{image_id}/actions/deactivate").status == 404
    assert bob.get(f"{IMAGES}/nonsense").status == 404
    assert bob.get(f"{IMAGES}/{uuid.uuid4()}").status == 404


def test_everyone_sees_public_and_community_but_only_the_owner_changes(cloud, alice, bob, root):
    for visibility, owner in (("public", root), ("community", alice)):
        image_id = register(owner, visibility=visibility)["id"]
        assert bob.get(f"{IMAGES}/{image_id}").status == 200
        assert cloud.as_("reader").get(f"{IMAGES}/{image_id}").status == 200
        assert patch(bob, image_id, {"op": "replace", "path": "/name", "value": "x"}).status == 403
        assert bob.delete(f"{IMAGES}/{image_id}").status == 403
        assert bob.put(f"{IMAGES}/{image_id}/tags/t").status == 403


def test_a_reader_reads_only(cloud, alice):
    reader = cloud.as_("reader")
    image_id = active(alice)
    assert reader.get(f"{IMAGES}/{image_id}").status == 200
    assert reader.get(f"{IMAGES}/{image_id}/file").status == 403
    assert reader.post(IMAGES, {"name": "x"}).status == 403
    assert reader.delete(f"{IMAGES}/{image_id}").status == 403


def test_a_caller_without_a_project_and_role_sees_nothing(cloud, root):
    register(root, visibility="public")
    assert cloud.as_("loose").get(IMAGES).status == 403
    assert cloud.as_("nobody").get(IMAGES).status == 401


def test_a_protected_image_stays(alice):
    image_id = register(alice, protected=True)["id"]
    assert alice.delete(f"{IMAGES}/{image_id}").status == 403
    patch(alice, image_id, {"op": "replace", "path": "/protected", "value": False})
    assert alice.delete(f"{IMAGES}/{image_id}").status == 204
    assert alice.delete(f"{IMAGES}/{image_id}").status == 404


def test_deleting_removes_the_data_by_a_task_and_leaves_only_the_id(cloud, alice):
    image_id = active(alice, os_distro="debian", tags=["t"])
    [location] = cloud.store.locations()
    assert alice.delete(f"{IMAGES}/{image_id}").status == 204
    cloud.engine.run_due()
    assert list(cloud.store.locations()) == []
    with cloud.database.read() as tx:
        row = tx.get(Image, image_id)
    assert (row.status, row.stores, dict(row.properties), list(row.tags)) == ("deleted", "", {}, [])
    assert location.startswith(image_id)


def test_deactivated_data_is_for_administrators_only(alice, root):
    image_id = active(alice)
    url = f"{IMAGES}/{image_id}"
    assert alice.post(f"{url}/actions/reactivate").status == 204
    assert alice.post(f"{url}/actions/deactivate").status == 204
    assert alice.get(url).json()["status"] == "deactivated"
    assert alice.get(f"{url}/file").status == 403
    assert root.get(f"{url}/file").status == 200
    assert alice.post(f"{url}/actions/deactivate").status == 204
    assert alice.post(f"{url}/actions/reactivate").status == 204
    assert alice.get(f"{url}/file").status == 200
    queued = register(alice)["id"]
    assert alice.post(f"{IMAGES}/{queued}/actions/deactivate").status == 403


def test_tags_come_and_go_one_at_a_time(alice):
    image_id = register(alice)["id"]
    url = f"{IMAGES}/{image_id}"
    assert alice.put(f"{url}/tags/red").status == 204
    assert alice.put(f"{url}/tags/red").status == 204
    assert alice.get(url).json()["tags"] == ["red"]
    assert alice.put(f"{url}/tags/{'x' * 256}").status == 400
    assert alice.delete(f"{url}/tags/red").status == 204
    assert alice.delete(f"{url}/tags/red").status == 404
    many = register(alice, tags=[f"t{n}" for n in range(128)])["id"]
    assert alice.put(f"{IMAGES}/{many}/tags/more").status == 413


def test_an_image_without_a_name_is_not_there(alice):
    assert alice.get(f"{IMAGES}/").status == 404
    assert alice.delete(f"{IMAGES}/").status == 404
    assert alice.delete(IMAGES).status == 405


SYSTEM = Caller(user_id="sys", system=True, roles=("admin", "member", "reader"))
OF_ONE_IMAGE = (
    ("GET", "", None),
    ("DELETE", "", None),
    ("PATCH", "", [{"op": "replace", "path": "/name", "value": "n"}]),
    ("GET", "/file", None),
    ("POST", "/actions/deactivate", None),
    ("POST", "/actions/reactivate", None),
    ("GET", "/members", None),
    ("POST", "/members", {"member": "p2"}),
    ("GET", "/members/p2", None),
    ("PUT", "/members/p2", {"status": "accepted"}),
    ("DELETE", "/members/p2", None),
    ("PUT", "/tags/t", None),
    ("DELETE", "/tags/t", None),
    ("POST", "/import", {"method": {"name": "glance-direct"}}),
    ("GET", "/tasks", None),
    ("GET", "/locations", None),
)


@pytest.mark.parametrize("visibility", ["private", "shared", "community", "public"])
@pytest.mark.parametrize(("method", "path", "body"), OF_ONE_IMAGE)
def test_image_is_not_there_for_tokens_of_the_system(cloud, root, monkeypatch, method, path, body, visibility):
    """Images belong to projects: the rules are for their tokens, and what cannot be shown is not found."""
    monkeypatch.setitem(CALLERS, "system", SYSTEM)
    image_id = active(root, visibility=visibility)
    headers = {"content_type": "application/openstack-images-v2.1-json-patch"} if method == "PATCH" else {}
    answer = cloud.as_("system").request(method, f"{IMAGES}/{image_id}{path}", body, **headers)
    assert answer.status == 404, answer.content
    assert root.get(f"{IMAGES}/{image_id}").status == 200
