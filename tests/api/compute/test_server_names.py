"""Lists of servers by name: parts, anchors and regular expressions, within the caller's reach."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import P2

SERVERS = "/compute/v2.1/servers"


@pytest.fixture
def named(world, alice):
    for name in ("web-1", "web-22", "db.1", "a_b", "WEB"):
        world.server(name)
    world.server("web-3", project_id=P2)

    def listed(pattern, detail=""):
        answer = alice.get(f"{SERVERS}{detail}?name={pattern}")
        assert answer.status == 200, answer.content
        return {server["name"] for server in answer.json()["servers"]}

    return listed


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("web-", {"web-1", "web-22"}),
        ("^web-1$", {"web-1"}),
        ("^.*-[0-9]%2B$", {"web-1", "web-22"}),
        ("^web-.$", {"web-1"}),
        ("(db|a).", {"db.1", "a_b"}),
        ("db\\.1", {"db.1"}),
        ("b.1", {"db.1", "web-1"}),
        ("a_b", {"a_b"}),
        ("nothing.*here", set()),
    ],
)
def test_a_name_is_a_regular_expression(named, pattern, found):
    assert named(pattern) == found
    assert named(pattern, "/detail") == found


@pytest.mark.parametrize("pattern", ["(", "a{5,2}", "*", "a" * 256])
def test_what_is_no_expression_is_refused(world, alice, pattern):
    answer = alice.get(f"{SERVERS}?name={pattern}")
    assert answer.status == 400
    assert "name" in answer.json()["badRequest"]["message"]


@pytest.mark.parametrize("path", ["/servers/", "/os-security-groups/", "/os-simple-tenant-usage/", "/flavors//"])
def test_a_thing_without_a_name_is_not_there(world, root, path):
    assert root.get(f"/compute/v2.1{path}").status == 404
    assert root.delete(f"/compute/v2.1{path}").status == 404
    assert root.get("/compute/v2.1/").status == 200
    assert root.get("/compute/").status == 200
