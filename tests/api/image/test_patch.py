"""Changing images by JSON patch, in both media types."""

from __future__ import annotations

import pytest
from tests.api.image.conftest import IMAGES, active, patch, register


def test_fields_and_properties_are_replaced_added_and_removed(alice):
    before = register(alice, colour="red", taste="sour", tags=["a"])
    answer = patch(
        alice,
        before["id"],
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "replace", "path": "/tags", "value": ["b", "a"]},
        {"op": "replace", "path": "/colour", "value": "blue"},
        {"op": "remove", "path": "/taste"},
        {"op": "add", "path": "/a~1b~0c", "value": "odd"},
        {"op": "add", "path": "/colour", "value": "green"},
        {"op": "add", "path": "/os_hidden", "value": True},
        {"op": "replace", "path": "/min_disk", "value": 3},
        {"op": "replace", "path": "/visibility", "value": "community"},
    )
    assert answer.status == 200, answer.content
    view = answer.json()
    assert (view["name"], view["tags"], view["colour"], view["a/b~c"]) == ("new", ["a", "b"], "green", "odd")
    assert (view["os_hidden"], view["min_disk"], view["visibility"]) == (True, 3, "community")
    assert "taste" not in view
    assert alice.get(f"{IMAGES}/{before['id']}").json() == view


def test_the_older_draft_adds_only_what_is_new(alice):
    image_id = register(alice, colour="red")["id"]
    assert patch(alice, image_id, {"replace": "/name", "value": "n2"}, draft="2.0").json()["name"] == "n2"
    assert patch(alice, image_id, {"add": "/taste", "value": "sour"}, draft="2.0").json()["taste"] == "sour"
    assert patch(alice, image_id, {"remove": "/taste"}, draft="2.0").status == 200
    assert patch(alice, image_id, {"add": "/colour", "value": "x"}, draft="2.0").status == 409
    assert patch(alice, image_id, {"add": "/name", "value": "x"}, draft="2.0").status == 409
    assert patch(alice, image_id, {"add": "/a", "remove": "/b", "value": "x"}, draft="2.0").status == 400
    assert patch(alice, image_id, {"op": "add", "path": "/a", "value": "x"}, draft="2.0").status == 400


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"op": "replace", "path": "/nothing", "value": "x"}, 409),
        ({"op": "remove", "path": "/nothing"}, 409),
        ({"op": "remove", "path": "/name"}, 403),
        ({"op": "replace", "path": "/id", "value": "00000000-0000-0000-0000-000000000000"}, 403),
        ({"op": "replace", "path": "/status", "value": "active"}, 403),
        ({"op": "add", "path": "/checksum", "value": "x"}, 403),
        ({"op": "add", "path": "/os_glance_x", "value": "x"}, 403),
        ({"op": "add", "path": "/locations/-", "value": {"url": "file:///etc/passwd", "metadata": {}}}, 403),
        ({"op": "replace", "path": "/locations", "value": []}, 403),
        ({"op": "replace", "path": "/owner", "value": "p2"}, 403),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403),
        ({"op": "replace", "path": "/visibility", "value": {"a": 1}}, 400),
        ({"op": "replace", "path": "/name", "value": 3}, 400),
        ({"op": "replace", "path": "/min_ram", "value": -3}, 400),
        ({"op": "add", "path": "/colour", "value": 3}, 400),
        ({"op": "add", "path": "/colour"}, 400),
        ({"op": "move", "path": "/name", "value": "x"}, 400),
        ({"op": "add", "value": "x"}, 400),
        ({"op": "add", "path": "name", "value": "x"}, 400),
        ({"op": "add", "path": "/", "value": "x"}, 400),
        ({"op": "add", "path": "/a/b", "value": "x"}, 400),
        ({"op": "add", "path": "/a~2", "value": "x"}, 400),
        ({"op": "add", "path": 5, "value": "x"}, 400),
        ({"path": "/name", "value": "x"}, 400),
        ("text", 400),
    ],
)
def test_a_bad_operation_changes_nothing(alice, operation, status):
    before = register(alice)
    good = {"op": "replace", "path": "/name", "value": "changed"}
    answer = patch(alice, before["id"], good, operation)
    assert answer.status == status, answer.content
    assert alice.get(f"{IMAGES}/{before['id']}").json() == before


def test_formats_are_settled_once_there_is_data(alice):
    image_id = active(alice)
    assert patch(alice, image_id, {"op": "replace", "path": "/disk_format", "value": "raw"}).status == 200
    assert patch(alice, image_id, {"op": "replace", "path": "/disk_format", "value": "qcow2"}).status == 403
    assert patch(alice, image_id, {"op": "replace", "path": "/container_format", "value": None}).status == 403


def test_other_media_types_are_refused_with_those_that_work(alice):
    image_id = register(alice)["id"]
    answer = alice.patch(f"{IMAGES}/{image_id}", [], content_type="application/json")
    assert answer.status == 415
    assert "application/openstack-images-v2.1-json-patch" in answer.headers["accept-patch"]


def test_a_body_that_is_no_list_is_refused(alice):
    image_id = register(alice)["id"]
    media = "application/openstack-images-v2.1-json-patch"
    assert alice.patch(f"{IMAGES}/{image_id}", {"op": "add"}, content_type=media).status == 400
    assert alice.request("PATCH", f"{IMAGES}/{image_id}", raw=b"{", content_type=media).status == 400


def test_no_more_properties_than_the_limit(alice):
    image_id = register(alice, **{f"p{n}": "v" for n in range(128)})["id"]
    assert patch(alice, image_id, {"op": "add", "path": "/more", "value": "v"}).status == 413
    swap = ({"op": "remove", "path": "/p0"}, {"op": "add", "path": "/more", "value": "v"})
    assert patch(alice, image_id, *swap).status == 200


def test_a_property_may_be_removed_and_added_again_in_one_request(alice):
    image_id = register(alice, colour="red")["id"]
    again = ({"op": "remove", "path": "/colour"}, {"op": "add", "path": "/colour", "value": "blue"})
    answer = patch(alice, image_id, *again)
    assert (answer.status, answer.json()["colour"]) == (200, "blue")


def test_an_administrator_publishes_and_gives_away(alice, root):
    image_id = register(alice)["id"]
    answer = patch(
        root,
        image_id,
        {"op": "replace", "path": "/visibility", "value": "public"},
        {"op": "replace", "path": "/owner", "value": "p2"},
    )
    assert (answer.json()["visibility"], answer.json()["owner"]) == ("public", "p2")
