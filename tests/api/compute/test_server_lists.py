"""Lists of servers by status and by the time of their last change."""

from __future__ import annotations

from datetime import datetime

import pytest
from tests.api.compute.setting import at

SERVERS = "/compute/v2.1/servers"
DOCUMENTED = (
    *("ACTIVE", "BUILD", "ERROR", "HARD_REBOOT", "MIGRATING", "PASSWORD", "PAUSED", "REBOOT", "REBUILD", "RESCUE"),
    *("RESIZE", "REVERT_RESIZE", "SHELVED", "SHELVED_OFFLOADED", "SHUTOFF", "SOFT_DELETED", "SUSPENDED", "UNKNOWN"),
    "VERIFY_RESIZE",
)


def names(client, query, version="2.79"):
    answer = client.get(f"{SERVERS}?{query}", **at(version))
    assert answer.status == 200, answer.content
    return sorted(server["name"] for server in answer.json()["servers"])


@pytest.mark.parametrize("status", DOCUMENTED)
def test_a_documented_status_filters_whether_or_not_a_server_has_it(world, alice, status):
    states = {
        "ACTIVE": ("active", None),
        "REBUILD": ("error", "rebuild_spawning"),
        "RESIZE": ("stopped", "resize_finish"),
        "REVERT_RESIZE": ("resized", "resize_reverting"),
        "VERIFY_RESIZE": ("resized", None),
        "SOFT_DELETED": ("soft-delete", None),
        "UNKNOWN": ("elsewhere", None),
    }
    for name, (vm_state, task_state) in states.items():
        world.server(name, vm_state=vm_state, task_state=task_state)
    wanted = [status] if status in states else []
    assert names(alice, f"status={status}") == names(alice, f"status={status.lower()}", "2.1") == wanted
    shown = {server["name"]: server["status"] for server in alice.get(f"{SERVERS}/detail").json()["servers"]}
    assert shown == {name: name for name in states}


def test_an_unknown_status_is_refused_since_2_38_unless_another_is_known(world, alice):
    world.server("one")
    assert alice.get(f"{SERVERS}?status=NOWHERE", **at("2.38")).status == 400
    assert alice.get(f"{SERVERS}?status=", **at("2.38")).status == 400
    assert names(alice, "status=NOWHERE", "2.37") == []
    assert names(alice, "status=NOWHERE&status=ACTIVE") == ["one"]
    assert names(alice, "status=NOWHERE&status=ACTIVE", "2.37") == ["one"]


def test_only_administrators_list_deleted_servers_by_status(world, alice, root):
    world.server("gone", vm_state="deleted", deleted_at=datetime(2026, 1, 1))
    world.server("here")
    assert alice.get(f"{SERVERS}?status=deleted").status == 403
    assert names(root, "status=DELETED&all_tenants=1") == ["gone"]


def test_the_time_of_a_change_is_compared_as_it_is_shown(world, alice):
    world.server("one", updated_at=datetime(2026, 1, 31, 12, 0, 0, 700_000))
    shown = "2026-01-31T12:00:00Z"
    assert alice.get(f"{SERVERS}/detail").json()["servers"][0]["updated"] == shown
    assert names(alice, f"changes-before={shown}") == ["one"]
    assert names(alice, f"changes-since={shown}") == ["one"]
    assert names(alice, f"changes-since={shown}&changes-before={shown}") == ["one"]
    assert names(alice, "changes-before=2026-01-31T11:59:59Z") == []
    assert names(alice, "changes-since=2026-01-31T12:00:01Z") == []
    assert names(alice, "changes-before=9999-12-31T23:59:59Z") == ["one"]


@pytest.mark.parametrize(
    "query",
    [
        "changes-since=2026-01-31T12:00:01Z&changes-before=2026-01-31T12:00:00Z",
        "changes-since=0001-01-01T00:00:00%2B23:59",
        "changes-before=9999-12-31T23:59:59-23:59",
        "changes-before=yesterday",
    ],
)
def test_times_that_make_no_sense_are_refused(alice, query):
    assert alice.get(f"{SERVERS}?{query}", **at("2.79")).status == 400


def test_filters_compare_in_the_spelling_that_is_stored(world, alice):
    server_id = world.server("one", access_ip_v6="2001:db8::a", image_id="ab" * 18)
    for query in (f"uuid={server_id.upper()}", "access_ip_v6=2001:DB8:0::A", f"image={'AB' * 18}", "vm_state=ACTIVE"):
        assert names(alice, query) == ["one"], query


@pytest.mark.parametrize("key", ["host", "node"])
def test_an_order_that_tells_where_servers_are_is_for_administrators(world, alice, root, key):
    for name, host in (("first", "h1"), ("second", "h2"), ("third", "h1")):
        world.server(name, host=host)
    refused = alice.get(f"{SERVERS}?sort_key={key}&sort_dir=asc")
    assert refused.status == 403, refused.content
    assert alice.get(f"{SERVERS}?sort={key}:asc").status == 400
    assert alice.get(f"{SERVERS}?sort_key=display_name&sort_key={key}").status == 403
    shown = root.get(f"{SERVERS}?all_tenants=1&sort_key={key}&sort_dir=asc").json()["servers"]
    assert shown[-1]["name"] == "second"


@pytest.mark.parametrize("name", ["host", "node"])
def test_a_filter_that_tells_where_servers_are_filters_for_administrators_alone(world, alice, root, name):
    """The reference ignores it for others: it must not even tell whether it matched."""
    world.server("here", host="h1")
    assert names(alice, f"{name}=h1") == names(alice, f"{name}=nowhere") == ["here"]
    assert names(root, f"all_tenants=1&{name}=nowhere") == []


def test_tags_are_compared_with_case(world, alice):
    """On every database: SQLite's own comparison of patterns knows no case."""
    world.server("lower", tags=["web"])
    world.server("upper", tags=["WEB"])
    assert names(alice, "tags=web") == ["lower"]
    assert names(alice, "tags-any=WEB,other") == ["upper"]
    assert names(alice, "not-tags-any=web") == ["upper"]
