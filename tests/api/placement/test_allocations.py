"""What consumers hold: replaced, moved, counted; and the invariant that inventories know it."""

from __future__ import annotations

import pytest
from tests.api.placement.setting import LATEST, at

from gureum.foundation import ids

URL = "/placement/allocations"


@pytest.fixture
def two(world):
    return world.provider("a", {"VCPU": 4, "MEMORY_MB": 1000}), world.provider("b", {"VCPU": 4})


@pytest.fixture
def consumer():
    return ids.new_uuid()


def test_a_consumer_holds_and_gives_back(world, root, two, consumer):
    a, _ = two
    assert root.get(f"{URL}/{consumer}").json() == {"allocations": {}}
    assert world.hold(consumer, {a: {"VCPU": 2, "MEMORY_MB": 100}}).status == 204
    assert root.get(f"{URL}/{consumer}", **LATEST).json() == {
        "allocations": {a: {"generation": 2, "resources": {"VCPU": 2, "MEMORY_MB": 100}}},
        "project_id": "p1",
        "user_id": "alice",
        "consumer_generation": 1,
        "consumer_type": "unknown",
    }
    assert set(root.get(f"{URL}/{consumer}", **at("1.12")).json()) == {"allocations", "project_id", "user_id"}
    assert set(root.get(f"{URL}/{consumer}", **at("1.11")).json()) == {"allocations"}
    assert world.used(a) == {"VCPU": 2, "MEMORY_MB": 100}
    listed = root.get(f"/placement/resource_providers/{a}/allocations", **LATEST).json()["allocations"]
    assert listed == {consumer: {"resources": {"VCPU": 2, "MEMORY_MB": 100}, "consumer_generation": 1}}
    assert root.delete(f"{URL}/{consumer}").status == 204
    assert world.used(a) == {"VCPU": 0, "MEMORY_MB": 0}
    assert root.delete(f"{URL}/{consumer}").status == 404


def test_what_does_not_fit_changes_nothing(world, root, two, consumer):
    a, b = two
    assert world.hold(consumer, {a: {"VCPU": 2}}).status == 204
    assert world.hold(ids.new_uuid(), {b: {"VCPU": 1}, a: {"VCPU": 3}}).status == 409
    assert world.used(b) == {"VCPU": 0}
    assert world.hold(ids.new_uuid(), {b: {"DISK_GB": 1}}).status == 409
    assert world.hold(ids.new_uuid(), {ids.new_uuid(): {"VCPU": 1}}).status == 400
    assert world.hold(ids.new_uuid(), {a: {"CUSTOM_NONE": 1}}).status == 400
    assert world.used(a) == {"VCPU": 2, "MEMORY_MB": 0}
    assert world.hold(consumer, {a: {"VCPU": 4}}, consumer_generation=1).status == 204
    assert world.used(a)["VCPU"] == 4


def test_units_of_an_inventory_hold(world):
    uuid = world.provider("c", {"DISK_GB": {"total": 100, "min_unit": 10, "max_unit": 40, "step_size": 5}})
    for amount, status in ((5, 409), (12, 409), (45, 409), (40, 204)):
        assert world.hold(ids.new_uuid(), {uuid: {"DISK_GB": amount}}).status == status, amount


def test_generations_of_consumers_since_1_28(world, root, two, consumer):
    a, b = two
    first = world.hold(consumer, {a: {"VCPU": 1}}, consumer_generation=5)
    assert first.status == 409
    assert first.json()["errors"][0]["code"] == "placement.concurrent_update"
    assert world.hold(consumer, {a: {"VCPU": 1}}).status == 204
    assert world.hold(consumer, {b: {"VCPU": 1}}).status == 409
    assert world.hold(consumer, {b: {"VCPU": 1}}, consumer_generation=1).status == 204
    assert (world.used(a)["VCPU"], world.used(b)["VCPU"]) == (0, 1)
    assert world.hold(consumer, {}, consumer_generation=2).status == 204
    assert root.get(f"{URL}/{consumer}", **LATEST).json() == {"allocations": {}}


def test_old_forms_of_the_body(world, root, two, consumer):
    a, _ = two
    listed = {"allocations": [{"resource_provider": {"uuid": a}, "resources": {"VCPU": 1}}]}
    assert root.put(f"{URL}/{consumer}", listed).status == 204
    assert root.get(f"{URL}/{consumer}", **LATEST).json()["project_id"] == "00000000-0000-0000-0000-000000000000"
    assert root.put(f"{URL}/{consumer}", listed, **at("1.8")).status == 400
    owned = {**listed, "project_id": "p", "user_id": "u"}
    assert root.put(f"{URL}/{consumer}", owned, **at("1.8")).status == 204
    assert root.put(f"{URL}/{consumer}", owned, **at("1.12")).status == 400
    mapped = {"allocations": {a: {"resources": {"VCPU": 2}}}, "project_id": "p", "user_id": "u"}
    assert root.put(f"{URL}/{consumer}", mapped, **at("1.12")).status == 204
    assert root.put(f"{URL}/{consumer}", mapped, **at("1.28")).status == 400
    assert root.put(f"{URL}/{consumer}", {**mapped, "allocations": {}}, **at("1.27")).status == 400
    typed = {**mapped, "consumer_generation": 3}
    assert root.put(f"{URL}/{consumer}", typed, **at("1.38")).status == 400
    assert root.put(f"{URL}/{consumer}", {**typed, "consumer_type": "INSTANCE"}, **at("1.38")).status == 204
    assert root.get(f"{URL}/{consumer}", **LATEST).json()["consumer_type"] == "INSTANCE"


