"""The choice among the few hosts with the most room is the one among all hosts."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update
from tests.cloud import SimulatedCloud

from gureum.foundation import ids
from gureum.services.compute.hosts.model import Host
from gureum.services.compute.servers import choosing
from gureum.services.compute.servers.rules import Wish, choose
from gureum.services.placement.facade import Wanted

NAMES = [f"host{number}" for number in range(1, 7)]
HELD_MIB = {"host1": 4_000, "host2": 3_000, "host3": 3_000, "host4": 1_000, "host5": 0, "host6": 0}
SMALL = Wanted({"VCPU": 1, "MEMORY_MB": 64, "DISK_GB": 1})


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    """The hosts in the order of their room: host6 and host5, host4, host3 and host2, host1. Two are looked at first."""
    monkeypatch.setattr(choosing, "ROOMIEST", 2)
    cloud = SimulatedCloud(tmp_path, hosts=len(NAMES))
    placement = cloud.deps("compute").placement

    def hold(tx):
        for name, provider_id in tx.execute(select(Host.name, Host.id)).all():
            if HELD_MIB[name]:
                assert placement.claim(tx, ids.new_uuid(), "p", "u", {provider_id: {"MEMORY_MB": HELD_MIB[name]}})

    cloud.control.database.write(hold)
    yield cloud
    cloud.close()


def both(cloud, wanted, wish):
    """The host that is chosen, and the one that a choice among all takes."""
    deps = cloud.deps("compute")
    with cloud.control.database.read() as tx:
        chosen = choosing.choice_of(tx, deps.placement, deps.hosts, wanted, wish)
        among_all = choose(deps.placement.candidates(tx, wanted), deps.hosts.facts(tx), wish)
    return chosen, among_all


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        (Wish(), "host6"),
        (Wish(tried=frozenset({"host6"})), "host5"),
        (Wish(tried=frozenset({"host6", "host5"})), "host4"),
        (Wish(apart=frozenset({"host6", "host5", "host4"})), "host3"),
        (Wish(different_host=frozenset({"host6", "host5"})), "host4"),
        (Wish(prefer_apart=frozenset({"host6", "host5"})), "host4"),
        (Wish(prefer_near=frozenset({"host1"})), "host1"),
        (Wish(near=frozenset({"host2"})), "host2"),
        (Wish(host="host1"), "host1"),
        (Wish(same_host=frozenset({"host3"})), "host3"),
        (Wish(within=frozenset({"host1", "host2"})), "host2"),
        (Wish(zone="nowhere"), None),
    ],
)
def test_each_wish_is_met_as_among_all_hosts(cloud, wish, name):
    chosen, among_all = both(cloud, SMALL, wish)
    assert (chosen.host.name if chosen.host else None) == name
    assert chosen == among_all


@pytest.mark.parametrize(
    "resources", [{"VCPU": 1, "MEMORY_MB": 260_000, "DISK_GB": 1}, {"DISK_GB": 1}, {"VCPU": 65}, {"VGPU": 1}]
)
def test_what_does_not_fit_everywhere_is_placed_as_among_all_hosts(cloud, resources):
    chosen, among_all = both(cloud, Wanted(resources), Wish())
    assert chosen == among_all


def test_named_traits_are_looked_at(cloud):
    needs = Wanted(SMALL.resources, required=frozenset({"COMPUTE_ACCELERATORS"}))
    refuses = Wanted(SMALL.resources, forbidden=frozenset({"COMPUTE_ACCELERATORS"}))
    assert both(cloud, needs, Wish())[0].host.name == "host6"
    assert both(cloud, refuses, Wish())[0].host is None


def test_hosts_with_room_that_take_nothing_are_passed_over(cloud):
    disabled = update(Host).where(Host.name.in_(["host6", "host5"])).values(disabled=True)
    cloud.control.database.write(lambda tx: tx.execute(disabled))
    chosen, among_all = both(cloud, SMALL, Wish())
    assert chosen.host.name == "host4"
    assert chosen == among_all
