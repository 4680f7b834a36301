"""Servers whose host is silent: what waits, for how long, what does not, and what the caller reads."""

from __future__ import annotations

import pytest
from tests.api.compute.setting import at
from tests.cloud import SimulatedCloud

from gureum.agents.hypervisor.protocol import DiskCopy
from gureum.agents.hypervisor.simulated import SimulatedAgent
from gureum.foundation.bus.interface import CallTimeout
from gureum.foundation.tasks.model import Task

SERVERS = "/compute/v2.1/servers"
IMAGES = "/image/v2/images"


@pytest.fixture
def cloud(virtual_clock, cloud):
    """Its hosts are silent from nine seconds after their last `beat` on."""
    cloud.clock = virtual_clock
    return cloud


@pytest.fixture
def server(cloud, demo):
    server_id = cloud.server(demo, imageRef=cloud.image())
    cloud.settle()
    assert status(demo, server_id) == "ACTIVE"
    return server_id


@pytest.fixture
def host(cloud, server):
    return cloud.client().get(f"{SERVERS}/{server}").json()["server"]["OS-EXT-SRV-ATTR:host"]


def status(client, server_id):
    return client.get(f"{SERVERS}/{server_id}").json()["server"]["status"]


def act(client, server_id, body):
    return client.post(f"{SERVERS}/{server_id}/action", body, **at("2.79"))


def waits_for(cloud, resource_id):
    with cloud.control.database.read() as tx:
        return {task.resource_id: task.reason for task in tx.query(Task)}[resource_id]


def pass_time(cloud, seconds):
    """In steps of at most a minute: a task that waits looks once a second."""
    while seconds:
        step = min(60, seconds)
        cloud.clock.advance(step)
        cloud.settle()
        seconds -= step


def action_of(client, server_id):
    actions = f"{SERVERS}/{server_id}/os-instance-actions"
    newest = client.get(actions, **at("2.84")).json()["instanceActions"][0]
    return client.get(f"{actions}/{newest['request_id']}", **at("2.84")).json()["instanceAction"]


def test_a_reboot_waits_for_the_host_and_goes_on_when_it_returns(cloud, demo, server, host):
    cloud.clock.advance(9)
    assert act(demo, server, {"reboot": {"type": "HARD"}}).status == 202
    cloud.settle()
    assert waits_for(cloud, server) == f"host {host}, which is down, to return"
    pass_time(cloud, 250)
    assert status(demo, server) == "HARD_REBOOT"
    cloud.beat()
    pass_time(cloud, 1)
    assert status(demo, server) == "ACTIVE"
    assert cloud.simulated[host].starts(server) == 2


def test_a_reboot_fails_when_the_host_stays_silent(cloud, demo, server, host):
    cloud.clock.advance(9)
    assert act(demo, server, {"reboot": {"type": "HARD"}}).status == 202
    cloud.settle()
    pass_time(cloud, 300)
    assert status(demo, server) == "ERROR"
    assert f"timed out: host {host}, which is down, to return" in str(action_of(cloud.client(), server))


def test_a_server_is_deleted_without_its_host_which_is_cleared_when_it_returns(cloud, demo, server, host):
    cloud.clock.advance(9)
    assert demo.delete(f"{SERVERS}/{server}").status == 204
    cloud.settle()
    assert demo.get(f"{SERVERS}/{server}").status == 404
    assert [seen.server_id for seen in cloud.simulated[host].observe().servers] == [server]
    cloud.clock.advance(60)
    cloud.beat()
    assert cloud.simulated[host].observe().servers == ()


def test_a_new_server_is_built_elsewhere_when_its_host_goes_down(virtual_clock, tmp_path, monkeypatch):
    cloud = SimulatedCloud(tmp_path, hosts=2)
    demo, agents, asked = cloud.client("demo"), cloud.simulated.agents, []
    server = cloud.server(demo, imageRef=cloud.image())
    ensure = SimulatedAgent.ensure_server

    def goes_down(agent, spec):
        asked.append(agent.host)
        if len(asked) > 1:
            return ensure(agent, spec)
        virtual_clock.advance(9)
        cloud.hear(next(other for other in agents.values() if other is not agent).observe())
        cloud.control.fleet.take_in()
        raise CallTimeout("no answer in 60 s")

    monkeypatch.setattr(SimulatedAgent, "ensure_server", goes_down)
    cloud.settle()
    virtual_clock.advance(1)
    cloud.settle()
    assert status(demo, server) == "ACTIVE"
    assert sorted(set(asked)) == ["host1", "host2"]
    cloud.close()


def test_an_image_of_a_server_says_that_the_host_does_not_answer(cloud, demo, server, host):
    cloud.clock.advance(9)
    image = act(demo, server, {"createImage": {"name": "snap"}}).json()["image_id"]
    cloud.settle()
    assert waits_for(cloud, image) == f"host {host}, which is down, to return"
    pass_time(cloud, 300)
    assert demo.get(f"{IMAGES}/{image}").status == 404
    assert action_of(demo, server)["events"][0]["details"] == "The server's host does not answer."
    assert status(demo, server) == "ACTIVE"


def test_a_moment_of_silence_does_not_shorten_the_time_of_a_copy(cloud, demo, server, monkeypatch):
    """A copy has hours; the five minutes that a silent host has end with its first answer."""
    answers = [DiskCopy(whole=False)] * 6
    copy = SimulatedAgent.copy_disk

    def slow(agent, server_id, copy_id):
        if len(answers) == 6:
            answers.pop()
            raise CallTimeout("no answer in 60 s")
        return answers.pop() if answers else copy(agent, server_id, copy_id)

    monkeypatch.setattr(SimulatedAgent, "copy_disk", slow)
    image = act(demo, server, {"createImage": {"name": "snap"}}).json()["image_id"]
    cloud.settle()
    assert waits_for(cloud, image).endswith("to answer (no answer in 60 s)")
    for _ in range(6):
        cloud.clock.advance(100)
        cloud.beat()
        cloud.settle()
    assert demo.get(f"{IMAGES}/{image}").json()["status"] == "active"


@pytest.mark.parametrize("asked", ["log", "password"])
def test_what_only_the_host_knows_is_503(cloud, demo, server, asked):
    cloud.clock.advance(9)
    if asked == "log":
        answer = act(demo, server, {"os-getConsoleOutput": {}})
    else:
        answer = demo.get(f"{SERVERS}/{server}/os-server-password")
    assert answer.status == 503
    assert "The server's host does not answer." in answer.content.decode()