@pytest.mark.parametrize("amount", [0, -1, "1", 1.5, None, 2**31])
def test_bad_amounts_are_refused(world, two, consumer, amount):
    assert world.hold(consumer, {two[0]: {"VCPU": amount}}).status == 400


def test_several_consumers_change_at_once(world, root, two, consumer):
    a, b = two
    other = ids.new_uuid()
    world.hold(consumer, {a: {"VCPU": 4}})
    owner = {"project_id": "p1", "user_id": "alice"}

    def swap(amount):
        return {
            consumer: {"allocations": {b: {"resources": {"VCPU": 4}}}, "consumer_generation": 1, **owner},
            other: {"allocations": {a: {"resources": {"VCPU": amount}}}, "consumer_generation": None, **owner},
        }

    assert root.post(URL, swap(5), **at("1.28")).status == 409
    assert world.used(a)["VCPU"] == 4
    assert root.post(URL, swap(4), **at("1.28")).status == 204
    assert (world.used(a)["VCPU"], world.used(b)["VCPU"]) == (4, 4)
    gone = {consumer: {"allocations": {}, "consumer_generation": 2, **owner}}
    assert root.post(URL, gone, **at("1.28")).status == 204
    assert world.used(b)["VCPU"] == 0
    assert root.post(URL, {}, **LATEST).status == 400
    assert root.post(URL, {}, **at("1.12")).status == 404


def test_the_facade_and_the_api_see_the_same(world, root, two, consumer):
    a, _ = two
    assert world.database.write(lambda tx: world.facade.claim(tx, consumer, "p1", "alice", {a: {"VCPU": 3}}))
    assert root.get(f"{URL}/{consumer}", **LATEST).json()["consumer_type"] == "INSTANCE"
    assert world.used(a)["VCPU"] == 3
    assert not world.database.write(lambda tx: world.facade.claim(tx, ids.new_uuid(), "p1", "u", {a: {"VCPU": 2}}))
    world.database.write(lambda tx: world.facade.release(tx, consumer))
    assert world.used(a)["VCPU"] == 0


def test_usages_of_projects(world, two, root):
    a, b = two
    world.hold(ids.new_uuid(), {a: {"VCPU": 1}}, "1.38", consumer_type="INSTANCE")
    world.hold(ids.new_uuid(), {b: {"VCPU": 2}}, "1.38", consumer_type="INSTANCE")
    world.hold(ids.new_uuid(), {b: {"VCPU": 1}}, user_id="bob")
    alice = world.as_("alice")
    assert alice.get("/placement/usages?project_id=p1", **at("1.9")).json() == {"usages": {"VCPU": 4}}
    assert alice.get("/placement/usages?project_id=p1&user_id=bob", **at("1.9")).json() == {"usages": {"VCPU": 1}}
    assert alice.get("/placement/usages?project_id=p1", **LATEST).json() == {
        "usages": {"INSTANCE": {"VCPU": 3, "consumer_count": 2}, "unknown": {"VCPU": 1, "consumer_count": 1}}
    }
    every = alice.get("/placement/usages?project_id=p1&consumer_type=all", **LATEST).json()
    assert every == {"usages": {"all": {"VCPU": 4, "consumer_count": 3}}}
    assert alice.get("/placement/usages?project_id=p2", **LATEST).status == 403
    assert root.get("/placement/usages", **LATEST).status == 400


def test_inventory_and_what_is_held_of_it_move_together(world, root, consumer):
    top = world.provider("top", {"VCPU": 4, "DISK_GB": 10})
    child = world.provider("child", parent=top)
    world.hold(consumer, {top: {"VCPU": 2, "DISK_GB": 5}})
    generations = {
        u: root.get(f"/placement/resource_providers/{u}", **LATEST).json()["generation"] for u in (top, child)
    }

    def shape(vcpus):
        return {
            "inventories": {
                top: {"inventories": {"DISK_GB": {"total": 10}}, "resource_provider_generation": generations[top]},
                child: {"inventories": {"VCPU": {"total": vcpus}}, "resource_provider_generation": generations[child]},
            },
            "allocations": {
                consumer: {
                    "allocations": {top: {"resources": {"DISK_GB": 5}}, child: {"resources": {"VCPU": 2}}},
                    "project_id": "p1",
                    "user_id": "alice",
                    "consumer_generation": 1,
                }
            },
        }

    def reshape(body, name="nova"):
        return world.as_(name).post("/placement/reshaper", body, **at("1.30"))

    assert reshape(shape(4), "root").status == 403, "moving what is held is for services"
    assert reshape(shape(1)).status == 409
    assert world.used(top) == {"VCPU": 2, "DISK_GB": 5}
    later = {"inventories": {ids.new_uuid(): shape(4)["inventories"][top]}, "allocations": {}}
    coded = world.as_("nova").post("/placement/reshaper", later, **LATEST)
    assert coded.status == 400
    assert coded.json()["errors"][0]["code"] == "placement.resource_provider.not_found"
    assert reshape(shape(4)).status == 204
    assert (world.used(top), world.used(child)) == ({"DISK_GB": 5}, {"VCPU": 2})
    assert reshape(shape(4)).status == 409


def test_giving_back_leaves_a_providers_generation(world, root, two, consumer):
    generation = lambda: root.get(f"/placement/resource_providers/{two[0]}", **LATEST).json()["generation"]  # noqa: E731
    before = generation()
    world.hold(consumer, {two[0]: {"VCPU": 1}})
    assert generation() == before + 1
    assert root.delete(f"{URL}/{consumer}", **LATEST).status == 204
    assert generation() == before + 1
