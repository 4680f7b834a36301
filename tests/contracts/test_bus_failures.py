"""Processes, hubs and brokers die and come back; noise arrives; a thousand hosts share a process."""

from __future__ import annotations

import contextlib
import queue
import signal
import socket
import stat
import threading
import time
from pathlib import Path

import pytest
from tests.contracts.bus_world import OUTSIDE, World, answers, echo, echoes, eventually, nobody_serves, process
from tests.contracts.rabbitmq_broker import Broker

from gureum.foundation.bus.in_process import InProcessBus
from gureum.foundation.bus.interface import Bus, BusError, CallTimeout
from gureum.foundation.bus.open import open_bus
from gureum.foundation.bus.unix_socket import HubTaken, UnixHub, UnixPeer

pytest_plugins = ["tests.contracts.bus_fixtures"]


@pytest.mark.parametrize("url", OUTSIDE, indirect=True)
class TestProcesses:
    def test_a_server_killed_and_started_again_answers_again(self, world: World, name: str) -> None:
        with process(world.url, "agent", name) as child:
            assert world.control.call(name, "pid", b"", timeout_s=10) == str(child.pid).encode()
            ended: list[float] = []

            def wait_for_it() -> None:
                with contextlib.suppress(BusError):
                    world.control.call(name, "sleep", b"60", timeout_s=6)
                ended.append(time.monotonic())

            waiting = threading.Thread(target=wait_for_it)
            waiting.start()
            time.sleep(0.3)
            killed = time.monotonic()
            child.send_signal(signal.SIGKILL)
            waiting.join(20)
            if world.url.startswith("unix"):
                assert ended[0] - killed < 1.0, "a call to a dead process fails at once"
            eventually(lambda: nobody_serves(world.control, name))
        with process(world.url, "agent", name) as child:
            assert world.agent.call(name, "pid", b"", timeout_s=10) == str(child.pid).encode()

    def test_a_stopped_process_delays_nobody_else(self, world: World, name: str) -> None:
        world.agent.serve(name + "-well", echo)
        with process(world.url, "agent", name) as child:
            child.send_signal(signal.SIGSTOP)
            large = bytes(4 << 20)
            for _ in range(3):
                with pytest.raises(CallTimeout):
                    world.control.call(name, "echo", large, timeout_s=0.2)
            start = time.monotonic()
            for _ in range(10):
                world.control.call(name + "-well", "m", b"", timeout_s=5)
            assert time.monotonic() - start < 2.0

    def test_client_libraries_are_loaded_only_where_they_are_asked_for(self, world: World, name: str) -> None:
        with process(world.url, "agent", name):
            loaded = world.control.call(name, "modules", b"", timeout_s=10).split()
        assert (b"kombu" in loaded) == world.url.startswith("amqp")
        if world.url.startswith("unix"):
            assert loaded == []


