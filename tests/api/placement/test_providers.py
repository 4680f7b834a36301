"""Resource providers, inventories, traits, aggregates and resource classes through HTTP."""

from __future__ import annotations

import pytest
from tests.api.placement.setting import LATEST, at

from gureum.foundation import ids
from gureum.services.placement.resource_providers import listing

ALL = "/placement/resource_providers"
AGGREGATE = "5e08ea53-c4c6-448e-9334-ac4953de3cfa"


def one(uuid, *parts):
    return "/".join((f"{ALL}/{uuid}", *parts))


def rels(view):
    return [link["rel"] for link in view["links"]]


def test_the_version_document_needs_no_token(world):
    (version,) = world.as_("nobody").get("/placement/").json()["versions"]
    assert (version["min_version"], version["max_version"], version["id"]) == ("1.0", "1.39", "v1.0")
    assert world.as_("nobody").get(ALL).status == 401


def test_only_operators_and_services_may_ask(world):
    for path in ("resource_providers", "allocation_candidates?resources=VCPU:1", "traits", "resource_classes"):
        answer = world.as_("alice").get(f"/placement/{path}", **LATEST)
        assert answer.status == 403
        assert answer.json()["errors"][0]["title"] == "Forbidden"


def test_providers_are_made_shown_renamed_and_deleted(root):
    uuid = ids.new_uuid()
    made = root.post(ALL, {"name": "a", "uuid": uuid}, **at("1.19"))
    assert (made.status, made.content) == (201, b"")
    assert made.headers["location"].endswith(f"/resource_providers/{uuid}")
    shown = root.get(one(uuid), **at("1.13"))
    assert set(shown.json()) == {"uuid", "name", "generation", "links"}
    assert rels(shown.json()) == ["self", "inventories", "usages", "aggregates", "traits", "allocations"]
    assert rels(root.get(one(uuid)).json()) == ["self", "inventories", "usages"]
    assert "cache-control" not in root.get(one(uuid), **at("1.14")).headers
    newest = root.get(one(uuid), **LATEST)
    assert newest.headers["cache-control"] == "no-cache"
    assert newest.headers["last-modified"].endswith("GMT")
    assert newest.json()["root_provider_uuid"] == uuid
    renamed = root.put(one(uuid), {"name": "b"}, **LATEST).json()
    assert (renamed["name"], renamed["generation"]) == ("b", 0)
    same = root.post(ALL, {"name": "b"}, **LATEST)
    assert same.status == 409
    assert same.json()["errors"][0]["code"] == "placement.duplicate_name"
    assert root.post(ALL, {"name": "c", "uuid": uuid}, **LATEST).status == 409
    assert root.delete(one(uuid)).status == 204
    assert root.get(one(uuid)).status == 404
    assert root.get(one("nonsense")).status == 404


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": "x" * 201}, {"name": "a", "uuid": "b"}, {"name": "a", "x": 1}]
)
def test_bad_providers_are_refused(root, body):
    assert root.post(ALL, body, **LATEST).status == 400
    assert root.get(ALL).json() == {"resource_providers": []}


def test_trees_grow_and_keep_their_shape(world, root):
    top = world.provider("top")
    child = world.provider("child", parent=top)
    leaf = world.provider("leaf", parent=child)
    assert root.get(one(leaf), **LATEST).json()["root_provider_uuid"] == top
    assert root.post(ALL, {"name": "x", "parent_provider_uuid": top}, **at("1.13")).status == 400
    own = ids.new_uuid()
    assert root.post(ALL, {"name": "x", "uuid": own, "parent_provider_uuid": own}, **LATEST).status == 400
    assert root.post(ALL, {"name": "x", "parent_provider_uuid": ids.new_uuid()}, **LATEST).status == 400
    refused = root.delete(one(child), **LATEST)
    assert refused.status == 409
    assert refused.json()["errors"][0]["code"] == "placement.resource_provider.cannot_delete_parent"
    assert root.put(one(child), {"name": "child", "parent_provider_uuid": None}, **at("1.36")).status == 400
    assert root.put(one(top), {"name": "top", "parent_provider_uuid": leaf}, **LATEST).status == 400
    alone = root.put(one(child), {"name": "child", "parent_provider_uuid": None}, **at("1.37")).json()
    assert alone["root_provider_uuid"] == child
    assert root.get(one(leaf), **LATEST).json()["root_provider_uuid"] == child
    found = root.get(f"{ALL}?in_tree={leaf}", **LATEST).json()["resource_providers"]
    assert {p["uuid"] for p in found} == {child, leaf}


