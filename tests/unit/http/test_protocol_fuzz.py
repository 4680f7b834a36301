"""Any bytes in any pieces: the protocol answers or closes, raises nothing and forgets nothing."""

from __future__ import annotations

import asyncio
import logging
import re

import httptools
from hypothesis import example, given, settings
from hypothesis import strategies as st
from uvicorn import Config
from uvicorn.server import ServerState

from gureum.foundation.http.edge import ConnectionLimits, Edge
from gureum.foundation.http.protocol import BoundedProtocol


class Transport:
    """Keeps what is written; `ends` counts the ways in which the server ended the connection."""

    def __init__(self):
        self.written, self.closed = b"", False

    def get_extra_info(self, name, default=None):
        return {"peername": ("127.0.0.9", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def write(self, data):
        assert not self.closed
        self.written += data

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    abort = close

    def write_eof(self):
        assert not self.closed

    def pause_reading(self):
        pass

    resume_reading = pause_reading


async def app(scope, receive, send):
    """Reads its body and answers late, so that what is sent ahead has to wait; `/deaf` does not read."""
    more = scope["path"] != "/deaf"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message["more_body"]
    await asyncio.sleep(0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


PARTS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /deaf HTTP/1.1\r\nHost: a\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\n",
    b"POST /deaf HTTP/1.1\r\nHost: a\r\n", b"Content-Length: 3\r\n\r\nabc", b"Content-Length: 70000\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"3;x=y\r\nabc\r\n",
    b"GET /", b" HTTP/1.1\r\n", b"Host: a\r\n", b"A: b\r\n", b"A: b\r\n" * 60, b"\r\n", b"\n", b"\r", b" ", b":", b"\x00",
    b"Connection: close\r\n", b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"Expect: 100-continue\r\n", b"HTTP/1.0\r\n",
    b"a" * 9000, b"a" * 70000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", b"zz\r\n",
    b"GET http://a/b?c#d HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 12, b"\xff\xfe", b"fffffffffffffffff\r\n",
]  # fmt: skip

loose = st.lists(st.one_of(st.sampled_from(PARTS), st.binary(max_size=4)), min_size=1, max_size=12).map(b"".join)


@settings(max_examples=400)
@given(loose, st.lists(st.integers(1, 400), max_size=30), st.booleans())
@example(PARTS[0] * 12, [], False)
@example(PARTS[2] + PARTS[6] + b"3\r\nabc\r\nzz", [], True)
def test_any_bytes_in_any_pieces(text, sizes, lost):
    failures.clear()

    async def converse():
        problems = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: problems.append(context))
        transport = Transport()
        connection = Protocol(config, ServerState(), {})
        connection.connection_made(transport)
        rest = text
        for size in [*sizes, len(text)]:
            if transport.closed or not rest:
                break
            connection.data_received(rest[:size])
            rest = rest[size:]
            await asyncio.sleep(0)
        for _ in range(60):
            await asyncio.sleep(0)
        if lost or transport.closed:
            connection.connection_lost(None if transport.closed else ConnectionResetError())
            for _ in range(5):
                await asyncio.sleep(0)
        else:
            waits = connection._timer or connection._rest_timer or connection._in_body
            assert waits, "somebody ends the connection"
            connection.connection_lost(None)
        assert not connection.edge._places
        assert connection.edge.heads.total == 0
        assert not problems
        return transport.written

    written = asyncio.run(converse())
    assert not failures
    assert set(re.findall(rb"HTTP/1.1 (\d+)", written)) <= {b"100", b"200", b"400", b"408", b"414", b"431"}
    parse_answers(written)


def parse_answers(written: bytes) -> None:
    """Raises when the answers are not well formed, one after the other."""
    parser = httptools.HttpResponseParser(type("Nothing", (), {})())
    parser.feed_data(written)


failures: list[logging.LogRecord] = []


class Failures(logging.Handler):
    def emit(self, record):
        failures.append(record)


logging.getLogger("uvicorn.error").addHandler(Failures(logging.ERROR))
config = Config(app, lifespan="off", ws="none", access_log=False, log_config=None)
config.load()


class Protocol(BoundedProtocol):
    edge = Edge(ConnectionLimits())
