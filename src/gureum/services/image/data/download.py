"""A download: which bytes, from which place, and who waits for them.

Not here: ranges (`ranges.py`) and the choice among places (`locations/reading.py`).
Data from outside may come slowly or never: so many places are asked at the same time, in no transaction, and their
chunks are awaited by threads of their own, so that neither the API nor downloads from the cloud's stores wait. Slow
places of one project take half of these threads at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from weakref import WeakValueDictionary

from gureum.drivers.image.errors import BlobNotFound, ImageStoreError
from gureum.foundation.errors import BadRequest, Forbidden, Internal, Unavailable
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply
from gureum.services.image.access import find
from gureum.services.image.cache.reading import cached_blob
from gureum.services.image.data.memory import keep_for_streams
from gureum.services.image.data.ranges import Piece, piece_of
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image
from gureum.services.image.locations.model import ImageLocation, locations_of
from gureum.services.image.locations.reading import Opened, asking_outside, open_data

OCTETS = "application/octet-stream"
READERS = 16
_readers = ThreadPoolExecutor(READERS, thread_name_prefix="image-outside")
_turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
"""Project -> how many more of the threads it may take. On the event loop alone."""


def download(call: Call[ImageDeps], image_id: str) -> Reply[Iterator[bytes] | AsyncIterator[bytes]]:
    with call.database.read() as tx:
        call.tx = tx
        image = find(call, image_id)
        if image.status == "deactivated" and not call.caller.is_admin:
            raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
        if image.status not in ("active", "deactivated") or not image.stores:
            if image.status == "importing":
                raise BadRequest("The image's data is still being imported.")
            return Reply(status=204)
        piece = piece_of(call.headers.get("range", ""), call.headers.get("content-range", ""), image.size_bytes or 0)
        cached = cached_blob(call.deps, tx, image.id, piece.start, piece.length)
        rows = locations_of(tx, image.id)
    keep_for_streams()
    body = cached if cached is not None else _data(call, image, rows, piece)
    return Reply(body, status=206 if piece.partial else 200, headers=_headers(image, piece), content_type=OCTETS)


def _headers(image: Image, piece: Piece) -> dict[str, str]:
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(piece.length)}
    if piece.partial:
        headers["Content-Range"] = piece.content_range(image.size_bytes or 0)
    elif image.md5:
        headers["Content-MD5"] = image.md5
    return headers


def _data(
    call: Call[ImageDeps], image: Image, rows: Sequence[ImageLocation], piece: Piece
) -> Iterator[bytes] | AsyncIterator[bytes]:
    project_id = call.caller.project_id or ""
    try:
        opened = _opened(call.deps, image, rows, piece, project_id)
    except BlobNotFound as error:
        raise Internal(f"The data of image {image.id} is missing in the store.", internal=str(error)) from error
    except ImageStoreError as error:
        raise Unavailable("The image store does not give data for the moment.", internal=str(error)) from error
    return _from_outside(opened.chunks, project_id) if opened.outside else iter(opened.chunks)


def _opened(deps: ImageDeps, image: Image, rows: Sequence[ImageLocation], piece: Piece, project_id: str) -> Opened:
    """Raises BlobNotFound, ImageStoreError; Unavailable when too many outside places are asked already."""
    web = deps.stores.of_kind("web")
    if web is None or all(row.store != web.name for row in rows):
        return open_data(deps.stores, image.id, rows, piece.start, piece.length)
    with asking_outside(project_id):
        return open_data(deps.stores, image.id, rows, piece.start, piece.length)


async def _from_outside(chunks: Iterator[bytes], project_id: str) -> AsyncGenerator[bytes, None]:
    """The chunks, each read by a thread. A thread that still waits when the client leaves closes the place itself."""
    turn = _turns.setdefault(project_id, asyncio.Semaphore(READERS // 2))
    reading = await _read(chunks, turn)
    try:
        while (chunk := await asyncio.shield(reading)) is not None:
            yield chunk
            reading = await _read(chunks, turn)
    finally:
        reading.add_done_callback(lambda done: _close(chunks, done))


async def _read(chunks: Iterator[bytes], turn: asyncio.Semaphore) -> asyncio.Future[bytes | None]:
    await turn.acquire()
    reading = asyncio.get_running_loop().run_in_executor(_readers, next, chunks, None)
    reading.add_done_callback(lambda _: turn.release())
    return reading


def _close(chunks: Iterator[bytes], reading: asyncio.Future[bytes | None]) -> None:
    if not reading.cancelled():
        reading.exception()  # the client was told, or is gone
    if close := getattr(chunks, "close", None):
        close()