def test_lists_are_filtered(world, root):
    big = world.provider("big", {"VCPU": 8, "MEMORY_MB": 1024}, traits=["HW_CPU_X86_AVX"], aggregates=[AGGREGATE])
    small = world.provider("small", {"VCPU": {"total": 8, "max_unit": 2}}, traits=["CUSTOM_X"])

    def found(query, version="1.39"):
        answer = root.get(f"{ALL}?{query}", **at(version))
        return {p["uuid"] for p in answer.json()["resource_providers"]} if answer.status == 200 else answer.status

    assert found("") == {big, small}
    assert found("name=big") == {big}
    assert found(f"uuid={small}") == {small}
    assert found("uuid=x") == 400
    assert found("resources=VCPU:4") == {big}
    assert found("resources=VCPU:2") == {big, small}
    assert found("resources=NONSENSE:2") == 400
    assert found("resources=VCPU:0") == 400
    assert found("resources=VCPU") == 400
    assert found("required=HW_CPU_X86_AVX") == {big}
    assert found("required=!HW_CPU_X86_AVX") == {small}
    assert found("required=!HW_CPU_X86_AVX", "1.21") == 400
    assert found("required=in:HW_CPU_X86_AVX,CUSTOM_X") == {big, small}
    assert found("required=CUSTOM_NONE") == 400
    assert found(f"member_of={AGGREGATE}") == {big}
    assert found(f"member_of=!{AGGREGATE}") == {small}
    assert found(f"member_of=in:{AGGREGATE},{ids.new_uuid()}", "1.3") == {big}
    assert found(f"member_of={AGGREGATE}", "1.2") == 400
    assert found("member_of=x") == 400
    assert found("colour=red") == 400
    assert found("name=big&name=small") == {small}, "the last counts"
    assert found("required=HW_CPU_X86_AVX&required=CUSTOM_X", "1.38") == {small}
    assert found("required=HW_CPU_X86_AVX&required=CUSTOM_X", "1.39") == set()
    assert found(f"member_of={AGGREGATE}&member_of={AGGREGATE}", "1.23") == 400
    assert found("resources= VCPU:2 ,MEMORY_MB:1") == {big}


def test_inventories_follow_their_generation(world, root):
    uuid = world.provider("a", {"VCPU": 8})
    url = one(uuid, "inventories")
    shown = root.get(url, **LATEST).json()
    whole = {"total": 8, "reserved": 0, "min_unit": 1, "max_unit": 2**31 - 1, "step_size": 1, "allocation_ratio": 1.0}
    assert shown == {"resource_provider_generation": 1, "inventories": {"VCPU": whole}}
    stale = root.put(url, {"resource_provider_generation": 0, "inventories": {}}, **LATEST)
    assert stale.status == 409
    assert stale.json()["errors"][0]["code"] == "placement.concurrent_update"
    new = root.post(url, {"resource_class": "DISK_GB", "total": 5}, **LATEST)
    assert new.status == 201
    assert new.headers["location"].endswith("/inventories/DISK_GB")
    assert root.post(url, {"resource_class": "DISK_GB", "total": 5}, **LATEST).status == 409
    body = {"resource_provider_generation": 2, "total": 6, "allocation_ratio": 1.5}
    assert root.put(f"{url}/DISK_GB", body, **LATEST).json()["allocation_ratio"] == 1.5
    assert root.get(f"{url}/DISK_GB", **LATEST).json()["total"] == 6
    assert root.get(f"{url}/MEMORY_MB", **LATEST).status == 404
    assert root.delete(f"{url}/DISK_GB", **LATEST).status == 204
    assert root.delete(f"{url}/DISK_GB", **LATEST).status == 404
    assert root.delete(url, **at("1.4")).status == 405
    assert root.delete(url, **LATEST).status == 204
    assert root.get(url, **LATEST).json()["inventories"] == {}


@pytest.mark.parametrize(
    "inventory",
    [
        {}, {"total": 0}, {"total": -1}, {"total": 2**31}, {"total": "8"}, {"total": 8, "reserved": 9},
        {"total": 8, "step_size": 0}, {"total": 8, "allocation_ratio": -1}, {"total": 8, "used": 1},
    ],
)  # fmt: skip
def test_bad_inventories_are_refused(world, root, inventory):
    uuid = world.provider("a")
    body = {"resource_provider_generation": 0, "inventories": {"VCPU": inventory}}
    assert root.put(one(uuid, "inventories"), body, **LATEST).status == 400
    assert root.get(one(uuid, "inventories")).json()["inventories"] == {}


