"""What a heartbeat shows against the rows: strangers go, servers that should run are set going, one by one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.api.compute.setting import P1, at

from gureum.agents.hypervisor.protocol import HYPERVISOR, HostObserved, HostResources, ServerObserved
from gureum.foundation import clock
from gureum.foundation.fleet.failure import AgentFailure
from gureum.services.compute.hosts import drift

RESOURCES = HostResources(vcpus=8, ram_mib=16384, disk_gib=100)


class Agents:
    """Remembers which servers each host was told to remove; `broken` hosts refuse."""

    def __init__(self, *broken: str) -> None:
        self.removed: list[tuple[str, str]] = []
        self._broken = broken

    def agent(self, host):
        return _Agent(self, host, broken=host in self._broken)


class _Agent:
    def __init__(self, agents, host, broken):
        self._agents, self._host, self._broken = agents, host, broken

    def remove_server(self, server_id):
        if self._broken:
            raise AgentFailure("the disk is gone", public="", retry=True)
        self._agents.removed.append((self._host, server_id))


def beat(world, host, *servers):
    world.fleet.hear(HYPERVISOR, HostObserved(host, 1, RESOURCES, servers))


def test_a_server_that_no_row_places_there_is_removed_and_a_host_that_refuses_stops_no_other(world, monkeypatch):
    agents = Agents("h1")
    monkeypatch.setattr(world.agents, "agents", agents)
    mine = world.server(host="h2", done_boot=1)
    beat(world, "h1", ServerObserved("s1", "running"))
    beat(world, "h2", ServerObserved(mine, "running", 1), ServerObserved("s2", "running"))
    beat(world, "h3", ServerObserved(mine, "running", 1))
    world.fleet.take_in()
    assert agents.removed == [("h2", "s2"), ("h3", mine)]


def test_server_that_was_just_deleted_is_no_stranger_until_it_stays(world, monkeypatch, caplog):
    agents = Agents()
    monkeypatch.setattr(world.agents, "agents", agents)
    deleted = world.server(host="h1", done_boot=1, deleted_at=clock.utcnow())
    beat(world, "h1", ServerObserved(deleted, "running", 1))
    world.fleet.take_in()
    assert (agents.removed, [record.message for record in caplog.records if "holds" in record.message]) == ([], [])
    monkeypatch.setattr(drift, "DELETED_WITHIN", timedelta(0))
    beat(world, "h1", ServerObserved(deleted, "running", 1))
    world.fleet.take_in()
    assert agents.removed == [("h1", deleted)]


def test_servers_that_were_looked_at_long_ago_are_not_compared(world, monkeypatch):
    agents = Agents()
    monkeypatch.setattr(world.agents, "agents", agents)
    world.beat(HostObserved("h1", 4, RESOURCES, (ServerObserved("s1", "running"),), servers_age_s=9.0))
    assert agents.removed == []
    assert world.deps.hosts.agents.answers("h1")


def test_a_server_that_should_run_and_does_not_is_set_going(world):
    long_ago = {"done_boot": 1, "done_spec": 1, "updated_at": clock.utcnow() - timedelta(minutes=1)}
    running, lost, crashed = (world.server(f"s{n}", host="h1", **long_ago) for n in range(3))
    stopped = world.server(host="h1", vm_state="stopped", **long_ago)
    other = world.server("other", host="h2", **long_ago)
    beat(world, "h1", ServerObserved(running, "running", 1), ServerObserved(crashed, "crashed", 1))
    world.fleet.take_in()
    assert [world.row(server).done_spec for server in (running, stopped, lost, crashed, other)] == [1, 1, 0, 0, 1]


def test_server_whose_start_ended_since_its_host_was_looked_at_is_left_alone_until_it_stays(
    world, monkeypatch, virtual_clock, caplog
):
    monkeypatch.setattr(world.agents, "agents", Agents())
    started = world.server(host="h1", done_boot=2, done_spec=1, updated_at=clock.utcnow())
    stopped = ServerObserved(started, "stopped", 1)
    beat(world, "h1", stopped)
    world.fleet.take_in()
    assert (caplog.text, world.row(started).done_spec) == ("", 1)
    virtual_clock.advance(drift.CHANGED_WITHIN.total_seconds() + 1)
    beat(world, "h1", stopped)
    world.fleet.take_in()
    assert "does not run servers that should run" in caplog.text
    assert world.row(started).done_spec == 0


@pytest.mark.parametrize(
    ("power", "result", "cause"),
    [
        (
            "crashed",
            "Error",
            "Its process was killed or failed: see the host's kernel log and libvirt's log of the guest.",
        ),
        ("stopped", "Success", "The guest powered off by itself."),
    ],
)
def test_guest_that_ends_by_itself_leaves_an_action_with_the_cause(world, power, result, cause):
    server = world.server(host="h1", done_boot=1, done_spec=1)
    world.drift.server_changed("h1", ServerObserved(server, power, 1))
    assert world.row(server).vm_state == "stopped"
    admin, path = world.as_("root"), f"/compute/v2.1/servers/{server}/os-instance-actions"
    (action,) = admin.get(path, **at("2.84")).json()["instanceActions"]
    assert (action["action"], action["user_id"], action["project_id"]) == ("stop", None, P1)
    (event,) = admin.get(f"{path}/{action['request_id']}", **at("2.84")).json()["instanceAction"]["events"]
    assert (event["result"], event["details"], event["host"]) == (result, cause, "h1")
    assert event["finish_time"] is not None
