"""An answer on its way out: status, headers and a body in memory or as a stream.

A stream's next chunk is read while one is being sent, and no more: a slow client holds two chunks. A client that goes
away ends the reading, and a body that can be closed is closed, however it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gureum.foundation.http.views import encoded

_encode = msgspec.json.Encoder(enc_hook=encoded).encode
_END = object()

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class Answer:
    """`body` is a JSON-able value, bytes, an iterator or an async iterator of bytes, or None."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str = "application/json"
    head: bool = False

    def render(self) -> None:
        """Turn a JSON-able body into bytes; on the handler's thread, so that the loop does not pay for it."""
        if self.body is not None and not isinstance(self.body, bytes | Iterator | AsyncIterator):
            self.body = _encode(self.body)


async def send_answer(answer: Answer, own: list[tuple[bytes, bytes]], receive: Receive, send: Send) -> int:
    """Send the whole answer; returns its status. `receive` tells of a client that goes away."""
    answer.render()
    body = answer.body
    headers = own + [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    names = {name for name, _ in headers}
    if body is not None and b"content-type" not in names:
        headers.append((b"content-type", answer.content_type.encode()))
    if (body is None or isinstance(body, bytes)) and answer.status not in (204, 304) and b"content-length" not in names:
        headers.append((b"content-length", str(len(body or b"")).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if isinstance(body, bytes) or body is None or answer.head:
        content = body if isinstance(body, bytes) and not answer.head else b""
        await send({"type": "http.response.body", "body": content})
        return answer.status
    await _send_stream(body, receive, send)
    return answer.status


async def _send_stream(body: Iterator[bytes] | AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    gone = asyncio.create_task(_disconnected(receive))
    try:
        async with contextlib.aclosing(_chunks(body)) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                if gone.done():
                    return
        await send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _chunks(body: Iterator[bytes] | AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    if isinstance(body, AsyncIterator):
        async for chunk in body:
            yield chunk
        return
    loop = asyncio.get_running_loop()
    reading = loop.run_in_executor(None, next, body, _END)
    try:
        while (found := await reading) is not _END:
            reading = loop.run_in_executor(None, next, body, _END)
            yield found  # type: ignore[misc]  # what is not the end mark is bytes
    finally:
        await asyncio.wait([reading])
        if not reading.cancelled():
            reading.exception()  # a failure of a chunk that nobody waits for any more
        if close := getattr(body, "close", None):
            close()