def test_all_may_be_reserved_since_1_26_and_classes_must_exist(world, root):
    uuid = world.provider("a")
    body = {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 8, "reserved": 8}}}
    assert root.put(one(uuid, "inventories"), body, **at("1.25")).status == 400
    assert root.put(one(uuid, "inventories"), body, **at("1.26")).status == 200
    body = {"resource_provider_generation": 1, "inventories": {"CUSTOM_NONE": {"total": 8}}}
    assert root.put(one(uuid, "inventories"), body, **LATEST).status == 400


def test_what_is_used_does_not_go(world, root):
    uuid = world.provider("a", {"VCPU": 8, "DISK_GB": 9})
    assert world.hold(ids.new_uuid(), {uuid: {"VCPU": 3}}).status == 204
    answer = root.delete(one(uuid, "inventories"), **LATEST)
    assert answer.status == 409
    assert answer.json()["errors"][0]["code"] == "placement.inventory.inuse"
    assert root.delete(one(uuid, "inventories/VCPU"), **LATEST).status == 409
    in_use = root.delete(one(uuid), **LATEST)
    assert in_use.json()["errors"][0]["code"] == "placement.resource_provider.inuse"
    world.put(one(uuid, "inventories"), {"inventories": {"VCPU": {"total": 16}}})
    assert world.used(uuid) == {"VCPU": 3}


def test_traits_of_operators_and_of_providers(world, root):
    traits = "/placement/traits"
    assert root.get(traits).status == 404
    assert "HW_CPU_X86_AVX" in root.get(traits, **LATEST).json()["traits"]
    assert root.put(f"{traits}/CUSTOM_A", **LATEST).status == 201
    assert root.put(f"{traits}/CUSTOM_A", **LATEST).status == 204
    assert root.put(f"{traits}/HW_NEW", **LATEST).status == 400
    assert root.put(f"{traits}/CUSTOM_a", **LATEST).status == 400
    assert root.get(f"{traits}/CUSTOM_A", **LATEST).status == 204
    assert root.get(f"{traits}/CUSTOM_B", **LATEST).status == 404
    assert root.get(f"{traits}?name=startswith:CUSTOM_", **LATEST).json() == {"traits": ["CUSTOM_A"]}
    assert root.get(f"{traits}?name=in:CUSTOM_A,HW_CPU_X86_AVX", **LATEST).json()["traits"] == [
        "CUSTOM_A",
        "HW_CPU_X86_AVX",
    ]
    assert root.get(f"{traits}?name=CUSTOM_A", **LATEST).status == 400
    assert root.get(f"{traits}?associated=true", **LATEST).json() == {"traits": []}
    uuid = world.provider("a", traits=["CUSTOM_A"])
    assert root.get(one(uuid, "traits"), **LATEST).json() == {"traits": ["CUSTOM_A"], "resource_provider_generation": 1}
    assert root.get(f"{traits}?associated=true", **LATEST).json() == {"traits": ["CUSTOM_A"]}
    assert root.delete(f"{traits}/CUSTOM_A", **LATEST).status == 409
    bad = {"traits": ["CUSTOM_NONE"], "resource_provider_generation": 1}
    assert root.put(one(uuid, "traits"), bad, **LATEST).status == 400
    assert root.put(one(uuid, "traits"), {**bad, "resource_provider_generation": 0}, **LATEST).status == 409
    assert root.delete(one(uuid, "traits"), **LATEST).status == 204
    assert root.delete(f"{traits}/CUSTOM_A", **LATEST).status == 204
    assert root.delete(f"{traits}/CUSTOM_A", **LATEST).status == 404
    assert root.delete(f"{traits}/HW_CPU_X86_AVX", **LATEST).status == 400


def test_aggregates_carry_the_generation_since_1_19(world, root):
    uuid = world.provider("a")
    url = one(uuid, "aggregates")
    assert root.get(url).status == 404
    assert root.put(url, [AGGREGATE], **at("1.1")).json() == {"aggregates": [AGGREGATE]}
    assert root.get(url, **at("1.18")).json() == {"aggregates": [AGGREGATE]}
    assert root.get(url, **at("1.19")).json() == {"aggregates": [AGGREGATE], "resource_provider_generation": 0}
    assert root.put(url, {"aggregates": [], "resource_provider_generation": 7}, **at("1.19")).status == 409
    assert root.put(url, {"aggregates": ["x"], "resource_provider_generation": 0}, **at("1.19")).status == 400
    assert root.put(url, {"aggregates": [], "resource_provider_generation": 0}, **at("1.19")).json() == {
        "aggregates": [],
        "resource_provider_generation": 1,
    }


