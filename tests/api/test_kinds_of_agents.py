"""Agents of a new kind join with their protocol and their service alone: tests/sixth_service/boards."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from gureum.foundation import clock
from gureum.foundation.config import ServicesConfig
from gureum.foundation.fleet.directory import directory
from gureum.foundation.fleet.failure import AgentFailure
from gureum.foundation.fleet.kind import AgentKind
from gureum.foundation.tasks.model import Task
from gureum.roles.assembly import Catalogue
from gureum.roles.catalogue import SERVICES
from tests.cloud import SimulatedCloud
from tests.sixth_service.boards.lifecycle import HOST_WITHIN_S
from tests.sixth_service.boards.protocol import BOARD, BoardReport

LINE = "tests.sixth_service.boards"
CLONE = Path(__file__).resolve().parents[2]


class Boards:
    """The agent of a host's boards."""

    def __init__(self, number=1):
        self.shown, self.number = {}, number

    def show(self, text_id, text):
        if len(self.shown) >= self.number and text_id not in self.shown:
            raise AgentFailure("no board is free")
        self.shown[text_id] = text
        return list(self.shown).index(text_id) + 1

    def blank(self, text_id):
        self.shown.pop(text_id, None)


class OldBoardAgent(Protocol):
    def show(self, text_id: str, text: str) -> int: ...


class World(SimulatedCloud):
    """A cloud with one host of the new kind, beside those that there are."""

    def __init__(self, folder, moving):
        services = ServicesConfig("core", ["boards"])
        super().__init__(folder, more={"catalogue": Catalogue((*SERVICES, LINE))}, services=services)
        self.moving, self.agent = moving, Boards()
        self.stop_serving = self.serve(BOARD)

    def serve(self, kind):
        return kind.serve(self.control.bus, "h1", self.agent, threads=1)

    @property
    def boards(self):
        return self.control.mounted["boards"].facade

    def board_beats(self):
        self.control.fleet.hear(BOARD, BoardReport("h1", 2, self.agent.number - len(self.agent.shown), started_at=7.0))
        self.control.fleet.take_in()

    def pass_time(self, seconds):
        """In steps of at most a minute: a task that waits looks once a second."""
        while seconds > 0:
            self.moving.advance(min(60, seconds))
            self.settle()
            seconds -= 60

    def show(self, text="closed"):
        return self.control.database.write(lambda tx: self.boards.show(tx, "h1", text))

    def waits_for(self, text_id):
        """What the text's task waits for; None when it is over."""
        with self.control.database.read() as tx:
            return {task.resource_id: task.reason for task in tx.query(Task)}.get(text_id)


@pytest.fixture
def cloud(tmp_path, virtual_clock):
    cloud = World(tmp_path, virtual_clock)
    yield cloud
    cloud.stop_serving()
    cloud.close()


def test_a_heartbeat_reaches_the_service_and_the_directory(cloud):
    cloud.board_beats()
    assert cloud.boards.free == {"h1": 1}
    with cloud.control.database.read() as tx:
        entries = {(entry.host, entry.kind): entry for entry in directory(tx)}
    assert entries.keys() == {("h1", "board"), ("host1", "hypervisor"), ("host2", "hypervisor")}
    board = entries["h1", "board"]
    assert (board.version, board.started_at, board.seen_at) == (2, 7.0, clock.now())


def test_a_host_that_answers_does_what_it_is_asked(cloud):
    cloud.board_beats()
    text = cloud.show()
    cloud.settle()
    assert cloud.agent.shown == {text: "closed"}
    assert cloud.waits_for(text) == "nothing: board 1 shows the text"
    cloud.control.database.write(lambda tx: cloud.boards.take_down(tx, text))
    cloud.settle()
    assert (cloud.agent.shown, cloud.waits_for(text)) == ({}, None)


def test_a_silent_host_is_waited_for_and_the_task_goes_on_when_it_returns(cloud):
    cloud.board_beats()
    cloud.moving.advance(60)
    text = cloud.show()
    cloud.settle()
    assert cloud.waits_for(text) == "host h1, which is down, to return"
    assert cloud.agent.shown == {}
    cloud.pass_time(HOST_WITHIN_S - 1)
    assert cloud.waits_for(text) == "host h1, which is down, to return"
    cloud.board_beats()
    cloud.pass_time(1)
    assert cloud.waits_for(text) == "nothing: board 1 shows the text"
    assert cloud.agent.shown == {text: "closed"}


def test_a_host_that_stays_silent_is_given_up_after_the_deadline(cloud):
    cloud.board_beats()
    cloud.moving.advance(60)
    text = cloud.show()
    cloud.settle()
    cloud.pass_time(HOST_WITHIN_S)
    assert cloud.waits_for(text) == "a person: timed out: host h1, which is down, to return"


def test_an_agent_whose_bus_is_lost_is_waited_for_too(cloud):
    cloud.board_beats()
    cloud.stop_serving()
    text = cloud.show()
    cloud.settle()
    assert cloud.waits_for(text).startswith("host h1 to answer (")
    cloud.stop_serving = cloud.serve(BOARD)
    cloud.pass_time(1)
    assert cloud.agent.shown == {text: "closed"}


def test_an_agent_that_is_too_old_for_a_call_is_waited_for_until_it_is_upgraded(cloud):
    cloud.board_beats()
    cloud.stop_serving()
    cloud.stop_serving = cloud.serve(AgentKind("board", OldBoardAgent, BoardReport))
    text = cloud.show()
    cloud.settle()
    assert cloud.agent.shown == {text: "closed"}
    cloud.control.database.write(lambda tx: cloud.boards.take_down(tx, text))
    cloud.settle()
    assert "does not know the call blank, which came with version 2 of the protocol" in cloud.waits_for(text)
    cloud.stop_serving()
    cloud.stop_serving = cloud.serve(BOARD)
    cloud.pass_time(1)
    assert (cloud.agent.shown, cloud.waits_for(text)) == ({}, None)


def test_a_kind_that_is_silent_leaves_the_others_alone(cloud):
    cloud.board_beats()
    cloud.moving.advance(60)
    cloud.beat()
    demo = cloud.client("demo")
    server = cloud.server(demo, imageRef=cloud.image())
    cloud.settle()
    assert demo.get(f"/compute/v2.1/servers/{server}").json()["server"]["status"] == "ACTIVE"
    assert not cloud.control.fleet.agents(BOARD).answers("h1")


def test_no_file_but_its_own_names_it():
    naming = [file for file in (CLONE / "src").rglob("*.py") if "boards" in file.read_text()]
    assert naming == []
