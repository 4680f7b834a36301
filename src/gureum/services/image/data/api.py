"""Routes of image data. Source: image API reference v2, "Image data" and "Interoperable image import" (stage)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

from gureum.drivers.image.errors import BlobNotFound, ImageStoreError
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Forbidden, Internal, TooLarge, Unavailable, UnsupportedMediaType
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.policy import Rule
from gureum.services.image.access import MEMBER, MEMBER_WHO_SEES, find
from gureum.services.image.cache.reading import cached_blob
from gureum.services.image.data import claim
from gureum.services.image.data.claim import Claim
from gureum.services.image.data.memory import keep_for_streams
from gureum.services.image.data.ranges import piece_of
from gureum.services.image.data.upload import aside, draining, receive
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image
from gureum.services.image.locations.reading import open_data
from gureum.services.image.stores.choice import wanted_store
from gureum.services.image.usage import quotas
from gureum.services.image.usage.quotas import Coming

RULES = (
    Rule("upload_image", MEMBER, "Upload an image's data, or stage it"),
    Rule("download_image", MEMBER_WHO_SEES, "Download an image's data"),
)
_OCTETS = "application/octet-stream"


async def upload(call: Call[ImageDeps], stream: AsyncIterator[bytes], image_id: str) -> None:
    await _receive(call, stream, image_id, "saving")


async def stage(call: Call[ImageDeps], stream: AsyncIterator[bytes], image_id: str) -> None:
    await _receive(call, stream, image_id, "uploading")


async def _receive(
    call: Call[ImageDeps], stream: AsyncIterator[bytes], image_id: str, status: Literal["saving", "uploading"]
) -> None:
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != _OCTETS:
        raise UnsupportedMediaType(f"Image data is sent as {_OCTETS}.")
    store = wanted_store(call) if status == "saving" else call.deps.stores.default
    declared = call.headers.get("content-length", "")
    promised = int(declared[:20]) if declared.isascii() and declared.isdigit() else 0

    def take(tx: Tx) -> Claim:
        call.tx = tx
        image = find(call, image_id)
        quotas.require_upload(call.deps, tx, image.owner)
        quotas.require_stream(call.deps, tx, image.owner)
        quota = quotas.SIZE if status == "saving" else quotas.STAGED
        room = quotas.room_bytes(call.deps, tx, image.owner, quota, Coming(image.id))
        if promised > room:
            raise TooLarge(f"The image is larger than the {room} bytes that are allowed.")
        return claim.take(image, status, store.name, room)

    async with draining(stream):
        mine = await aside(lambda: call.database.write(take))
        await receive(call.deps, mine, stream)


def download(call: Call[ImageDeps], image_id: str) -> Reply:
    image = find(call, image_id)
    if image.status == "deactivated" and not call.caller.is_admin:
        raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    if image.status not in ("active", "deactivated") or not image.stores:
        if image.status == "importing":
            raise BadRequest("The image's data is still being imported.")
        return Reply(status=204)
    size = image.size_bytes or 0
    piece = piece_of(call.headers.get("range", ""), call.headers.get("content-range", ""), size)
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(piece.length)}
    if piece.partial:
        headers["Content-Range"] = piece.content_range(size)
    elif image.md5:
        headers["Content-MD5"] = image.md5
    keep_for_streams()
    body = _data(call, image, piece.start, piece.length)
    return Reply(body, status=206 if piece.partial else 200, headers=headers, content_type=_OCTETS)


def _data(call: Call[ImageDeps], image: Image, start: int, length: int) -> object:
    try:
        if (cached := cached_blob(call.deps, call.tx, image.id, start, length)) is not None:
            return iter(cached)
        return iter(open_data(call.deps.stores, call.tx, image, start, length))
    except BlobNotFound as error:
        raise Internal(f"The data of image {image.id} is missing in the store.", internal=str(error)) from error
    except ImageStoreError as error:
        raise Unavailable("The image store does not give data for the moment.", internal=str(error)) from error


_FILE = "/v2/images/{image_id}/file"
_STAGE = "/v2/images/{image_id}/stage"
ROUTES = (
    *(
        Route(
            "PUT",
            path,
            take,
            "upload_image",
            204,
            stream=True,
            target="handler",
            transaction="none",
            media=_OCTETS,
            also=(410,),
        )
        for path, take in ((_FILE, upload), (_STAGE, stage))
    ),
    Route("GET", _FILE, download, "download_image", target="handler", also=(204, 206, 416)),
)
