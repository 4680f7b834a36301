"""A request's body as it arrives: bounded in size, in time, and over all requests that are still arriving.

Raises TooLarge, RequestTimeout, ClientGone. Read next: `body.py` for what is in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from gureum.foundation.errors import BadRequest, RequestTimeout, TooLarge
from gureum.foundation.http.budget import Budget

Receive = Callable[[], Awaitable[dict[str, Any]]]

BODY_TIMEOUT_S = 60.0
PUBLIC_BODY_BYTES = 64 << 10
"""What a caller without a token may send: a request for one is far smaller."""
BODIES_BUDGET_BYTES = 16 << 20
LEAST_BYTES = 32 << 10
"""What a body counts for at least: 512 of them may be on their way, however little of them came."""


class ClientGone(BadRequest):
    """The client went away inside its body."""

    default = "The request body ended early."


class Bodies:
    """Reads whole bodies into memory. Beyond 16 MiB or 512 of them in all, those that take longest are refused."""

    def __init__(self) -> None:
        self.budget = Budget(BODIES_BUDGET_BYTES)

    async def read(self, receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
        """The body, of `limit` bytes at most."""
        declared = headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
            raise TooLarge(f"The request body is larger than {limit} bytes.")
        return await self.whole(stream(receive), limit)

    async def whole(self, chunks: AsyncIterator[bytes], limit: int) -> bytes:
        """All chunks, of `limit` bytes at most."""
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S) as timeout:
                give_up = partial(_expire, timeout)
                self.budget.hold(id(parts), LEAST_BYTES, give_up)
                async for chunk in chunks:
                    size += len(chunk)
                    if size > limit:
                        raise TooLarge(f"The request body is larger than {limit} bytes.")
                    parts.append(chunk)
                    if size > LEAST_BYTES:
                        self.budget.hold(id(parts), size, give_up)
        except TimeoutError as error:
            raise RequestTimeout("The request body did not arrive in time.") from error
        finally:
            self.budget.release(id(parts))
        return b"".join(parts)


def _expire(timeout: asyncio.Timeout) -> int:
    if not timeout.expired():
        timeout.reschedule(asyncio.get_running_loop().time())
    return 0


async def stream(receive: Receive) -> AsyncIterator[bytes]:
    """The body's pieces, as they come."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return
