"""Which of libvirt's events are told, without an engine: the connection is played by the test."""

from __future__ import annotations

import queue

import pytest

from gureum.drivers.hypervisor.interface import HypervisorError, MachineState

libvirt = pytest.importorskip("libvirt")
events = pytest.importorskip("gureum.drivers.hypervisor.libvirt.events")


class Domain:
    def __init__(self, server_id):
        self.server_id = server_id

    def UUIDString(self):  # noqa: N802
        return self.server_id


class Link:
    def domainEventRegisterAny(self, _domain, _kind, callback, _opaque):  # noqa: N802
        self.event = callback

    def registerCloseCallback(self, callback, _opaque):  # noqa: N802
        self.closed = callback


class World:
    def __init__(self):
        self.states = {}
        self.failures = 0
        self.told = queue.Queue()
        self.link = Link()
        self.power = events.PowerEvents(self.look, lambda server_id: server_id != "foreign")
        self.power.register(self.link)
        self.power.subscribe(self.told.put)

    def look(self):
        if self.failures:
            self.failures -= 1
            raise HypervisorError("not yet")
        return {server_id: MachineState(server_id, power) for server_id, power in self.states.items()}

    def event(self, server_id, kind, detail=0):
        self.link.event(self.link, Domain(server_id), kind, detail, None)

    def all_told(self):
        """What was told so far; an event that is always told marks the end."""
        self.event("end", libvirt.VIR_DOMAIN_EVENT_CRASHED)
        return list(iter(lambda: self.told.get(timeout=5), "end"))


@pytest.fixture
def world():
    world = World()
    yield world
    world.power.close()


def test_what_was_expected_is_not_told(world):
    world.power.expect("one", "running")
    world.event("one", libvirt.VIR_DOMAIN_EVENT_STARTED)
    world.power.expect("one", "stopped")
    world.event("one", libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED)
    assert world.all_told() == []


def test_a_paused_start_is_announced_in_two_events(world):
    world.power.expect("one", "paused")
    world.event("one", libvirt.VIR_DOMAIN_EVENT_STARTED)
    world.event("one", libvirt.VIR_DOMAIN_EVENT_SUSPENDED)
    world.event("one", libvirt.VIR_DOMAIN_EVENT_RESUMED)
    assert world.all_told() == ["one"]


def test_a_late_event_does_not_hide_the_next(world):
    world.power.expect("one", "running")
    for _ in range(2):
        world.event("one", libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED)
    assert world.all_told() == ["one", "one"]


def test_definitions_and_machines_of_others_are_not_told(world):
    world.event("one", libvirt.VIR_DOMAIN_EVENT_DEFINED)
    world.event("one", libvirt.VIR_DOMAIN_EVENT_SHUTDOWN)
    world.event("foreign", libvirt.VIR_DOMAIN_EVENT_STOPPED)
    assert world.all_told() == []


def test_after_a_lost_connection_only_differences_are_told(world):
    world.power.expect("same", "running")
    world.power.expect("died", "running")
    world.states = {"same": "running", "died": "stopped", "unknown": "running"}
    world.failures = 1
    world.link.closed(world.link, 0, None)
    assert sorted(world.all_told()) == ["died", "unknown"]


def test_a_second_connection_is_looked_over(world):
    world.power.expect("died", "running")
    world.states = {"died": "crashed"}
    world.power.register(Link())
    assert world.told.get(timeout=5) == "died"


def test_nothing_is_told_after_the_stop(world):
    others = queue.Queue()
    stop = world.power.subscribe(others.put)
    stop()
    stop()
    world.event("one", libvirt.VIR_DOMAIN_EVENT_STOPPED)
    assert world.all_told() == ["one"]
    assert others.empty()
