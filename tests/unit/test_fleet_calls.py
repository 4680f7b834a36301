"""A protocol of agents is written once: both ends on the bus, and the wire of earlier versions, follow from its types."""

from __future__ import annotations

from typing import Protocol

import msgspec
import pytest

from gureum.agents.hypervisor.protocol import HypervisorAgent
from gureum.foundation.bus.in_process import InProcessBus
from gureum.foundation.bus.interface import Refused
from gureum.foundation.fleet.calls import calls_of, proxy, remote, serve, too_old, watched


class Spec(msgspec.Struct, frozen=True):
    volume_id: str
    size_gib: int


class Storage(Protocol):
    @remote(timeout_s=60.0)
    def ensure_volume(self, spec: Spec) -> int: ...

    @remote(since=2)
    def remove_volume(self, volume_id: str, force: bool | None) -> None: ...

    def observe(self) -> list[str]: ...


class Disks:
    def __init__(self):
        self.removed = []

    def ensure_volume(self, spec):
        return spec.size_gib

    def remove_volume(self, volume_id, force):
        if volume_id == "broken":
            raise ValueError("the disk is gone")
        self.removed.append((volume_id, force))

    def observe(self):
        return ["a", "b"]


class DiskError(Exception):
    pass


@pytest.fixture
def bus():
    return InProcessBus()


@pytest.fixture
def storage(bus):
    disks = Disks()
    stop = serve(Storage, bus, "storage.h1", disks, refusal=lambda error: Refused("failed", str(error)), threads=1)
    agent = proxy(Storage, bus, "storage.h1", lambda refused: DiskError(refused.text))
    yield agent, disks
    stop()


def test_every_call_reaches_the_agent_and_its_answer_comes_back(storage):
    agent, disks = storage
    assert agent.ensure_volume(Spec("v", 5)) == 5
    assert agent.remove_volume("v", None) is None
    assert agent.observe() == ["a", "b"]
    assert disks.removed == [("v", None)]


def test_a_failure_crosses_as_the_protocols_own(storage):
    with pytest.raises(DiskError, match="the disk is gone"):
        storage[0].remove_volume("broken", True)


def test_an_argument_that_may_be_none_may_be_left_out():
    """A peer of another version does not send it."""
    call = calls_of(Storage)["remove_volume"]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(call.pack(("v", None)))) == {"volume_id": "v"}
    assert call.unpack(msgspec.msgpack.decode(b"\x81\xa9volume_id\xa1v", type=call.method.params)) == ("v", None)


def test_the_options_stand_beside_the_method():
    calls = calls_of(Storage)
    assert (calls["ensure_volume"].method.timeout_s, calls["observe"].method.timeout_s) == (60.0, 30.0)
    assert calls["remove_volume"].options.since == 2


def test_an_agent_that_is_too_old_is_told_with_the_remedy():
    refused = Refused("unknown_method", "storage.h1 knows no method remove_volume")
    assert too_old(Storage, refused) == (
        "the host's agent does not know the call remove_volume, which came with version 2 of the protocol: upgrade it"
    )
    assert too_old(Storage, Refused("failed", "x")) == ""


def test_calls_can_be_watched(storage):
    heard = []
    agent = watched(Storage, storage[0], lambda call, _seconds, error: heard.append((call.method.name, error is None)))
    agent.observe()
    with pytest.raises(DiskError):
        agent.remove_volume("broken", None)
    assert heard == [("observe", True), ("remove_volume", False)]


WIRE = {
    "ensure_server": None,
    "remove_server": {"server_id": "s"},
    "observe": {},
    "console_log": {"server_id": "s", "lines": 5},
    "guest_password": {"server_id": "s"},
    "forget_guest_password": {"server_id": "s"},
    "copy_disk": {"server_id": "s", "copy_id": "c"},
    "read_copy": {"server_id": "s", "copy_id": "c", "offset": 7},
    "drop_copy": {"server_id": "s", "copy_id": "c"},
}
"""What crosses the bus, as agents of earlier versions read it. A call may be added, none may change."""


def test_the_hypervisors_calls_are_what_earlier_versions_understand():
    calls = calls_of(HypervisorAgent)
    assert calls.keys() == WIRE.keys()
    for name, arguments in WIRE.items():
        if arguments is None:
            assert calls[name].names is None
        else:
            packed = calls[name].pack(tuple(arguments.values()))
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(packed)) == arguments
