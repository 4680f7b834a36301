"""Lists of images: who sees what, filters, order, pages."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.api.image.conftest import IMAGES, active, patch, register

from gureum.foundation import clock


def names(client, query=""):
    answer = client.get(f"{IMAGES}{'?' + query if query else ''}")
    assert answer.status == 200, answer.content
    return [image["name"] for image in answer.json()["images"]]


@pytest.fixture
def gallery(alice, bob, root):
    """One image of each visibility from alice's project; a public one of the cloud's."""
    for visibility in ("private", "shared", "community"):
        register(alice, name=visibility, visibility=visibility)
    register(root, name="public", visibility="public")


@pytest.mark.parametrize(
    ("who", "query", "expected"),
    [
        ("alice", "", {"private", "shared", "community", "public"}),
        ("bob", "", {"public"}),
        ("root", "", {"private", "shared", "public"}),
        ("bob", "visibility=community", {"community"}),
        ("bob", "visibility=all", {"community", "public"}),
        ("root", "visibility=all", {"private", "shared", "community", "public"}),
        ("bob", "visibility=private", set()),
        ("root", "visibility=private", {"private"}),
        ("bob", "owner=p1", set()),
        ("alice", "owner=p1", {"private", "shared", "community"}),
        ("reader", "visibility=shared", {"shared"}),
    ],
)
def test_lists_show_what_is_the_callers(cloud, gallery, who, query, expected):
    found = names(cloud.as_(who), query)
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_shared_images_are_listed_once_accepted(alice, bob):
    image_id = register(alice, name="gift")["id"]
    assert alice.post(f"{IMAGES}/{image_id}/members", {"member": "p2"}).status == 200
    assert bob.get(f"{IMAGES}/{image_id}").status == 200
    assert names(bob) == []
    assert names(bob, "member_status=pending&visibility=shared") == ["gift"]
    assert names(bob, "member_status=all") == ["gift"]
    bob.put(f"{IMAGES}/{image_id}/members/p2", {"status": "accepted"})
    assert names(bob) == ["gift"]
    assert names(bob, "member_status=rejected") == []
    patch(alice, image_id, {"op": "replace", "path": "/visibility", "value": "private"})
    assert names(bob) == []
    assert bob.get(f"{IMAGES}/{image_id}").status == 404


@pytest.fixture
def shelf(alice, virtual_clock):
    """Three images, a minute apart."""
    stamps = {}
    for name, data, fields in (
        ("one", b"1", {"tags": ["x", "y"], "os_distro": "debian", "min_ram": 64}),
        ("two", b"22", {"tags": ["x"], "os_distro": "Debian", "protected": True}),
        ("three", b"333", {"disk_format": "raw", "container_format": "ovf", "os_hidden": True}),
    ):
        active(alice, data, name=name, **fields)
        stamps[name] = clock.iso(clock.utcnow())
        virtual_clock.advance(60)
    register(alice, name='a, "b"')
    return stamps


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ['a, "b"', "two", "one"]),
        ("os_hidden=true", ["three"]),
        ("status=queued", ['a, "b"']),
        ("status=in:queued,active", ['a, "b"', "two", "one"]),
        ("name=one", ["one"]),
        ("name=eq:one", ["one"]),
        ("name=in:one,two", ["two", "one"]),
        ("name=in:%22a, %22%22b%22%22%22,one", ['a, "b"', "one"]),
        ("tag=x", ["two", "one"]),
        ("tag=x&tag=y", ["one"]),
        ("os_distro=debian", ["one"]),
        ("os_distro=debian&tag=z", []),
        ("unknown=1", []),
        ("min_ram=64", ["one"]),
        ("protected=true", ["two"]),
        ("size_min=2", ["two"]),
        ("size_max=1", ["one"]),
        ("size=2", ["two"]),
        ("container_format=bare&status=active", ["two", "one"]),
        ("checksum=c4ca4238a0b923820dcc509a6f75849b", ["one"]),
        ("os_hash_algo=sha512", ["two", "one"]),
        ("os_hash_algo=md5", []),
        ("sort_key=name&sort_dir=asc", ['a, "b"', "one", "two"]),
        ("sort_key=name", ["two", "one", 'a, "b"']),
        ("sort=size:asc,name", ['a, "b"', "one", "two"]),
        ("sort_key=status&sort_key=name&sort_dir=asc&sort_dir=desc", ["two", "one", 'a, "b"']),
        ("limit=0", []),
    ],
)
def test_filters_and_order(alice, shelf, query, expected):
    assert names(alice, query) == expected


def test_times_are_compared(alice, shelf):
    moment = shelf["two"]
    assert names(alice, f"created_at=gt:{moment}") == ['a, "b"']
    assert names(alice, f"created_at=gte:{moment}") == ['a, "b"', "two"]
    assert names(alice, f"created_at=lt:{moment}") == ["one"]
    assert names(alice, f"created_at={moment}") == ["two"]
    assert names(alice, f"created_at=neq:{moment}") == ['a, "b"', "one"]


@pytest.mark.parametrize(
    "query",
    [
        "visibility=secret",
        "member_status=maybe",
        "os_hidden=perhaps",
        "protected=perhaps",
        "limit=-1",
        "limit=x",
        "marker=nowhere",
        "sort_key=colour",
        "sort_dir=up&sort_key=name",
        "sort=name:up",
        "sort=name&sort_key=name",
        "size_min=x",
        "size_max=99999999999999999999",
        "min_ram=x",
        "created_at=yesterday",
        "created_at=in:2026-01-01T00:00:00Z",
        "name=gt:a",
        "name=in:%22open",
        "changes-since=2026-01-01T00:00:00Z",
        "name=%00",
    ],
)
def test_bad_parameters_are_refused(alice, query):
    assert alice.get(f"{IMAGES}?{query}").status == 400


def test_pages_follow_their_links_to_the_end(alice):
    for number in range(5):
        register(alice, name=f"n{number}")
    url, seen = "/v2/images?limit=2&sort=name:asc", []
    while url:
        page = alice.get(f"/image{url}").json()
        assert page["schema"] == "/v2/schemas/images"
        assert dict(parse_qsl(urlsplit(page["first"]).query)) == {"limit": "2", "sort": "name:asc"}
        seen += [image["name"] for image in page["images"]]
        url = page.get("next")
    assert seen == [f"n{number}" for number in range(5)]


def test_a_marker_of_another_project_is_unknown(alice, bob):
    image_id = register(alice, visibility="private")["id"]
    assert bob.get(f"{IMAGES}?marker={image_id}").status == 400


def test_a_list_holds_what_show_answers(alice):
    image_ids = [
        register(alice, name="plain")["id"],
        register(alice, name="told", tags=["b", "a"], os_distro="debian", min_ram=64)["id"],
        active(alice, name="stored", protected=True),
    ]
    shown = [alice.get(f"{IMAGES}/{image_id}").json() for image_id in image_ids]
    for query in ("", "?sort=created_at:desc"):
        listed = {image["id"]: image for image in alice.get(IMAGES + query).json()["images"]}
        assert [listed[image_id] for image_id in image_ids] == shown


def test_a_page_costs_three_statements_however_many_images(cloud, alice):
    for number in range(20):
        register(alice, name=f"n{number}", tags=["t"], colour="red")
    before = cloud.database.counters.statements
    assert len(names(alice)) == 20
    assert cloud.database.counters.statements - before == 3
