"""No server moves here: lists of migrations are empty, their queries are judged as the reference says."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import at

V21 = "/compute/v2.1"
NONE = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("query", "version", "status"),
    [
        ("", "2.1", 200),
        ("?status=done&host=h&bogus=1&marker=x", "2.58", 200),
        ("?limit=1&hidden=true&instance_uuid=" + NONE, "2.59", 200),
        ("?bogus=1", "2.59", 400),
        ("?limit=one", "2.59", 400),
        ("?marker=" + NONE, "2.59", 400),
        ("?changes-since=soon", "2.59", 400),
        ("?changes-before=2026-01-01T00:00:00Z", "2.65", 400),
        ("?changes-before=2026-01-01T00:00:00Z", "2.66", 200),
        ("?changes-before=2026-01-01T00:00:00Z&changes-since=2026-01-02T00:00:00Z", "2.66", 400),
        ("?project_id=p&user_id=u", "2.79", 400),
        ("?project_id=p&user_id=u", "2.80", 200),
    ],
)
def test_the_list_of_migrations(world, query, version, status):
    answer = world.as_("root").get(f"{V21}/os-migrations{query}", **at(version))
    assert answer.status == status, answer.content
    if status == 200:
        assert answer.json() == {"migrations": []}


def test_migrations_of_a_server(world, alice):
    root = world.as_("root")
    assert alice.get(f"{V21}/os-migrations").status == 403
    server = world.server()
    assert root.get(f"{V21}/servers/{server}/migrations", **at("2.23")).json() == {"migrations": []}
    assert alice.get(f"{V21}/servers/{server}/migrations", **at("2.23")).status == 403
    assert root.get(f"{V21}/servers/{NONE}/migrations", **at("2.23")).status == 404
    assert root.get(f"{V21}/servers/{NONE}/migrations", **at("2.22")).status == 404
