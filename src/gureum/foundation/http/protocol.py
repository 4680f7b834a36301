"""HTTP/1.1 on one connection with every wait and every buffer bounded: uvicorn's protocol, and limits around it.

A head has 64 KiB, 100 header lines, 8 KiB of target and 10 s; what is beyond gets 431, 414 or 408 before any handler.
Bytes that bring neither a head nor a body further (chunk extensions, trailers) count like those of a head. A client
that does not read its answer is cut off, and so is one that does not end its body after it was answered. What all
connections share is in `edge.py`. Invariant: one connection costs at most a few hundred KiB, whatever its client sends,
and an answer never overtakes that of an earlier request.
Source: RFC 9110 (status codes), RFC 9112 (framing), RFC 6585 (431). Read next: `serve.py`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gureum.foundation.connections import AT_REST, AT_WORK, SILENT
from gureum.foundation.http.edge import ANSWERS_PATIENCE_S, Edge

_log = logging.getLogger("gureum.http")

HEAD_BYTES = 64 << 10
HEADERS = 100
TARGET_BYTES = 8 << 10
HEAD_S = 10.0
PIPELINED = 8
"""Requests that may wait for the answer of the one before them; no client that we know of sends ahead at all."""
UNREAD_S = 5.0
"""How long the rest of a body is read, and dropped, after its request was answered."""
LINGER_S = 2.0
DROPPED_BYTES = 4 << 20
"""What is read and dropped so that the client gets to see its answer: reading for ever would hold up the others."""
STALL_S = 30.0
STALL_RATE = 1 << 10
"""A client reads its answer at this rate, in bytes a second over `STALL_S`, or loses it."""
CROWDED_RATE = 64 << 10
"""The same while answers wait that hold more than their budget, over a second."""


class _RefusedError(Exception):
    """Raised within the parser's calls, to stop it."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A subclass with an `edge` is given to uvicorn."""

    edge: ClassVar[Edge]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._fruitless = 0  # bytes received since a head was complete or a piece of a body came
        self._piece = 0
        self._hosts = 0
        self._gathered = bytearray()
        self._in_head = False
        self._in_body = False
        self._over = False
        self._dropped = 0
        self._unsent = 0
        self._looked_at = 0.0
        self._running: RequestResponseCycle | None = None
        self._refusal = (400, "The request is not valid HTTP/1.1.")
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._rest_timer: asyncio.TimerHandle | None = None
        self._at_rest_since = 0.0

    def rank(self) -> int:
        """How ready the connection is to make room for another one."""
        if self._running is None:
            return SILENT
        if self.cycle.response_complete:
            return AT_REST
        unread_s = self.loop.time() - self._looked_at if self._stall is not None else 0.0
        return AT_REST if unread_s > ANSWERS_PATIENCE_S and not self._reads(CROWDED_RATE) else AT_WORK

    # -- the connection --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.edge.admit(self, self.client[0] if self.client else ""):
            self._timer = self.loop.call_later(HEAD_S, self._late_head)
        else:
            self._refuse(503, "Too many connections are open.")

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        for timer in (self._stall, self._rest_timer):
            if timer is not None:
                timer.cancel()
        self.edge.leave(self)
        self.pipeline.clear()
        if self._running is not None and not self._running.response_complete:
            self._tell_disconnected(self._running)
        super().connection_lost(exc)

    # -- what comes in -----------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._over:
            self._drop(len(data))
            return
        self._piece = len(data)
        self._fruitless += self._piece
        if self._gathered or (self._in_head and b"\n" not in data):
            # The parser adds each piece of a line to a copy of what it has: it gets whole lines instead.
            self._gathered += data
            if b"\n" not in data and self._fruitless <= HEAD_BYTES:
                self.edge.heads.hold(self, self._fruitless, self._late_head)
                return
            data = bytes(self._gathered)
            self._gathered.clear()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # RFC 9110, section 7.8: an upgrade may be ignored. The parser cannot go on after it.
            self._close_after_answers()
        except httptools.HttpParserError:
            self._refuse(*self._refusal)
        else:
            if self._fruitless > HEAD_BYTES:
                self._refuse(431, "The request's head is too large.")
            elif self._in_head or (self._fruitless and not self._in_body):
                self.edge.heads.hold(self, self._fruitless, self._late_head)
                if self._timer is None:
                    self._timer = self.loop.call_later(HEAD_S, self._late_head)

    def on_message_begin(self) -> None:
        self._in_head = True
        self._hosts = 0
        HttpToolsProtocol.on_message_begin(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))
        if len(self.headers) > HEADERS:
            self._stop_parsing(431, f"The request has more than {HEADERS} header fields.")

    def on_headers_complete(self) -> None:
        large = self._fruitless > HEAD_BYTES or self._piece > HEAD_BYTES
        if large and sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_BYTES:
            self._stop_parsing(431, "The request's head is too large.")
        if len(self.url) > TARGET_BYTES:
            self._stop_parsing(414, f"The request's target is longer than {TARGET_BYTES} bytes.")
        if self._hosts != 1 and (self._hosts or self.parser.get_http_version() != "1.0"):
            self._stop_parsing(400, "A request has one Host field.")
        if self.pipeline and len(self.pipeline) >= PIPELINED:
            self._stop_parsing(400, "Too many requests were sent ahead.")
        HttpToolsProtocol.on_headers_complete(self)
        if not self.pipeline:
            self._running = self.cycle
        self._in_head = False
        self._in_body = True
        self._fruitless = 0
        if self._timer is not None:
            self._stop_timer()
            self.edge.heads.release(self)

    def on_body(self, body: bytes) -> None:
        self._fruitless = 0
        if self.cycle.response_complete:
            self._drop(len(body))
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._fruitless = 0
        self._in_body = False
        if not self.cycle.response_complete:
            self.cycle.more_body = False
            self.cycle.message_event.set()
            return
        self._dropped = 0
        self._stop_timer()
        self._rest()

    def _stop_parsing(self, status: int, text: str) -> None:
        self._refusal = (status, text)
        raise _RefusedError

    def _late_head(self) -> int:
        """The time for a head is over, or the memory for unfinished ones."""
        if self._fruitless or self._in_head:
            self._refuse(408, "The request's head did not arrive in time.")
        else:
            self.transport.close()
        return 0

    # -- what goes out -----------------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        if self._running is not None and self._running.body:
            self._running.body.clear()  # what the application did not read
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self.flow.resume_reading()
            self._running, app = self.pipeline.pop()
            self._start_asgi_task(self._running, app)
        elif self._over:
            self._linger()
        else:
            self.flow.resume_reading()
            if self._in_body:
                self._stop_timer()
                self._timer = self.loop.call_later(UNREAD_S, self.transport.close)
            self._rest()

    def _rest(self) -> None:
        """Nothing is asked now. One timer for many requests: making one for each costs more than all other checks."""
        self._at_rest_since = self.loop.time()
        if self._rest_timer is None:
            self._rest_timer = self.loop.call_later(self.timeout_keep_alive, self._look_at_rest)

    def _look_at_rest(self) -> None:
        self._rest_timer = None
        if self._in_head or self._in_body or not self.cycle.response_complete:
            return
        left_s = self._at_rest_since + self.timeout_keep_alive - self.loop.time()
        if left_s <= 0:
            self.transport.close()
        else:
            self._rest_timer = self.loop.call_later(left_s, self._look_at_rest)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait_for_reader(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self.edge.answers.release(self)
        super().resume_writing()

    def _wait_for_reader(self, unsent: int) -> None:
        """So much has to be sent before anything else is written."""
        self._unsent, self._looked_at = unsent, self.loop.time()
        self._stall = self.loop.call_later(STALL_S, self._look_at_reader)
        self.edge.answers.hold(self, unsent, self._left_of_answer)

    def _look_at_reader(self) -> None:
        """The client loses the answer that it does not read."""
        self.edge.answers.release(self)
        if self._reads(STALL_RATE):
            self._wait_for_reader(self.transport.get_write_buffer_size())
        else:
            self.transport.abort()

    def _left_of_answer(self) -> int:
        """Asked while all answers that wait are beyond their budget."""
        if self._reads(CROWDED_RATE):
            return self.transport.get_write_buffer_size()
        self.transport.abort()
        return 0

    def _reads(self, rate: int) -> bool:
        """Whether the client read so many bytes a second since the last look."""
        read = self._unsent - self.transport.get_write_buffer_size()
        return read >= rate * (self.loop.time() - self._looked_at)

    # -- the end -----------------------------------------------------------------------------------------------

    def _refuse(self, status: int, text: str) -> None:
        """Answer in place of the application; where earlier requests have yet to be answered, only end after those."""
        _log.info("%s is refused: %d %s", self.client, status, text)
        self.edge.heads.release(self)
        if self._in_body:
            if self.cycle.response_complete:
                self._over = True
                self._linger()
                return
            if self.pipeline and self.pipeline[0][0] is self.cycle:
                self.pipeline.popleft()  # the application has not seen it
                self._close_after_answers()
                return
            self._tell_disconnected(self.cycle)
            if self.cycle.response_started:
                self._over = True
                self.transport.close()
                return
        elif self._running is not None and not self.cycle.response_complete:
            self._close_after_answers()
            return
        self._answer_refusal(status, text)

    def _answer_refusal(self, status: int, text: str) -> None:
        self._over = True
        self._gathered.clear()
        self.parser = None  # type: ignore[assignment]  # with what it holds of the head
        body = msgspec.json.encode({"error": {"code": status, "message": text}})
        fields = [*self.server_state.default_headers, (b"content-type", b"application/json"), (b"connection", b"close")]
        fields.append((b"content-length", str(len(body)).encode()))
        lines = [b"%s: %s\r\n" % field for field in fields]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        self._linger()

    def _close_after_answers(self) -> None:
        """Nothing more is read; the answer to the last request that came whole ends the connection."""
        self._over = True
        last = self.pipeline[0][0] if self.pipeline else self._running
        if last is not None:
            last.keep_alive = False

    @staticmethod
    def _tell_disconnected(cycle: RequestResponseCycle) -> None:
        cycle.disconnected = True
        cycle.message_event.set()

    def _linger(self) -> None:
        """End our side and drop what still comes, for a moment: closing on unread bytes would reset the answer away."""
        self._stop_timer()
        if self.transport.is_closing():
            return
        self.transport.write_eof()
        self._timer = self.loop.call_later(LINGER_S, self.transport.abort)

    def _drop(self, size: int) -> None:
        self._dropped += size
        if self._dropped > DROPPED_BYTES:
            self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
