"""A server's metadata, tags, addresses, interfaces and log of actions, through HTTP."""

from __future__ import annotations

import base64

import pytest
from tests.api.compute.setting import at

from gureum.services.compute.servers.spec import meta_data

V21 = "/compute/v2.1"
NEW = at("2.96")


@pytest.fixture
def one(world):
    return world.server()


def url(server_id, *parts):
    return "/".join((f"{V21}/servers/{server_id}", *parts))


def test_metadata_is_added_replaced_and_removed(world, alice, one):
    at_all = url(one, "metadata")
    assert alice.get(at_all).json() == {"metadata": {}}
    assert alice.post(at_all, {"metadata": {"a": "1", "b": "2"}}).json() == {"metadata": {"a": "1", "b": "2"}}
    assert alice.post(at_all, {"metadata": {"b": "3"}}).json() == {"metadata": {"a": "1", "b": "3"}}
    assert alice.put(f"{at_all}/a", {"meta": {"a": "9"}}).json() == {"meta": {"a": "9"}}
    assert alice.get(f"{at_all}/a").json() == {"meta": {"a": "9"}}
    assert alice.put(at_all, {"metadata": {"c": "4"}}).json() == {"metadata": {"c": "4"}}
    assert alice.delete(f"{at_all}/c").status == 204
    assert alice.get(f"{at_all}/c").status == 404
    assert alice.delete(f"{at_all}/c").status == 404
    assert world.row(one).meta == {}


def test_the_host_is_told_of_new_metadata_only(world, alice, one):
    before = world.row(one).spec
    alice.put(url(one, "metadata"), {"metadata": {"a": "1"}})
    assert world.row(one).spec == before + 1
    alice.put(url(one, "metadata"), {"metadata": {"a": "1"}})
    assert world.row(one).spec == before + 1


@pytest.mark.parametrize(
    "body",
    [
        {}, {"metadata": None}, {"metadata": {"": "x"}}, {"metadata": {"a/b": "x"}}, {"metadata": {"a": 1}},
        {"metadata": {"k" * 256: "v"}}, {"metadata": {"k": "v" * 256}}, {"metadata": {}, "more": 1},
    ],
)  # fmt: skip
def test_bad_metadata_is_refused(world, alice, one, body):
    assert alice.post(url(one, "metadata"), body).status == 400
    assert world.row(one).meta == {}


def test_an_item_of_another_name_than_its_url_is_refused(alice, one):
    assert alice.put(url(one, "metadata/a"), {"meta": {"b": "1"}}).status == 400
    assert alice.put(url(one, "metadata/a"), {"meta": {"a": "1", "b": "1"}}).status == 400


def test_metadata_beyond_the_quota_is_refused(alice, root, one, world):
    root.put(f"{V21}/os-quota-sets/{world.row(one).project_id}", {"quota_set": {"metadata_items": 1}})
    assert alice.post(url(one, "metadata"), {"metadata": {"a": "1", "b": "2"}}).status == 403
    assert alice.post(url(one, "metadata"), {"metadata": {"a": "1"}}).status == 200


def test_a_server_that_is_locked_or_busy_keeps_its_metadata(world, alice, root):
    locked, busy = world.server(locked=True), world.server(task_state="rebooting")
    body = {"metadata": {"a": "1"}}
    assert alice.post(url(locked, "metadata"), body).status == 409
    assert root.post(url(locked, "metadata"), body).status == 200
    assert alice.post(url(busy, "metadata"), body).status == 409


def test_tags_since_2_26(alice, one):
    assert alice.get(url(one, "tags")).status == 404
    assert alice.put(url(one, "tags"), {"tags": ["b", "a", "b"]}, **NEW).json() == {"tags": ["a", "b"]}
    assert alice.put(url(one, "tags/c"), **NEW).status == 201
    assert alice.put(url(one, "tags/c"), **NEW).status == 204
    assert alice.get(url(one, "tags/c"), **NEW).status == 204
    assert alice.get(url(one, "tags/d"), **NEW).status == 404
    assert alice.delete(url(one, "tags/c"), **NEW).status == 204
    assert alice.delete(url(one, "tags/c"), **NEW).status == 404
    assert alice.get(url(one, "tags"), **NEW).json() == {"tags": ["a", "b"]}
    assert alice.delete(url(one, "tags"), **NEW).status == 204
    assert alice.get(url(one, "tags"), **NEW).json() == {"tags": []}


