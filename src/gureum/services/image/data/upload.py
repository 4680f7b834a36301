"""An upload, from the socket to the store: chunks gather on the event loop, a thread feeds them to the ingest.

Not here: what makes data acceptable (the ingest and its inspector) and whose the image is (`claim.py`).
While one batch is being taken in the next one gathers, and no more: a store that is slow slows its client down, and
memory stays flat. Whatever ends an upload early leaves a queued image and nothing readable in the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gureum.drivers.image.errors import ImageRefused, ImageStoreError, ImageTooLarge, StoreFull
from gureum.drivers.image.ingest import Ingest, Ingested
from gureum.foundation.errors import ApiError, BadRequest, Gone, TooLarge, Unavailable
from gureum.services.image.data import claim
from gureum.services.image.data.claim import Claim
from gureum.services.image.data.memory import keep_for_streams
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.lifecycle import UPLOAD_BEAT_S

log = logging.getLogger("gureum.image")
T = TypeVar("T")

BATCH_BYTES = 2 << 20
IDLE_S = 60.0
"""A client that sends nothing for so long has lost its upload."""

_pool = ThreadPoolExecutor(16, thread_name_prefix="image")


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


async def _finish(deps: ImageDeps, mine: Claim, found: Ingested) -> None:
    try:
        await aside(lambda: deps.database.write(lambda tx: claim.finish(tx, mine, found)))
    except Gone:
        await aside(lambda: deps.stores.engine(mine.store).delete(found.blob.location))
        raise


async def _through(deps: ImageDeps, mine: Claim, stream: AsyncIterator[bytes]) -> Ingested:
    """The stream through hashes, inspector and store, while the claim is kept alive."""
    feeder: _Feeder | None = None
    beating: asyncio.Task[None] | None = None
    try:
        writer = await aside(lambda: deps.stores.engine(mine.store).create(mine.image_id))
        ingest = Ingest(writer, max_size_bytes=mine.max_bytes, declared_format=mine.declared_format or None)
        feeder = _Feeder(ingest)
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

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._chunks: list[bytes] = []
        self._gathered = 0
        self._under_way: asyncio.Future[None] | None = None
        self.lost = False

    async def drink(self, stream: AsyncIterator[bytes]) -> None:
        """Every byte of the stream. Raises BadRequest for an idle client, Gone when the image was lost meanwhile."""
        chunks = aiter(stream)
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    chunk = await anext(chunks, None)
            except TimeoutError as error:
                raise BadRequest(f"The image data did not arrive: nothing came for {IDLE_S:.0f} seconds.") from error
            if chunk is None:
                break
            self._chunks.append(chunk)
            self._gathered += len(chunk)
            if self._gathered >= BATCH_BYTES:
                await self._hand_over()
        await self._hand_over()
        await self._settle()

    async def _hand_over(self) -> None:
        await self._settle()
        if self.lost:
            raise Gone("The image was deleted, or taken back, while its data was uploaded.")
        chunks, self._chunks, self._gathered = self._chunks, [], 0
        self._under_way = asyncio.get_running_loop().run_in_executor(_pool, self._feed, chunks)

    def _feed(self, chunks: list[bytes]) -> None:
        for chunk in chunks:
            self._ingest.feed(chunk)

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
