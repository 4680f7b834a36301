"""An upload, from the socket to the store: chunks gather on the event loop, a thread feeds them to the ingest.

Not here: what makes data acceptable (the ingest and its inspector) and whose the image is (`claim.py`).
While one batch is being taken in the next one gathers, and no more: a store that is slow slows its client down, and an
upload holds less than a mebibyte. A client that is slow is cut off. Whatever ends an upload early leaves a queued image
and nothing readable in the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gureum.drivers.image.errors import ImageRefused, ImageStoreError, ImageTooLarge, StoreFull
from gureum.drivers.image.ingest import PIECE_BYTES, Ingest, Ingested
from gureum.drivers.image.pace import MinimumRate, Pace, TooSlow
from gureum.foundation.db.failures import DatabaseFailure, OutcomeUnknown
from gureum.foundation.errors import ApiError, BadRequest, Gone, TooLarge, Unavailable
from gureum.services.image.data import claim
from gureum.services.image.data.claim import Claim
from gureum.services.image.data.memory import keep_for_streams
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.lifecycle import UPLOAD_BEAT_S

log = logging.getLogger("gureum.image")
T = TypeVar("T")

IDLE_S = 30.0
"""A client that sends nothing for so long has lost its upload."""
FEEDERS = min(max(4, os.cpu_count() or 1), 16)
"""Uploads that are hashed and written at the same time. More would only contend for the GIL with other requests."""
REFUSED_S, REFUSED_BYTES = 30.0, 1 << 30
"""What a refused client may go on sending before its connection is closed: most read no answer before the end."""

_CLOSE = {"Connection": "close"}
_pool = ThreadPoolExecutor(16, thread_name_prefix="image")
_feeders = ThreadPoolExecutor(FEEDERS, thread_name_prefix="image-feeder")


async def aside(work: Callable[[], T]) -> T:
    """`work` on one of the image service's own threads: uploads never take the API's."""
    return await asyncio.get_running_loop().run_in_executor(_pool, work)


async def receive(deps: ImageDeps, mine: Claim, stream: AsyncIterator[bytes]) -> None:
    """Give the claimed image the stream's bytes. Raises ApiError; then the image is queued again."""
    keep_for_streams()
    try:
        found = await _through(deps, mine, stream)
        await _finish(deps, mine, found)
    except BaseException:
        await asyncio.shield(aside(lambda: deps.database.write(lambda tx: claim.give_back(tx, mine))))
        raise


@contextlib.asynccontextmanager
async def draining(stream: AsyncIterator[bytes]) -> AsyncIterator[None]:
    """Take what a refused client still sends, in turn with other requests, before it is answered.

    The server would else discard it as fast as it comes, and answer nobody meanwhile.
    """
    try:
        yield
    except ClientTooSlow as error:
        error.headers = _CLOSE
        raise
    except ApiError as error:
        if not await _ends(stream):
            error.headers = {**error.headers, **_CLOSE}
        raise


async def _ends(stream: AsyncIterator[bytes]) -> bool:
    """Whether the stream comes to an end, within bounds."""
    left = REFUSED_BYTES
    try:
        async with asyncio.timeout(REFUSED_S):
            async for chunk in stream:
                left -= len(chunk)
                if left < 0:
                    return False
                await asyncio.sleep(0)
    except (TimeoutError, ApiError):
        return False
    return True


class ClientTooSlow(BadRequest):
    """The client of an upload is not waited for any longer."""


async def _finish(deps: ImageDeps, mine: Claim, found: Ingested) -> None:
    """The row holds the data. Data that it did not take is removed; where nobody knows, the store's sweep looks."""
    try:
        await aside(lambda: deps.database.write(lambda tx: claim.finish(deps.events, tx, mine, found)))
    except OutcomeUnknown:
        raise
    except (Gone, DatabaseFailure):
        with contextlib.suppress(ImageStoreError):  # the sweep removes it later
            await aside(lambda: deps.stores.engine(mine.store).delete(found.blob.location))
        raise


