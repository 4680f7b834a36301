"""The listener of a process without an API: what is broken, what was counted, and that nothing holds it up."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time

import pytest

from gureum.foundation.config import ConfigError, WorkerConfig
from gureum.roles.watched import MOST_WATCHERS, Health, watched


def free_ports():
    """A port that is free, with its neighbour."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as one, socket.socket() as two:
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def ask(listener, path, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", listener.port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        connection.close()


def listening(health, measure=lambda: b"counts 1\n", **section):
    return watched(WorkerConfig(**{"port": free_ports(), **section}), health, measure)


def test_it_says_what_is_broken():
    works = {"database": True, "bus": True}
    with listening(Health({name: lambda n=name: works[n] for name in works})) as listener:
        status, kind, content = ask(listener, "/healthz")
        assert (status, kind, json.loads(content)) == (200, "application/json", {"status": "ok"})
        works["bus"] = False
        status, _, content = ask(listener, "/healthz")
        assert (status, json.loads(content)) == (503, {"status": "broken", "broken": ["bus"]})
        works["database"] = False
        assert json.loads(ask(listener, "/healthz?verbose")[2])["broken"] == ["database", "bus"]
        works.update(database=True, bus=True)
        assert ask(listener, "/healthz")[0] == 200


def test_a_check_that_raises_is_broken():
    with listening(Health({"database": lambda: 1 / 0})) as listener:
        assert ask(listener, "/healthz")[0] == 503


def test_a_check_that_hangs_is_broken_and_asked_once():
    release, asked = threading.Event(), []

    def hang():
        asked.append(1)
        return release.wait(30)

    with listening(Health({"database": hang, "bus": lambda: True}, answer_s=0.05)) as listener:
        for _ in range(3):
            status, _, content = ask(listener, "/healthz")
            assert (status, json.loads(content)["broken"]) == (503, ["database"])
        assert ask(listener, "/metrics")[0] == 200
        assert len(asked) == 1
        release.set()
        statuses = {ask(listener, "/healthz")[0] for _ in range(20)}
        assert 200 in statuses


def test_counts_and_nothing_else():
    with listening(Health({})) as listener:
        assert ask(listener, "/metrics") == (200, "text/plain; version=0.0.4; charset=utf-8", b"counts 1\n")
        assert ask(listener, "/metrics", "HEAD")[::2] == (200, b"")
        assert ask(listener, "/compute/v2.1/servers")[0] == 404
        assert ask(listener, "/healthz", "POST")[0] == 501


def test_workers_of_one_machine_take_one_port_after_the_other():
    port = free_ports()
    with listening(Health({}), port=port, ports=2) as one:
        with listening(Health({}), port=port, ports=2) as two:
            assert (one.port, two.port) == (port, port + 1)
            with (
                pytest.raises(ConfigError, match=f"from {port} to {port + 1} are in use"),
                listening(Health({}), port=port, ports=2),
            ):
                pass
        with listening(Health({}), port=port, ports=2) as again:
            assert again.port == port + 1


def test_off_unless_a_port_is_named_and_an_address_that_is_none_is_told():
    with watched(WorkerConfig(), Health({}), lambda: b"") as listener:
        assert listener is None
    with (
        pytest.raises(ConfigError, match=r"\[worker\] listen: 192.0.2.1 port"),
        listening(Health({}), listen="192.0.2.1"),
    ):
        pass


def test_a_client_that_says_nothing_holds_up_nobody():
    with listening(Health({})) as listener, socket.create_connection(("127.0.0.1", listener.port)):
        assert ask(listener, "/healthz")[0] == 200


def test_half_requests_hold_so_many_threads_and_nobody_else():
    before = threading.active_count()
    with listening(Health({})) as listener, contextlib.ExitStack() as held:
        for _ in range(3 * MOST_WATCHERS):
            held.enter_context(socket.create_connection(("127.0.0.1", listener.port))).sendall(b"GET /hea")
        assert ask(listener, "/healthz")[0] == 200
        deadline = time.monotonic() + 5
        while threading.active_count() - before > MOST_WATCHERS + 5 and time.monotonic() < deadline:
            time.sleep(0.02)  # those that made room are on their way out
        assert threading.active_count() - before <= MOST_WATCHERS + 5
