"""Goals of one server take turns, those of different servers do not, and a removal is never undone."""

from __future__ import annotations

import threading

import pytest

from gureum.agents.hypervisor.lanes import Lanes


class Workshop:
    """A lane's work under the test's control: a goal blocks at its gate, and yields when asked to."""

    def __init__(self):
        self.gates = {}
        self.log = []
        self.ended = []
        self.lanes = Lanes(self.run, same=lambda a, b: a == b, wins=lambda a, _: a is None, ended=self.ended.append)

    def run(self, name, turn):
        self.log.append((name, turn.wish))
        gate = self.gates.get(turn.wish)
        if gate is not None:
            while not gate.wait(0.01):
                turn.yield_if_asked()
        if turn.wish == "bad":
            raise ValueError("bad")

    def gate(self, wish):
        self.gates[wish] = threading.Event()
        return self.gates[wish]

    def wait(self, goal, work_s=5.0, guest_s=0.0):
        return self.lanes.wait(goal, work_s=work_s, guest_s=guest_s)


@pytest.fixture
def workshop():
    workshop = Workshop()
    yield workshop
    for gate in workshop.gates.values():
        gate.set()
    assert workshop.lanes.drain(5)


def test_a_failure_reaches_who_waits(workshop):
    goal = workshop.lanes.pursue("s", "bad")
    assert workshop.wait(goal)
    assert isinstance(goal.failure, ValueError)
    assert workshop.lanes.drain(5)
    assert not workshop.lanes.busy("s")


def test_servers_do_not_wait_for_one_another(workshop):
    workshop.gate("slow")
    workshop.lanes.pursue("s1", "slow")
    assert workshop.wait(workshop.lanes.pursue("s2", "quick"))


def test_the_same_wish_joins_the_one_at_work(workshop):
    gate = workshop.gate("slow")
    first = workshop.lanes.pursue("s", "slow")
    assert not workshop.wait(first, work_s=0.05)
    assert workshop.lanes.pursue("s", "slow") is first
    gate.set()
    assert workshop.wait(first)
    assert workshop.log == [("s", "slow")]
    assert workshop.lanes.drain(5)
    assert workshop.ended == ["s"]


def test_a_newer_wish_takes_over_and_answers_for_both(workshop):
    workshop.gate("old")
    old = workshop.lanes.pursue("s", "old")
    assert not workshop.wait(old, work_s=0.05)
    new = workshop.lanes.pursue("s", "new")
    assert workshop.wait(new)
    assert workshop.wait(old)
    assert workshop.log == [("s", "old"), ("s", "new")]


def test_a_removal_waiting_is_not_replaced(workshop):
    workshop.gates["stubborn"] = None
    hold = threading.Event()
    entered = threading.Event()
    ran = []

    def run(_name, turn):
        ran.append(turn.wish)
        if turn.wish == "stubborn":
            entered.set()
            hold.wait(5)

    lanes = Lanes(run, same=lambda a, b: a == b, wins=lambda a, _: a is None, ended=lambda _: None)
    lanes.pursue("s", "stubborn")
    assert entered.wait(5)
    removal = lanes.pursue("s", None)
    assert lanes.pursue("s", "late") is removal
    hold.set()
    assert lanes.drain(5)
    assert ran == ["stubborn", None]
    workshop.gates.clear()


def test_stopping_ends_all_at_their_next_point(workshop):
    workshop.gate("slow")
    goal = workshop.lanes.pursue("s", "slow")
    assert not workshop.wait(goal, work_s=0.05)
    assert workshop.lanes.stop(5)
    assert goal.done
    assert goal.failure is not None, "who waits must not take it for done"


def test_whoever_waits_is_answered_while_the_guest_takes_its_time(workshop):
    done = threading.Event()

    def run(_name, turn):
        while not done.is_set():
            turn.wait_for_guest(0.02)

    ended = []
    lanes = Lanes(run, same=lambda a, b: a == b, wins=lambda a, _: a is None, ended=ended.append)
    goal = lanes.pursue("s", "stop")
    assert not lanes.wait(goal, work_s=5, guest_s=0.05)
    assert goal.waits_for_guest
    done.set()
    lanes.stir("s")
    assert lanes.drain(5)
    assert goal.done
    assert ended == ["s"]
