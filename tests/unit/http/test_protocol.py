"""Hostile clients of the HTTP edge, over real sockets: each is answered as documented, or cut off in time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import pytest
from tests.served import closing, rest_of, served, statuses

from gureum.foundation.http import edge, protocol
from gureum.foundation.http.edge import ConnectionLimits
from gureum.foundation.http.protocol import BoundedProtocol

LARGE_ANSWER = 64 << 20
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def app(scope, receive, send):
    """Answers with the number of bytes that the body had; `/large` with many, `/slow` late, `/deaf` without reading."""
    size = 0
    more = scope["path"] != "/deaf"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    content = bytes(LARGE_ANSWER) if scope["path"] == "/large" else str(size).encode()
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": content})


@pytest.fixture(scope="module")
def server():
    with served(app) as server:
        yield server


def is_alive(server) -> bool:
    return statuses(server.exchange(closing(GET))) == [200]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nA: " + b"a" * (100 << 20), 431),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A:\r\n" * 1_000_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"A: %s\r\n" % (b"a" * 1000) * 66 + b"\r\n", 431),
        (b"GET /" + b"a" * 8200 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /" + b"a" * 1_000_000, 431),
        (b"\r\n" * 40_000, 431),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\n" * 500, 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: \x00\r\n\r\n", 400),
        (b"GET /\xff\xfe HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT a:443 HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 1_000_000, 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: " + b"a" * 1_000_000, 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 200, 431),
    ],
    ids=lambda value: repr(value[:60]) if isinstance(value, bytes) else str(value),
)
def test_bad_requests_are_refused(server, request_bytes, status):
    started = time.monotonic()
    assert statuses(server.exchange(request_bytes)) == [status]
    assert time.monotonic() - started < 5
    assert is_alive(server)


def test_requests_at_the_limits_are_answered(server):
    fields = b"A: %s\r\n" % (b"a" * 600) * 97
    assert statuses(
        server.exchange(closing(b"GET /" + b"a" * 8000 + b" HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"))
    ) == [200]
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n"
    assert server.exchange(closing(chunked)).endswith(b"3")
    assert statuses(server.exchange(b"GET / HTTP/1.0\r\n\r\n")) == [200]


def test_head_in_single_bytes_is_answered(server):
    with server.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(3):
            for byte in b"POST /%d HTTP/1.1\r\nHost: abc\r\nContent-Length: 3\r\n\r\nabc" % number:
                connection.send(bytes([byte]))
            assert connection.recv(1000).endswith(b"\r\n\r\n3")


def test_head_in_many_pieces_costs_no_quadratic_work(server, monkeypatch):
    """Each byte reaches the parser once, in lines, however small the pieces are."""
    fed = []

    class Parser:
        def feed_data(self, data):
            fed.append(bytes(data))

    connection = _unconnected(server)
    connection.parser = Parser()
    connection._in_head, connection._fruitless = True, 1
    for _ in range(60_000):
        connection.data_received(b"a")
    assert not fed
    connection.data_received(b"\n")
    assert fed == [b"a" * 60_000 + b"\n"]


def _unconnected(server) -> BoundedProtocol:
    loop = asyncio.new_event_loop()
    made = server.server.config.http_protocol_class(server.server.config, server.server.server_state, {}, _loop=loop)
    loop.close()
    made._timer = made.loop  # a timer that runs already
    return made


def test_upgrade_is_ignored_and_ends_the_connection(server):
    upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    answer = server.exchange(upgrade)
    assert statuses(answer) == [200]
    assert b"connection: close" in answer


def test_unfinished_head_is_refused_in_time(server, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_S", 0.3)
    started = time.monotonic()
    assert statuses(server.exchange(b"GET / HTTP/1.1\r\nA: ")) == [408]
    assert server.exchange(b"") == b""
    assert statuses(server.exchange(b"\r\n")) == [408]
    assert statuses(server.exchange(GET + b"GET / HTT")) == [200, 408]
    with server.connect() as connection:
        connection.sendall(GET)
        assert statuses(connection.recv(1000)) == [200]
        connection.sendall(b"\r\n")
        assert statuses(rest_of(connection)) == [408]
    assert 1.5 <= time.monotonic() - started < 6


def test_connection_at_rest_ends_in_time(server, monkeypatch):
    monkeypatch.setattr(server.server.config, "timeout_keep_alive", 1.5)
    with server.connect() as connection:
        for _ in range(3):
            connection.sendall(GET)
            assert statuses(connection.recv(1000)) == [200]
            time.sleep(0.7)
        began = time.monotonic()
        assert rest_of(connection) == b""
        assert time.monotonic() - began < 5


def test_dripping_head_has_no_more_time(server, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_S", 0.5)
    with server.connect() as connection:
        started = time.monotonic()
        connection.settimeout(0.05)
        connection.sendall(b"GET / HTTP/1.1\r\n")
        text = b""
        while not text and time.monotonic() - started < 5:
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"A: b\r\n")
            with contextlib.suppress(TimeoutError):
                text = connection.recv(1000)
    assert statuses(text) == [408]
    assert time.monotonic() - started < 3


def test_unread_rest_of_an_answered_body_ends_in_time(server, monkeypatch):
    monkeypatch.setattr(protocol, "UNREAD_S", 0.3)
    started = time.monotonic()
    assert statuses(server.exchange(b"POST /deaf HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")) == [200]
    assert time.monotonic() - started < 3


def test_a_client_that_goes_on_sending_after_its_answer_is_cut_off(server):
    with server.connect() as connection:
        connection.sendall(b"POST /deaf HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
        assert statuses(connection.recv(1000)) == [200]
        before, sent = server.loop_s(), 0
        with pytest.raises(ConnectionError):
            while sent < 200:
                connection.sendall(bytes(1 << 20))
                sent += 1
        assert sent < 50
        assert server.loop_s() - before < 0.1


def test_connection_is_kept_when_the_rest_of_a_body_comes(server):
    with server.connect() as connection:
        connection.sendall(b"POST /deaf HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        assert statuses(connection.recv(1000)) == [200]
        connection.sendall(b"defghi" + GET)
        assert statuses(connection.recv(1000)) == [200]


def test_pipelined_requests_are_answered_in_order_up_to_a_bound(server):
    posts = [
        b"POST /%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (b"slow" if n == 1 else b"", n, b"a" * n)
        for n in range(1, 9)
    ]
    posts[-1] = closing(posts[-1][:-8]) + b"a" * 8
    answer = server.exchange(b"".join(posts))
    assert [part[-1:] for part in answer.split(b"HTTP/1.1 ")[1:]] == [str(n).encode() for n in range(1, 9)]
    many = server.exchange(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" + GET * 10_000)
    assert statuses(many) == [200] * (1 + protocol.PIPELINED)
    assert is_alive(server)


def test_a_refusal_never_overtakes_an_answer(server):
    for rest in (b"NONSENSE\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"):
        assert statuses(server.exchange(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" + rest)) == [200]


def test_broken_body_is_refused_while_the_application_reads_it(server):
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    assert statuses(server.exchange(head, b"nonsense\r\n")) == [400]


def test_answer_that_nobody_reads_is_given_up(server, monkeypatch):
    monkeypatch.setattr(protocol, "STALL_S", 0.3)
    for request in (
        b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ):
        with server.connect(receive_bytes=4096) as connection:
            connection.sendall(request)
            time.sleep(1.5)
            assert len(rest_of(connection)) < LARGE_ANSWER
    assert not server.edge.answers.total


def test_slow_reader_gets_the_whole_answer(server, monkeypatch):
    monkeypatch.setattr(protocol, "STALL_S", 2.0)
    with server.connect() as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        size = 0
        while piece := connection.recv(1 << 20):
            size += len(piece)
            time.sleep(0.04)
    assert size > LARGE_ANSWER


def test_unread_answers_of_many_are_bounded(monkeypatch):
    with served(app) as server:
        server.edge.answers._limit_bytes = LARGE_ANSWER
        server.edge.answers._patience_s = 0
        with contextlib.ExitStack() as held:
            for _ in range(3):
                connection = held.enter_context(server.connect(receive_bytes=4096))
                connection.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
                connection.recv(1)
            assert server.edge.answers.total <= LARGE_ANSWER
            assert is_alive(server)


def test_answers_that_are_read_go_on_however_many_they_are():
    """Many hosts fetch an image at the same time: together they are beyond the budget, each of them is read."""
    with served(app) as server, contextlib.ExitStack() as held:
        server.edge.answers._limit_bytes, server.edge.answers._patience_s = 1 << 20, 0.5
        sizes = {}

        def begin():
            reader = held.enter_context(server.connect())
            reader.sendall(closing(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"))
            sizes[reader] = len(reader.recv(1 << 16))

        def read_of_each():
            for reader in sizes:
                sizes[reader] += len(reader.recv(1 << 18))

        for _ in range(6):
            begin()
        unread = held.enter_context(server.connect(receive_bytes=4096))
        unread.sendall(closing(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"))
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            read_of_each()
            time.sleep(0.02)
        begin()  # those before it have waited long enough to be asked
        while min(sizes.values()) < LARGE_ANSWER:
            read_of_each()
        assert len(rest_of(unread)) < LARGE_ANSWER


def test_unfinished_heads_of_many_are_bounded():
    with served(app) as server, contextlib.ExitStack() as held:
        for _ in range(200):
            held.enter_context(server.connect()).sendall(b"GET / HTTP/1.1\r\nA: " + b"a" * 60_000)
        assert is_alive(server)
        assert server.edge.heads.total <= edge.HEADS_BUDGET_BYTES


def test_idle_connections_of_an_address_make_room_for_its_next_ones():
    limits = ConnectionLimits(in_all=100, per_address=10, proxies=())
    with served(app, limits) as server, contextlib.ExitStack() as held:
        other = held.enter_context(server.connect("127.0.0.3"))
        idle = [held.enter_context(server.connect("127.0.0.2")) for _ in range(30)]
        for connection in idle:
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET / HT")
        with server.connect("127.0.0.2") as connection:
            connection.sendall(GET)
            assert statuses(connection.recv(1000)) == [200]
        other.sendall(GET)
        assert statuses(other.recv(1000)) == [200]
        assert server.connections() <= 12


def test_a_full_server_ends_what_the_largest_address_holds():
    limits = ConnectionLimits(in_all=20, per_address=0, proxies=())
    with served(app, limits) as server, contextlib.ExitStack() as held:
        other = held.enter_context(server.connect("127.0.0.3"))
        for _ in range(30):
            held.enter_context(server.connect("127.0.0.2"))
        for source in ("127.0.0.4", "127.0.0.2"):
            with server.connect(source) as connection:
                connection.sendall(GET)
                assert statuses(connection.recv(1000)) == [200]
        other.sendall(GET)
        assert statuses(other.recv(1000)) == [200]


def test_connections_at_work_are_not_ended_and_operators_have_places_of_their_own():
    limits = ConnectionLimits(in_all=3, per_address=2, proxies=("127.0.0.7",))
    with served(app, limits) as server, contextlib.ExitStack() as held:
        busy = [held.enter_context(server.connect(source)) for source in ("127.0.0.2", "127.0.0.2", "127.0.0.7")]
        for connection in busy:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
        time.sleep(0.2)
        with server.connect("127.0.0.1") as operator:  # beyond all limits, as it comes from the machine itself
            operator.sendall(GET)
            assert statuses(operator.recv(1000)) == [200]
        for connection in busy:
            connection.sendall(b"a")
            assert statuses(connection.recv(1000)) == [200]


def test_newcomers_from_elsewhere_are_refused_when_all_are_at_work(monkeypatch):
    monkeypatch.setattr(edge, "OPERATORS", 1)
    with served(app, ConnectionLimits(in_all=1)) as server, contextlib.ExitStack() as held:
        for _ in range(2):
            held.enter_context(server.connect()).sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
            time.sleep(0.1)
        assert statuses(server.exchange(GET)) == [503]


def test_networks_of_proxies_are_checked():
    with pytest.raises(ValueError, match="proxy.example"):
        ConnectionLimits(proxies=("proxy.example",))
