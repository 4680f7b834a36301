"""An image's bytes, in and out, as streams. Source: image API reference v2, "Image data".

An upload holds the row in `saving` with a heartbeat; the hashes and the inspection are made on the way. Whatever
ends it early - the client, a refusal, this process - leaves a queued image and nothing in the store.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import update

from gureum.drivers.image.errors import BlobNotFound, ImageRefused, ImageTooLarge, StoreFull
from gureum.drivers.image.ingest import Ingest, Ingested
from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    RangeNotSatisfiable,
    TooLarge,
    UnsupportedMediaType,
)
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.policy import Rule
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.api import MEMBER, READER, find
from gureum.services.image.images.model import Image

T = TypeVar("T")

RULES = (
    Rule("upload_image", MEMBER, "Upload an image's data"),
    Rule("download_image", READER, "Download an image's data"),
)
BATCH = 4 << 20
HEARTBEAT_S = 10.0

_POOL = ThreadPoolExecutor(16, thread_name_prefix="image")


async def _aside(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_POOL, work)


async def upload(call: Call[ImageDeps], stream: AsyncIterator[bytes], image_id: str) -> Reply:
    if "octet-stream" not in call.headers.get("content-type", ""):
        raise UnsupportedMediaType("An image's data is application/octet-stream.")
    declared = await _aside(lambda: call.database.write(lambda tx: _begin(call, tx, image_id)))
    try:
        found = await _taken_in(call, stream, image_id, declared)
        await _aside(lambda: call.database.write(lambda tx: _complete(tx, image_id, found)))
    except BaseException:
        await asyncio.shield(_aside(lambda: call.database.write(lambda tx: _set_back(tx, image_id))))
        raise
    return Reply(None, status=204)


def _begin(call: Call[ImageDeps], tx: Tx, image_id: str) -> str:
    call.tx = tx
    row = find(call, image_id, own=True)
    if row.status != "queued":
        raise Conflict(f"Image status transition from {row.status} to saving is not allowed")
    if not row.disk_format or not row.container_format:
        raise BadRequest("Properties disk_format, container_format must be set prior to saving data.")
    row.status, row.saving_at, row.updated_at = "saving", clock.now(), clock.utcnow()
    return row.disk_format


async def _taken_in(call: Call[ImageDeps], stream: AsyncIterator[bytes], image_id: str, declared: str) -> Ingested:
    """The stream through the hashes, the inspector and the store, a batch at a time, off the event loop."""
    writer = await _aside(lambda: call.deps.store.create(image_id))
    ingest = Ingest(writer, max_size_bytes=call.deps.config.max_bytes, declared_format=declared)
    try:
        batch = bytearray()
        beat = clock.now()
        async for chunk in stream:
            batch += chunk
            if len(batch) >= BATCH:
                full, batch = batch, bytearray()
                await _aside(lambda full=full: ingest.feed(full))  # type: ignore[misc]
                if clock.now() - beat > HEARTBEAT_S:
                    beat = clock.now()
                    await _aside(lambda: call.database.write(lambda tx: _still_saving(tx, image_id)))
        await _aside(lambda: ingest.feed(batch))
        return await _aside(ingest.finish)
    except ImageTooLarge as error:
        raise TooLarge(f"The image is larger than {call.deps.config.max_bytes} bytes.") from error
    except ImageRefused as error:
        reasons = "; ".join(error.reasons)
        raise BadRequest(f"The data is not what the image says it is: {reasons}") from error
    except StoreFull as error:
        raise TooLarge("There is not enough space in the image store.", internal=str(error)) from error
    finally:
        await asyncio.shield(_aside(ingest.abort))


def _still_saving(tx: Tx, image_id: str) -> None:
    tx.execute(update(Image).where(Image.id == image_id, Image.status == "saving").values(saving_at=clock.now()))


def _complete(tx: Tx, image_id: str, found: Ingested) -> None:
    row = tx.get(Image, image_id)
    if row is None or row.status != "saving":
        raise Conflict(f"Image {image_id} was deleted while its data was uploaded.")
    row.status = "active"
    row.size_bytes, row.virtual_size_bytes = found.size, found.inspection.virtual_size_bytes
    row.md5, row.sha512, row.location = found.md5_hex, found.sha512_hex, found.blob.location
    row.updated_at = clock.utcnow()


def _set_back(tx: Tx, image_id: str) -> None:
    mine = (Image.id == image_id, Image.status == "saving")
    tx.execute(update(Image).where(*mine).values(status="queued", updated_at=clock.utcnow()))


_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def download(call: Call[ImageDeps], image_id: str) -> Reply:
    row = find(call, image_id)
    if row.status == "deactivated" and not call.caller.is_admin:
        raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    if row.location is None:
        return Reply(None, status=204)
    size = row.size_bytes or 0
    headers = {"Content-Type": "application/octet-stream"}
    start, length, status = 0, size, 200
    wanted = call.headers.get("range") or ""
    if wanted:
        start, length = _range(wanted, size)
        status = 206
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
    elif row.md5:
        headers["Content-MD5"] = row.md5
    headers["Content-Length"] = str(length)
    try:
        body = call.deps.store.open(row.location, start, length)
    except BlobNotFound as error:
        raise NotFound(f"The data of image {image_id} is not in the store.", internal=str(error)) from error
    return Reply(iter(body), status=status, headers=headers, content_type="application/octet-stream")


def _range(text: str, size: int) -> tuple[int, int]:
    """The first byte and the length of a single range. Raises RangeNotSatisfiable (RFC 9110, section 14)."""
    match = _RANGE.fullmatch(text.strip())
    if not match or not (match[1] or match[2]):
        raise RangeNotSatisfiable(f"Range {text[:64]!r} is not one range of bytes.")
    if not match[1]:
        length = min(int(match[2]), size)
        start = size - length
    else:
        start = int(match[1])
        end = min(int(match[2]) if match[2] else size - 1, size - 1)
        length = end - start + 1
    if length <= 0 or start >= size:
        raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
    return start, length


_FILE = "/v2/images/{image_id}/file"
ROUTES: tuple[Route, ...] = (
    Route("PUT", _FILE, upload, "upload_image", 204, stream=True, transaction="none"),
    Route("GET", _FILE, download, "download_image"),
)

