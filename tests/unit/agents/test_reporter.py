"""Heartbeats of an agent whose engine is slow, stands still, or fails."""

from __future__ import annotations

import logging
import threading
import time

import pytest
from tests.contracts.agent_hosts import eventually

from gureum.agents.hypervisor import reporter as reporting
from gureum.agents.hypervisor.agent import Agent, AgentOptions
from gureum.agents.hypervisor.protocol import HostResources, ServerObserved
from gureum.agents.hypervisor.reporter import Reporter
from gureum.agents.metadata.wiring import LoopbackWiring
from gureum.drivers.hypervisor.fake import FakeHypervisor
from gureum.foundation.fleet.failure import AgentFailure

BEAT_S = 0.05


class SlowAgent:
    """Its engine's answers wait for a gate each; `failure` is raised instead of an answer."""

    def __init__(self):
        self.measuring, self.looking = threading.Event(), threading.Event()
        self.measuring.set()
        self.looking.set()
        self.measured, self.failure = 0, ""

    def observe_servers(self):
        self.looking.wait()
        if self.failure:
            raise AgentFailure(self.failure)
        return (ServerObserved("server-1", "running"),)

    def observe_server(self, server_id):
        return ServerObserved(server_id, "stopped")

    def measure_resources(self):
        self.measuring.wait()
        self.measured += 1
        return HostResources(vcpus=8, ram_mib=1024, disk_gib=10)


class Events:
    def __init__(self):
        self.beats, self.changes = [], []

    def heartbeat(self, observed):
        self.beats.append(observed)

    def server_changed(self, host, observed):
        self.changes.append((host, observed))


@pytest.fixture
def agent():
    return SlowAgent()


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def reporter(agent, events):
    reporter = Reporter(agent, events, "host1", BEAT_S)
    yield reporter
    agent.measuring.set()
    agent.looking.set()
    reporter.stop()


def beats_within(events, seconds):
    before = len(events.beats)
    time.sleep(seconds)
    return events.beats[before:]


def test_slow_capabilities_delay_no_heartbeat(agent, events, reporter, monkeypatch):
    monkeypatch.setattr(reporting, "_RESOURCES_EVERY_S", 0.0)
    monkeypatch.setattr(reporting, "_RESOURCES_SHARE", 0)
    eventually(lambda: events.beats, "a heartbeat")
    agent.measuring.clear()
    assert len(beats_within(events, 20 * BEAT_S)) >= 5
    assert events.beats[-1].resources.vcpus == 8


def test_slow_look_delays_no_heartbeat_and_tells_its_age(agent, events, reporter):
    eventually(lambda: events.beats, "a heartbeat")
    assert events.beats[-1].servers_age_s == 0
    agent.looking.clear()
    time.sleep(2 * BEAT_S)
    beats = beats_within(events, 20 * BEAT_S)
    assert len(beats) >= 5
    assert beats[-1].servers_age_s > beats[0].servers_age_s > 0
    assert [server.server_id for server in beats[-1].servers] == ["server-1"]


def test_engine_that_stands_still_ends_the_heartbeats(agent, events, reporter, monkeypatch):
    monkeypatch.setattr(reporting, "STALE_S", 10 * BEAT_S)
    eventually(lambda: events.beats, "a heartbeat")
    agent.looking.clear()
    time.sleep(15 * BEAT_S)
    assert beats_within(events, 10 * BEAT_S) == []
    agent.looking.set()
    eventually(lambda: beats_within(events, 2 * BEAT_S), "heartbeats again")


def test_engine_that_fails_ends_the_heartbeats(agent, events, reporter, caplog):
    eventually(lambda: events.beats, "a heartbeat")
    with caplog.at_level(logging.WARNING):
        agent.failure = "hypervisor: connection refused"
        time.sleep(4 * BEAT_S)
        assert beats_within(events, 10 * BEAT_S) == []
    assert [record.message for record in caplog.records] == ["no heartbeat: hypervisor: connection refused"]


def test_capabilities_are_read_once_for_many_heartbeats(agent, events, reporter):
    eventually(lambda: len(events.beats) >= 5, "five heartbeats")
    assert agent.measured == 1


def test_slow_engine_is_told_once(agent, events, reporter, monkeypatch, caplog):
    monkeypatch.setattr(reporting, "_SLOW_S", -1.0)
    monkeypatch.setattr(reporting, "_RESOURCES_EVERY_S", 0.0)
    monkeypatch.setattr(reporting, "_RESOURCES_SHARE", 0)
    with caplog.at_level(logging.WARNING):
        slow = Reporter(agent, events, "host2", BEAT_S)
        eventually(lambda: agent.measured >= 5, "five measurements")
        slow.stop()
    assert len([record for record in caplog.records if "gureum doctor" in record.message]) == 1


def test_change_is_told_while_capabilities_are_measured(agent, events, reporter):
    agent.measuring.clear()
    reporter.changed("server-1")
    eventually(lambda: events.changes, "the change")
    assert events.changes == [("host1", ServerObserved("server-1", "stopped"))]


class SlowHypervisor(FakeHypervisor):
    """Answers for machines at once; what the host can give takes a gate after the first time."""

    def __init__(self):
        super().__init__()
        self.gate, self.asked = threading.Event(), 0

    def capabilities(self):
        self.asked += 1
        if self.asked > 1:
            self.gate.wait()
        return super().capabilities()


def test_agent_of_a_slow_driver_keeps_its_heartbeat_and_serves_calls(tmp_path, events, monkeypatch):
    monkeypatch.setattr(reporting, "_RESOURCES_EVERY_S", 0.0)
    driver = SlowHypervisor()
    agent = Agent(driver, tmp_path, LoopbackWiring(), AgentOptions("host1", heartbeat_s=BEAT_S))
    try:
        agent.report(events)
        eventually(lambda: driver.asked > 1, "the slow question")
        assert len(beats_within(events, 20 * BEAT_S)) >= 5
        assert {beat.servers_age_s for beat in events.beats} == {0}
        assert agent.observe_server("server-1").power == "absent"
    finally:
        driver.gate.set()
        agent.stop()