def test_resource_classes(world, root):
    url = "/placement/resource_classes"
    assert root.get(url).status == 404
    assert root.post(url, {"name": "CUSTOM_A"}, **at("1.2")).status == 201
    assert root.post(url, {"name": "CUSTOM_A"}, **at("1.2")).status == 409
    assert root.post(url, {"name": "VCPU"}, **at("1.2")).status == 400
    assert root.put(f"{url}/CUSTOM_A", {"name": "CUSTOM_B"}, **at("1.6")).json()["name"] == "CUSTOM_B"
    assert root.put(f"{url}/CUSTOM_C", **at("1.7")).status == 201
    assert root.put(f"{url}/CUSTOM_C", **at("1.7")).status == 204
    assert root.put(f"{url}/VCPU", **at("1.7")).status == 400
    listed = [c["name"] for c in root.get(url, **LATEST).json()["resource_classes"]]
    assert {"VCPU", "CUSTOM_B", "CUSTOM_C"} <= set(listed)
    assert root.get(f"{url}/VCPU", **LATEST).json()["links"] == [{"rel": "self", "href": f"{url}/VCPU"}]
    world.provider("a", {"CUSTOM_B": 3})
    assert root.delete(f"{url}/CUSTOM_B", **LATEST).status == 409
    assert root.delete(f"{url}/CUSTOM_C", **LATEST).status == 204
    assert root.delete(f"{url}/CUSTOM_C", **LATEST).status == 404
    assert root.delete(f"{url}/VCPU", **LATEST).status == 400


def test_a_list_without_parameters_holds_every_provider_oldest_first(world, root):
    uuids = [world.provider(f"p{n}") for n in range(3)]
    plain = root.get(ALL, **LATEST).json()["resource_providers"]
    assert [one["uuid"] for one in plain] == uuids
    assert plain == [root.get(one_, **LATEST).json() for one_ in (one(uuid) for uuid in uuids)]


def test_lists_of_few_providers_and_of_more_are_the_same(world, root, monkeypatch):
    parent = world.provider("a")
    world.provider("b", parent=parent)
    for version in ("1.0", "1.6", "1.14", "1.15", "1.39"):
        few = root.get("/placement/resource_providers", **at(version))
        with monkeypatch.context() as patch:
            patch.setattr(listing, "FEW", 1)
            more = root.get("/placement/resource_providers", **at(version))
        assert few.content == more.content
        assert few.headers.get("last-modified") == more.headers.get("last-modified")
    assert [provider["name"] for provider in few.json()["resource_providers"]] == ["a", "b"]


def test_an_aggregate_is_shown_as_it_was_given_and_found_in_either_spelling(world, root):
    uuid = world.provider("a")
    plain = AGGREGATE.replace("-", "")
    assert root.put(one(uuid, "aggregates"), [plain], **at("1.1")).json() == {"aggregates": [plain]}
    assert root.put(one(uuid, "aggregates"), [plain, AGGREGATE], **at("1.1")).status == 400
    for spelling in (plain, AGGREGATE, AGGREGATE.upper()):
        found = root.get(f"{ALL}?member_of={spelling}", **LATEST).json()["resource_providers"]
        assert [provider["uuid"] for provider in found] == [uuid]


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("", 200), ("*/*", 200), ("application/json", 200), ("application/*;q=0.5, text/html", 200),
        ("text/plain", 406), ("text/html,application/xhtml+xml,application/xml;q=0.9", 406),
        ("application/json;q=0", 406),
    ],
)  # fmt: skip
def test_a_client_that_takes_no_json_gets_nothing_else(world, root, accept, status):
    uuid = world.provider("a")
    for path in (ALL, one(uuid), one(uuid, "traits"), "/placement/traits", "/placement/resource_classes"):
        assert root.get(path, **LATEST, Accept=accept).status == status, path
    assert root.delete(one(uuid), **LATEST, Accept=accept).status == 204, "it has no body"


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_a_body_of_another_type_is_refused(root, media):
    raw = b'{"name": "a"}'
    assert root.request("POST", ALL, raw=raw, content_type=media, **LATEST).status == 415
    assert root.request("POST", ALL, raw=raw, content_type="application/json; charset=utf-8", **LATEST).status == 200


@pytest.mark.parametrize(("version", "status"), [("0.9", 406), ("1.40", 406), ("2.0", 406), ("1", 400), ("x.y", 400)])
def test_versions_out_of_range_are_told_from_what_is_no_version(root, version, status):
    assert root.get(ALL, **at(version)).status == status


@pytest.mark.parametrize("query", ["project_id=", "project_id=p1&user_id=", f"project_id={'p' * 256}"])
def test_names_in_a_question_for_usages_have_1_to_255_characters(root, query):
    assert root.get(f"/placement/usages?{query}", **LATEST).status == 400