class TestUnixSocket:
    def test_peers_register_again_when_the_hub_comes_back(self, tmp_path: Path, name: str) -> None:
        url = f"unix:{tmp_path}/bus.sock"
        agent, heard = open_bus(url, role="agent"), queue.SimpleQueue[bytes]()
        agent.serve(name, echo)
        agent.subscribe(name, heard.put)
        assert not agent.connected()
        with pytest.raises(BusError, match="no hub"):
            agent.call("control", "m", b"", timeout_s=5)
        for _ in range(2):
            with process(url, "control", "control") as hub:
                eventually(lambda: echoes(agent, "control"), 3)
                other = open_bus(url, role="agent")
                assert other.call(name, "m", b"1", timeout_s=5) == b"m:1"
                failed = queue.SimpleQueue[float]()
                waiting = threading.Thread(target=_time_of_failure, args=(agent, failed))
                waiting.start()
                time.sleep(0.2)
                killed = time.monotonic()
                hub.kill()
                assert failed.get(timeout=5) - killed < 1.0, "a call over a broken connection fails at once"
                waiting.join()
                other.close()
        agent.publish(name, b"here")
        assert heard.get(timeout=5) == b"here", "subscribers of the same process need no hub"
        with_hub = UnixHub(tmp_path / "bus.sock")
        took = eventually(lambda: answers(with_hub, name), 5)
        assert took < 1.0
        with_hub.publish(name, b"back")
        assert heard.get(timeout=5) == b"back"
        with_hub.close()
        agent.close()

    def test_the_first_control_process_is_the_hub_and_a_stale_socket_misleadsnobody_serves(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "bus.sock"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        first = open_bus(f"unix:{path}", role="control")
        second = open_bus(f"unix:{path}", role="control")
        assert isinstance(first, UnixHub)
        assert isinstance(second, UnixPeer)
        with pytest.raises(HubTaken):
            UnixHub(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        second.serve("api", echo)
        assert first.call("api", "m", b"", timeout_s=5) == b"m:"
        second.close()
        first.close()
        assert not path.exists()

    def test_another_control_process_takes_the_place_of_a_killed_hub(self, tmp_path: Path, name: str) -> None:
        url = f"unix:{tmp_path}/bus.sock"
        with process(url, "control", "control") as hub:
            agent = open_bus(url, role="agent")
            others = [open_bus(url, role="control") for _ in range(2)]
            heard = [queue.SimpleQueue[bytes]() for _ in others]
            agent.serve(name, echo)
            for number, (other, queued) in enumerate(zip(others, heard, strict=True)):
                other.serve(f"{name}-{number}", echo)
                other.subscribe(name, queued.put)
                eventually(lambda other=other: answers(other, name), 3)
            hub.kill()
            hub.wait()
            for caller in (agent, *others):
                for callee in (name, f"{name}-0", f"{name}-1"):
                    took = eventually(lambda caller=caller, callee=callee: answers(caller, callee), 5)
                    assert took < 3.0, "one of the control processes leads the others"
            agent.publish(name, b"here")
            assert [queued.get(timeout=5) for queued in heard] == [b"here", b"here"]
            late = open_bus(url, role="control")
            assert late.call(name, "m", b"1", timeout_s=5) == b"m:1"
            assert sum(one._hub is not None for one in others) == 1
            leader = next(one for one in others if one._hub is not None)
            leader.close()
            with pytest.raises(BusError, match="closed"):
                leader.call(name, "m", b"", timeout_s=5)
            eventually(lambda: answers(late, name), 5)
            for bus in (late, *others, agent):
                bus.close()
            assert not (tmp_path / "bus.sock").exists()

    def test_a_long_path_is_no_obstacle(self, tmp_path: Path) -> None:
        folder = tmp_path / ("deep" * 20) / ("deeper" * 10)
        folder.mkdir(parents=True)
        hub, peer = UnixHub(folder / "bus.sock"), UnixPeer(folder / "bus.sock")
        hub.serve("control", echo)
        assert peer.call("control", "m", b"", timeout_s=5) == b"m:"
        peer.close()
        hub.close()

    @pytest.mark.parametrize(
        "noise", [b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xc1", b"\x00\x00\x00\x02\x91\x63"]
    )
    def test_noise_closes_its_own_connection_only(self, tmp_path: Path, noise: bytes) -> None:
        hub, peer = UnixHub(tmp_path / "bus.sock"), UnixPeer(tmp_path / "bus.sock")
        hub.serve("control", echo)
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(tmp_path / "bus.sock"))
            stranger.settimeout(5)
            stranger.sendall(noise)
            assert stranger.recv(1) == b""
        assert peer.call("control", "m", b"", timeout_s=5) == b"m:"
        peer.close()
        hub.close()

    def test_frames_that_arrive_byte_by_byte(self, tmp_path: Path) -> None:
        from gureum.foundation.bus.envelope import Answer, Call, decode, encode

        hub = UnixHub(tmp_path / "bus.sock")
        hub.serve("control", echo)
        with socket.socket(socket.AF_UNIX) as slow:
            slow.connect(str(tmp_path / "bus.sock"))
            slow.settimeout(5)
            body = encode(Call(7, "control", "m", b"x", 5.0, "-"))
            for byte in len(body).to_bytes(4, "big") + body:
                slow.sendall(bytes([byte]))
            answer = slow.recv(4096)
        assert decode(answer[4:]) == Answer(7, b"m:x")
        hub.close()


def _time_of_failure(bus: Bus, failed: queue.SimpleQueue[float]) -> None:
    with contextlib.suppress(BusError):
        bus.call("control", "sleep", b"60", timeout_s=30)
    failed.put(time.monotonic())


class TestInProcess:
    def test_a_thousand_hosts_cost_no_threads(self) -> None:
        bus = InProcessBus()
        before = threading.active_count()
        for number in range(1000):
            bus.serve(f"hypervisor/host-{number}", echo)
        assert threading.active_count() == before
        for number in range(1000):
            assert bus.call(f"hypervisor/host-{number}", "m", b"", timeout_s=5) == b"m:"
        assert threading.active_count() <= before + 4
        bus.close()

    def test_calls_withinanswers(self) -> None:
        bus = InProcessBus()
        bus.serve("leaf", echo)
        bus.serve("branch", lambda method, payload: bus.call("leaf", method, payload, timeout_s=5), threads=4)
        assert bus.call("branch", "m", b"1", timeout_s=5) == b"m:1"
        bus.close()

    @pytest.mark.parametrize(
        "url", ["", "inprocess:x", "unix:relative", "http://broker", "amqp:broker", "x://u:secret@h"]
    )
    def test_what_is_no_bus_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match="not a bus") as refused:
            open_bus(url, role="agent")
        assert "secret" not in str(refused.value)


@pytest.mark.rabbitmq
class TestRabbitMQ:
    def test_everything_comes_back_after_the_broker(self, broker: Broker, name: str) -> None:
        control, agent = open_bus(broker.url, role="control"), open_bus(broker.url, role="agent")
        heard = queue.SimpleQueue[bytes]()
        release = threading.Event()

        def handle(method: str, payload: bytes) -> bytes:
            if method == "slow":
                release.wait(20)
            return payload

        agent.serve(name, handle)
        agent.subscribe(name, heard.put)
        failed = queue.SimpleQueue[float]()

        def call_slow() -> None:
            with contextlib.suppress(BusError):
                control.call(name, "slow", b"", timeout_s=60)
            failed.put(time.monotonic())

        waiting = threading.Thread(target=call_slow)
        waiting.start()
        # RabbitMQ 3.10 leaves a quorum queue without a leader for ever when it dies within half a second of the first declaration.
        time.sleep(1.5)
        killed = time.monotonic()
        broker.kill()
        assert failed.get(timeout=10) - killed < 2.0, "a call over a broken connection fails at once"
        waiting.join()
        release.set()
        eventually(lambda: not control.connected() and not agent.connected(), 5)
        with pytest.raises(BusError, match="broker"):
            control.call(name, "echo", b"", timeout_s=5)
        agent.publish(name, b"here")
        assert heard.get(timeout=5) == b"here", "subscribers of the same process need no broker"
        broker.start()
        eventually(lambda: echoes(control, name), 30)
        eventually(agent.connected, 10)
        control.publish(name, b"back")
        assert heard.get(timeout=5) == b"back"
        control.close()
        agent.close()

    def test_a_deleted_queue_is_made_again(self, broker: Broker, name: str) -> None:
        from kombu.connection import Connection

        control, agent = open_bus(broker.url, role="control"), open_bus(broker.url, role="agent")
        agent.serve(name, lambda _m, payload: payload)
        with Connection(broker.url) as operator:
            operator.channel().queue_delete(f"gureum.call.{name}")
        eventually(lambda: echoes(control, name), 10)
        control.close()
        agent.close()
