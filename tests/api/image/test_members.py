"""Sharing images with other projects."""

from __future__ import annotations

import pytest
from tests.api.image.conftest import IMAGES, active, register


@pytest.fixture
def shared(alice):
    """An image of alice's with bob's project as a member."""
    image_id = active(alice)
    answer = alice.post(f"{IMAGES}/{image_id}/members", {"member": "p2"})
    assert answer.status == 200
    view = answer.json()
    assert set(view) == {"member_id", "image_id", "status", "created_at", "updated_at", "schema"}
    assert (view["member_id"], view["image_id"], view["status"]) == ("p2", image_id, "pending")
    assert view["schema"] == "/v2/schemas/member"
    return image_id


def test_a_member_uses_the_image_and_says_so(alice, bob, shared):
    url = f"{IMAGES}/{shared}/members/p2"
    assert bob.get(f"{IMAGES}/{shared}/file").status == 200
    assert bob.put(url, {"status": "accepted"}).json()["status"] == "accepted"
    assert alice.get(url).json()["status"] == "accepted"
    listing = bob.get(f"{IMAGES}/{shared}/members").json()
    assert listing["schema"] == "/v2/schemas/members"
    assert [member["member_id"] for member in listing["members"]] == ["p2"]


def test_only_the_member_or_an_administrator_accepts(alice, bob, root, shared):
    url = f"{IMAGES}/{shared}/members/p2"
    assert alice.put(url, {"status": "accepted"}).status == 403
    assert bob.put(url, {"status": "maybe"}).status == 400
    assert bob.put(url, {}).status == 400
    assert root.put(url, {"status": "rejected"}).status == 200


def test_only_the_owner_shares_and_stops_sharing(alice, bob, shared):
    assert bob.post(f"{IMAGES}/{shared}/members", {"member": "p3"}).status == 403
    assert bob.delete(f"{IMAGES}/{shared}/members/p2").status == 403
    assert alice.delete(f"{IMAGES}/{shared}/members/p2").status == 204
    assert alice.delete(f"{IMAGES}/{shared}/members/p2").status == 404
    assert bob.get(f"{IMAGES}/{shared}").status == 404


def test_members_do_not_see_each_other(alice, bob, shared):
    alice.post(f"{IMAGES}/{shared}/members", {"member": "p3"})
    assert len(alice.get(f"{IMAGES}/{shared}/members").json()["members"]) == 2
    assert [member["member_id"] for member in bob.get(f"{IMAGES}/{shared}/members").json()["members"]] == ["p2"]
    assert bob.get(f"{IMAGES}/{shared}/members/p3").status == 404
    assert bob.put(f"{IMAGES}/{shared}/members/p3", {"status": "accepted"}).status == 404


def test_strangers_see_no_members(cloud, alice, bob):
    image_id = active(alice)
    assert bob.get(f"{IMAGES}/{image_id}/members").status == 404
    assert bob.post(f"{IMAGES}/{image_id}/members", {"member": "p2"}).status == 404


@pytest.mark.parametrize("visibility", ["private", "community"])
def test_only_shared_images_have_members(alice, visibility):
    image_id = register(alice, visibility=visibility)["id"]
    assert alice.post(f"{IMAGES}/{image_id}/members", {"member": "p2"}).status == 403
    assert alice.get(f"{IMAGES}/{image_id}/members").status == 403


@pytest.mark.parametrize(
    ("body", "status"), [({"member": ""}, 400), ({"member": 5}, 400), ({}, 400), ({"member": "p2"}, 409)]
)
def test_bad_members_are_refused(alice, shared, body, status):
    assert alice.post(f"{IMAGES}/{shared}/members", body).status == status


def test_an_image_has_at_most_128_members(alice, shared):
    for number in range(127):
        assert alice.post(f"{IMAGES}/{shared}/members", {"member": f"x{number}"}).status == 200
    assert alice.post(f"{IMAGES}/{shared}/members", {"member": "more"}).status == 413