async def _through(deps: ImageDeps, mine: Claim, stream: AsyncIterator[bytes]) -> Ingested:
    """The stream through hashes, inspector and store, while the claim is kept alive."""
    feeder: _Feeder | None = None
    beating: asyncio.Task[None] | None = None
    try:
        writer = await aside(lambda: deps.stores.engine(mine.store).create(mine.image_id))
        ingest = Ingest(writer, max_size_bytes=mine.max_bytes, declared_format=mine.declared_format or None)
        feeder = _Feeder(ingest, Pace(MinimumRate(deps.config.minimum_rate_kib_s << 10)))
        beating = asyncio.create_task(_keep(deps, mine, feeder))
        await feeder.drink(stream)
        return await aside(ingest.finish)
    except ImageStoreError as error:
        raise _told(error, mine) from error
    finally:
        if beating is not None:
            beating.cancel()
        if feeder is not None:
            await asyncio.shield(feeder.close())


class _Feeder:
    """Gathers chunks into batches and feeds one at a time."""

    def __init__(self, ingest: Ingest, pace: Pace) -> None:
        self._ingest = ingest
        self._pace = pace
        self._chunks: list[bytes] = []
        self._gathered = 0
        self._under_way: asyncio.Future[None] | None = None
        self.lost = False

    async def drink(self, stream: AsyncIterator[bytes]) -> None:
        """Every byte of the stream. Raises ClientTooSlow, Gone when the image was lost meanwhile."""
        chunks = aiter(stream)
        while (chunk := await self._next(chunks)) is not None:
            self._chunks.append(chunk)
            self._gathered += len(chunk)
            if self._gathered >= PIECE_BYTES:
                await self._hand_over()
        await self._hand_over()
        await self._settle()

    async def _next(self, chunks: AsyncIterator[bytes]) -> bytes | None:
        """The next chunk, None at the end. Raises ClientTooSlow."""
        now = asyncio.get_running_loop().time
        began = now()
        try:
            async with asyncio.timeout(IDLE_S):
                chunk = await anext(chunks, None)
            self._pace.waited(now() - began, len(chunk or b""))
        except TimeoutError as error:
            raise ClientTooSlow(f"The image data did not arrive: nothing came for {IDLE_S:.0f} seconds.") from error
        except TooSlow as error:
            raise ClientTooSlow(f"The image data did not arrive: {error}.") from error
        return chunk

    async def _hand_over(self) -> None:
        await self._settle()
        if self.lost:
            raise Gone("The image was deleted, or taken back, while its data was uploaded.")
        chunks, self._chunks, self._gathered = self._chunks, [], 0
        self._under_way = asyncio.get_running_loop().run_in_executor(_feeders, self._feed, chunks)

    def _feed(self, chunks: list[bytes]) -> None:
        self._ingest.feed(chunks[0] if len(chunks) == 1 else b"".join(chunks))

    async def _settle(self) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            await under_way

    async def close(self) -> None:
        """Wait for the thread and drop what was not finished."""
        if self._under_way is not None:
            await asyncio.wait([self._under_way])
            with contextlib.suppress(Exception):
                self._under_way.result()
        await aside(self._ingest.abort)


async def _keep(deps: ImageDeps, mine: Claim, feeder: _Feeder) -> None:
    """Signs of life until cancelled; one that finds the image lost ends the upload at its next batch."""
    while not feeder.lost:
        await asyncio.sleep(UPLOAD_BEAT_S)
        try:
            feeder.lost = not await aside(lambda: deps.database.write(lambda tx: claim.keep(tx, mine)))
        except Exception:
            log.exception("no sign of life could be written for the upload of image %s", mine.image_id)


def _told(error: ImageStoreError, mine: Claim) -> ApiError:
    """A store's refusal in the API's words."""
    if isinstance(error, ImageTooLarge):
        return TooLarge(f"The image is larger than the {error.max_size_bytes} bytes that are allowed.")
    if isinstance(error, ImageRefused):
        return BadRequest(f"Image {mine.image_id} is refused: {'; '.join(error.reasons)}.")
    if isinstance(error, StoreFull):
        return TooLarge("There is not enough free space in the image store.", internal=str(error))
    return Unavailable("The image store does not take data for the moment.", internal=str(error))
