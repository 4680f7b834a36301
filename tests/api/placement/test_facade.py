"""What compute's scheduler sees of placement: who fits, and which constraint removed the others."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from gureum.services.placement.facade import Inventory, ProviderReport, Wanted
from gureum.services.placement.model import Consumer, ProviderInventory


def look(world, **wanted):
    with world.database.read() as tx:
        return world.facade.candidates(tx, Wanted(**wanted))


def test_each_host_is_named_by_what_removed_it(world):
    world.provider("good", {"VCPU": {"total": 2, "allocation_ratio": 1.6}, "MEMORY_MB": 100}, traits=["CUSTOM_A"])
    world.provider("small", {"VCPU": 1, "MEMORY_MB": 10}, traits=["CUSTOM_A"])
    world.provider("bare", {"VCPU": 4})
    world.provider("odd", {"VCPU": 4, "MEMORY_MB": {"total": 100, "step_size": 7}})
    world.provider("plain", {"VCPU": 4, "MEMORY_MB": 100})
    world.provider("marked", {"VCPU": 4, "MEMORY_MB": 100}, traits=["CUSTOM_A", "CUSTOM_B"])
    world.provider("disks", {"DISK_GB": 100})
    found = look(
        world,
        resources={"VCPU": 3, "MEMORY_MB": 50},
        required=frozenset({"CUSTOM_A"}),
        forbidden=frozenset({"CUSTOM_B"}),
    )
    (host,) = found.hosts
    assert (host.name, host.room) == ("good", {"VCPU": pytest.approx(3.2), "MEMORY_MB": 100})
    assert found.eliminated == {
        "not enough VCPU: 3 wanted": ["small"],
        "offers no MEMORY_MB": ["bare"],
        "gives MEMORY_MB in other units: 50 wanted": ["odd"],
        "lacks trait CUSTOM_A": ["plain"],
        "has forbidden trait CUSTOM_B": ["marked"],
    }


def test_whoever_fits_can_be_claimed_from(world):
    uuid = world.provider("a", {"VCPU": {"total": 100, "min_unit": 10, "max_unit": 40, "step_size": 5, "reserved": 50}})

    def fits(amount):
        return bool(look(world, resources={"VCPU": amount}).hosts)

    def claims(amount):
        consumer = f"c{amount}"

        def attempt(tx):
            taken = world.facade.claim(tx, consumer, "p", "u", {uuid: {"VCPU": amount}})
            world.facade.release(tx, consumer)
            return taken

        return world.database.write(attempt)

    assert [(n, fits(n), claims(n)) for n in (5, 10, 12, 40, 45)] == [
        (5, False, False),
        (10, True, True),
        (12, False, False),
        (40, True, True),
        (45, False, False),
    ]


def test_a_host_that_reports_the_same_changes_nothing(world):
    stock = {"VCPU": Inventory(8, 0, 16.0)}

    def report(tx):
        one = ProviderReport("11111111-1111-4111-8111-111111111111", "h", stock, frozenset({"CUSTOM_T"}))
        world.facade.ensure_providers(tx, [one])

    world.database.write(report)
    one = "/placement/resource_providers/11111111-1111-4111-8111-111111111111"
    before = world.root.get(one).json()["generation"]
    world.database.write(report)
    assert world.root.get(one).json()["generation"] == before
    world.database.write(lambda tx: world.facade.remove_provider(tx, "11111111-1111-4111-8111-111111111111"))
    assert world.root.get(one).status == 404


def test_a_claim_that_does_not_fit_leaves_nothing(world):
    uuid = world.provider("a", {"VCPU": 4})
    held = {uuid: {"VCPU": 3}}

    def claim(consumer, amount):
        amounts = {uuid: {"VCPU": amount}}
        return world.database.write(lambda tx: world.facade.claim(tx, consumer, "p", "u", amounts))

    def state():
        with world.database.read() as tx:
            consumers = dict(tx.execute(select(Consumer.id, Consumer.generation)).all())
            return consumers, tx.scalar(select(ProviderInventory.used)), world.facade.claim_of(tx, "c")

    assert not claim("c", 5)
    assert state() == ({}, 0, {})
    assert claim("c", 3)
    assert not claim("c", 5)
    assert not claim("d", 2)
    assert state() == ({"c": 1}, 3, held)
    assert claim("c", 3)
    assert state() == ({"c": 1}, 3, held)
    assert claim("c", 4)
    assert state() == ({"c": 2}, 4, {uuid: {"VCPU": 4}})


def test_the_roomiest_are_those_of_all_that_fit_with_the_most_room(world):
    for name, cores, memory in (("a", 4, 100), ("b", 8, 100), ("c", 8, 100), ("d", 1, 500), ("e", 2, 300)):
        world.provider(name, {"VCPU": cores, "MEMORY_MB": {"total": memory, "allocation_ratio": 1.5}})
    world.provider("other", {"DISK_GB": 100})
    world.provider("odd", {"VCPU": 64, "MEMORY_MB": {"total": 900, "step_size": 7}})
    by = ("MEMORY_MB", "VCPU")
    for resources in ({"VCPU": 2, "MEMORY_MB": 50}, {"MEMORY_MB": 50}, {"VCPU": 2}, {"MEMORY_MB": 1_400}):
        fitting = look(world, resources=resources).hosts
        fitting.sort(key=lambda host: (*(host.room.get(name, 0) for name in by), host.name), reverse=True)
        with world.database.read() as tx:
            for most in (1, 3, 99):
                assert world.facade.roomiest(tx, Wanted(resources), by, most) == fitting[:most]
