"""What every bus must do, whatever carries it. What only sockets and brokers must survive is in `test_bus_failures.py`.

Each test runs on the in-process bus, on unix sockets and on RabbitMQ, with three members that are the same object in the
first case.
"""

from __future__ import annotations

import os
import queue
import threading
import time

import msgspec
import pytest
from tests.contracts.bus_world import TRANSPORTS, World, echo, eventually, nobody_serves

from gureum.foundation.bus.envelope import MAX_PAYLOAD_BYTES
from gureum.foundation.bus.interface import BusError, CallTimeout, NobodyServes, Refused
from gureum.foundation.bus.typed import Method, Remote, Topic, serve_methods
from gureum.foundation.log import request_id

pytest_plugins = ["tests.contracts.bus_fixtures"]


@pytest.mark.parametrize("url", TRANSPORTS, indirect=True)
class TestEveryBus:
    def test_answers_calls_in_both_directions_and_between_agents(self, world: World, name: str) -> None:
        world.agent.serve(name, echo)
        world.control.serve(name + "-control", echo)
        assert world.control.call(name, "observe", b"now", timeout_s=5) == b"observe:now"
        assert world.agent.call(name + "-control", "signal", b"", timeout_s=5) == b"signal:"
        assert world.other.call(name, "observe", b"\x00\xff", timeout_s=5) == b"observe:\x00\xff"
        assert world.agent.call(name, "self", b"1", timeout_s=5) == b"self:1"

    def test_carries_a_refusal_with_its_detail(self, world: World, name: str) -> None:
        def refuse(_method: str, payload: bytes) -> bytes:
            raise Refused("disk_full", "no room on /var", b"\x01" + payload)

        world.agent.serve(name, refuse)
        with pytest.raises(Refused) as refused:
            world.control.call(name, "ensure", b"x", timeout_s=5)
        assert (refused.value.code, refused.value.text, refused.value.detail) == (
            "disk_full",
            "no room on /var",
            b"\x01x",
        )

    def test_a_handler_that_breaks_is_a_bus_error_and_serves_on(self, world: World, name: str) -> None:
        def handle(method: str, _payload: bytes) -> bytes:
            return str(1 // len(method)).encode() if method == "x" else str(1 // 0).encode()

        world.agent.serve(name, handle)
        with pytest.raises(BusError, match="ZeroDivisionError") as broken:
            world.control.call(name, "y", b"", timeout_s=5)
        assert type(broken.value) is BusError
        assert world.control.call(name, "x", b"", timeout_s=5) == b"1"

    def test_times_out_and_drops_the_late_answer(self, world: World, name: str) -> None:
        release = threading.Event()

        def handle(method: str, payload: bytes) -> bytes:
            if method == "slow":
                release.wait(10)
            return payload

        world.agent.serve(name, handle)
        start = time.monotonic()
        with pytest.raises(CallTimeout):
            world.control.call(name, "slow", b"late", timeout_s=0.3)
        assert 0.25 < time.monotonic() - start < 2.0
        release.set()
        assert world.control.call(name, "quick", b"mine", timeout_s=5) == b"mine"

    def test_a_call_whose_time_is_over_before_it_starts_is_not_made(self, world: World, name: str) -> None:
        release, made = threading.Event(), queue.SimpleQueue[str]()

        def handle(method: str, payload: bytes) -> bytes:
            made.put(method)
            if method == "slow":
                release.wait(10)
            return payload

        world.agent.serve(name, handle, threads=1)
        blocker = threading.Thread(target=world.control.call, args=(name, "slow", b""), kwargs={"timeout_s": 10})
        blocker.start()
        assert made.get(timeout=5) == "slow"
        with pytest.raises(CallTimeout):
            world.control.call(name, "expired", b"", timeout_s=0.2)
        time.sleep(0.1)  # the clock that counts is the callee's, and the time must be over there too
        release.set()
        blocker.join(10)
        world.control.call(name, "last", b"", timeout_s=5)
        assert made.get(timeout=5) == "last"

    def test_says_that_nobody_serves_a_name(self, world: World, name: str) -> None:
        start = time.monotonic()
        with pytest.raises(NobodyServes):
            world.control.call(name, "observe", b"", timeout_s=30)
        unserve = world.agent.serve(name, echo)
        assert world.other.call(name, "a", b"", timeout_s=5) == b"a:"
        unserve()
        unserve()
        with pytest.raises(NobodyServes):
            world.other.call(name, "a", b"", timeout_s=30)
        assert time.monotonic() - start < 10, "the answer must not wait for the time to run out"

    def test_a_slow_call_blocks_no_other(self, world: World, name: str) -> None:
        release = threading.Event()

        def handle(method: str, payload: bytes) -> bytes:
            if method == "slow":
                release.wait(20)
            return payload

        world.agent.serve(name, handle, threads=2)
        world.agent.serve(name + "-2", handle, threads=1)
        answers = queue.SimpleQueue[bytes]()

        def call_slow() -> None:
            answers.put(world.control.call(name, "slow", b"slow", timeout_s=20))

        slow = threading.Thread(target=call_slow)
        slow.start()
        for number in range(20):
            payload = str(number).encode()
            assert world.control.call(name, "quick", payload, timeout_s=5) == payload
            assert world.other.call(name + "-2", "quick", payload, timeout_s=5) == payload
        assert answers.empty()
        release.set()
        assert answers.get(timeout=5) == b"slow"
        slow.join()

    def test_runs_at_most_so_many_calls_at_once(self, world: World, name: str) -> None:
        lock, running, most = threading.Lock(), 0, 0

        def handle(_method: str, payload: bytes) -> bytes:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with lock:
                running -= 1
            return payload

        world.agent.serve(name, handle, threads=3)
        wrong = queue.SimpleQueue[bytes]()

        def caller(number: int) -> None:
            for turn in range(5):
                payload = f"{number}.{turn}".encode()
                if world.control.call(name, "m", payload, timeout_s=20) != payload:
                    wrong.put(payload)

        threads = [threading.Thread(target=caller, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong.empty()
        assert 2 <= most <= 3

    def test_two_servers_of_a_name_share_itsanswers(self, world: World, name: str) -> None:
        unserve = world.agent.serve(name, lambda _m, _p: b"first")
        world.other.serve(name, lambda _m, _p: b"second")
        assert {world.control.call(name, "m", b"", timeout_s=5) for _ in range(20)} == {b"first", b"second"}
        unserve()
        assert {world.control.call(name, "m", b"", timeout_s=5) for _ in range(10)} == {b"second"}

    def test_carries_large_payloads_and_refuses_larger_ones(self, world: World, name: str) -> None:
        world.agent.serve(name, lambda method, payload: payload if method == "echo" else bytes(MAX_PAYLOAD_BYTES + 1))
        large = os.urandom(4 << 20)
        assert world.control.call(name, "echo", large, timeout_s=20) == large
        with pytest.raises(BusError, match="larger"):
            world.control.call(name, "echo", bytes(MAX_PAYLOAD_BYTES + 1), timeout_s=20)
        with pytest.raises(BusError, match="too large"):
            world.control.call(name, "huge", b"", timeout_s=20)
        assert world.control.call(name, "echo", b"small", timeout_s=5) == b"small"

    def test_publishes_to_every_subscriber_in_order(self, world: World, name: str) -> None:
        heard = [queue.SimpleQueue[bytes]() for _ in range(12)]
        members = [world.control, world.agent, world.other]
        for number, one in enumerate(heard):
            members[number % 3].subscribe(name, one.put)
        world.other.subscribe(name + ".else", lambda _: pytest.fail("another topic"))
        for publisher in members:
            for number in range(5):
                publisher.publish(name, str(number).encode())
            for one in heard:
                assert [one.get(timeout=5) for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
        assert all(one.empty() for one in heard), "nobody hears a notice twice"

    def test_an_unsubscribed_one_hears_nothing_more(self, world: World, name: str) -> None:
        gone, stays = queue.SimpleQueue[bytes](), queue.SimpleQueue[bytes]()
        unsubscribe = world.agent.subscribe(name, gone.put)
        world.agent.subscribe(name, stays.put)
        world.control.publish(name, b"1")
        assert (gone.get(timeout=5), stays.get(timeout=5)) == (b"1", b"1")
        unsubscribe()
        unsubscribe()
        world.control.publish(name, b"2")
        assert stays.get(timeout=5) == b"2"
        assert gone.empty()

    def test_a_subscriber_that_breaks_or_hangs_harmsnobody_serves(self, world: World, name: str) -> None:
        release, heard = threading.Event(), queue.SimpleQueue[bytes]()

        def hang(_payload: bytes) -> None:
            release.wait(20)

        def fail(_payload: bytes) -> None:
            raise RuntimeError("a subscriber's own fault")

        for bad in (hang, fail):
            world.agent.subscribe(name, bad)
        world.agent.subscribe(name, heard.put)
        start = time.monotonic()
        for number in range(50):
            world.control.publish(name, str(number).encode())
        assert time.monotonic() - start < 2.0
        assert [heard.get(timeout=5) for _ in range(50)] == [str(number).encode() for number in range(50)]
        release.set()

    def test_carries_the_request_id(self, world: World, name: str) -> None:
        world.agent.serve(name, lambda _m, _p: request_id.get().encode())
        token = request_id.set("req-1234")
        try:
            assert world.control.call(name, "m", b"", timeout_s=5) == b"req-1234"
            assert world.control.call(name, "m", b"", timeout_s=5, request_id="req-own") == b"req-own"
        finally:
            request_id.reset(token)
        assert world.control.call(name, "m", b"", timeout_s=5) == b"-", "nothing of the last call may stay behind"

    def test_calls_fail_after_close(self, world: World, name: str) -> None:
        assert world.other.connected()
        world.other.serve(name, echo)
        world.other.close()
        assert not world.other.connected()
        with pytest.raises(BusError):
            world.other.call(name, "m", b"", timeout_s=5)
        world.other.publish(name, b"nobody hears it")
        if world.other is not world.control:
            eventually(lambda: nobody_serves(world.control, name))


class Resize(msgspec.Struct, frozen=True):
    server_id: str
    vcpus: int


class Resized(msgspec.Struct, frozen=True):
    server_id: str
    took_s: float


class HostBusyError(Exception):
    pass


RESIZE = Method("resize", Resize, Resized)
REMOVE = Method("remove", Resize, type(None))
UNKNOWN = Method("levitate", Resize, Resized)
CHANGED = Topic("server.changed", Resized)


@pytest.mark.parametrize("url", ["inprocess", "unix"], indirect=True)
class TestTyped:
    def test_calls_refusals_and_unknown_methods(self, world: World, name: str) -> None:
        def resize(asked: Resize) -> Resized:
            if asked.vcpus > 8:
                raise HostBusyError("try later")
            return Resized(asked.server_id, 0.5)

        methods = {RESIZE: resize, REMOVE: lambda _: None}
        serve_methods(
            world.agent,
            name,
            methods,
            refusal=lambda e: Refused("busy", str(e)) if isinstance(e, HostBusyError) else None,
        )
        remote = Remote(world.control, name)
        assert remote.call(RESIZE, Resize("s", 2)) == Resized("s", 0.5)
        assert remote.call(REMOVE, Resize("s", 2)) is None
        for method, params, code in ((UNKNOWN, Resize("s", 1), "unknown_method"), (RESIZE, Resize("s", 9), "busy")):
            with pytest.raises(Refused) as refused:
                remote.call(method, params)
            assert refused.value.code == code
        with pytest.raises(Refused) as refused:
            remote.call(Method("resize", Resized, Resized), Resized("s", 1.0))
        assert refused.value.code == "invalid_params"
        with pytest.raises(BusError, match="cannot be read"):
            remote.call(Method("resize", Resize, Resize), Resize("s", 1))
        mapped = Remote(world.control, name, failure=lambda refused: HostBusyError(refused.text))
        with pytest.raises(HostBusyError, match="try later"):
            mapped.call(RESIZE, Resize("s", 9))

    def test_topics(self, world: World) -> None:
        heard = queue.SimpleQueue[Resized]()
        CHANGED.subscribe(world.control, heard.put)
        world.agent.publish(CHANGED.name, b"\xc1 is not msgpack")
        CHANGED.publish(world.agent, Resized("s", 1.5))
        assert heard.get(timeout=5) == Resized("s", 1.5)