def test_bad_tags_are_refused(alice, one):
    for tags in (["a,b"], ["a/b"], ["x" * 61], [""], [5], [str(n) for n in range(51)]):
        assert alice.put(url(one, "tags"), {"tags": tags}, **NEW).status == 400, tags
    assert alice.put(url(one, "tags", "x" * 61), **NEW).status == 400
    alice.put(url(one, "tags"), {"tags": [str(n) for n in range(50)]}, **NEW)
    assert alice.put(url(one, "tags/more"), **NEW).status == 400


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "metadata", None),
        ("POST", "metadata", {"metadata": {}}),
        ("GET", "tags", None),
        ("PUT", "tags/x", None),
        ("GET", "ips", None),
        ("GET", "os-interface", None),
        ("GET", "os-security-groups", None),
        ("GET", "os-instance-actions", None),
    ],
)
def test_servers_of_other_projects_are_not_found(world, one, method, path, body):
    assert world.as_("bob").request(method, url(one, path), body, **NEW).status == 404


def test_readers_may_not_write(world, one):
    rita = world.as_("rita")
    assert rita.get(url(one, "metadata")).status == 200
    assert rita.post(url(one, "metadata"), {"metadata": {}}).status == 403
    assert rita.put(url(one, "tags/x"), **NEW).status == 403
    assert rita.post(url(one, "os-interface"), {"interfaceAttachment": {}}).status == 403


def test_the_log_of_actions_is_paged_newest_first(world, alice, root, one):
    for number in range(3):
        world.action(one, f"req-{number}", message="no" if number == 1 else None, details="why")
    log = url(one, "os-instance-actions")
    found = alice.get(log).json()["instanceActions"]
    assert [(a["request_id"], a["message"]) for a in found] == [("req-2", None), ("req-1", "Error"), ("req-0", None)]
    assert "updated_at" not in found[0]
    page = alice.get(f"{log}?limit=2", **at("2.58")).json()
    assert [a["request_id"] for a in page["instanceActions"]] == ["req-2", "req-1"]
    rest = alice.get(page["links"][0]["href"].removeprefix("http://cloud"), **at("2.58")).json()
    assert [a["request_id"] for a in rest["instanceActions"]] == ["req-0"]
    assert "links" not in rest
    assert alice.get(f"{log}?marker=none", **at("2.58")).status == 400
    assert alice.get(f"{log}?colour=red", **at("2.58")).status == 400
    assert alice.get(f"{log}?changes-before=2020-01-01T00:00:00Z", **at("2.58")).status == 400
    assert alice.get(f"{log}?changes-before=2020-01-01T00:00:00Z", **NEW).json() == {"instanceActions": []}


def test_an_actions_cause_is_for_operators(world, alice, root, one):
    world.action(one, "req-1", message="It failed.", details="disk of host h7 is full", action="reboot")
    log = url(one, "os-instance-actions/req-1")
    assert "events" not in alice.get(log).json()["instanceAction"]
    (event,) = alice.get(log, **NEW).json()["instanceAction"]["events"]
    assert set(event) == {"event", "start_time", "finish_time", "result", "hostId", "details"}
    assert event["details"] == "It failed."
    (event,) = root.get(log, **NEW).json()["instanceAction"]["events"]
    assert event["traceback"] == event["details"] == "disk of host h7 is full"
    assert alice.get(url(one, "os-instance-actions/req-9")).status == 404


def test_the_random_seed_of_a_guest_is_secret_stable_and_its_own(world, alice):
    """512 bytes in base64, as the metadata format says; a server with the same ids elsewhere has another one."""
    one, other = world.row(world.server()), world.row(world.server())
    seed = meta_data(one)["random_seed"]
    assert len(base64.b64decode(seed, validate=True)) == 512
    assert meta_data(world.row(one.id))["random_seed"] == seed
    assert meta_data(other)["random_seed"] != seed
    other.id, other.reservation_id, other.project_id = one.id, one.reservation_id, one.project_id
    assert meta_data(other)["random_seed"] != seed
    for path in ("servers/detail", f"servers/{one.id}"):
        assert one.seed.encode() not in alice.get(f"/compute/v2.1/{path}", **NEW).content


def test_a_server_has_no_numa_nodes(world, alice, one):
    assert alice.get(url(one, "topology"), **at("2.78")).json() == {"nodes": [], "pagesize_kb": None}
    assert alice.get(url(one, "topology"), **at("2.77")).status == 404
    assert world.as_("bob").get(url(one, "topology"), **NEW).status == 404
