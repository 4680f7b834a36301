"""Routes of image data. Source: image API reference v2, "Image data" and "Interoperable image import" (stage)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import TooLarge, UnsupportedMediaType
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route, Runs
from gureum.foundation.policy import Rule
from gureum.services.image.access import MEMBER, MEMBER_WHO_SEES, find
from gureum.services.image.data import claim
from gureum.services.image.data.claim import Claim
from gureum.services.image.data.download import OCTETS, download
from gureum.services.image.data.upload import aside, draining, receive
from gureum.services.image.deps import ImageDeps
from gureum.services.image.stores.choice import wanted_store
from gureum.services.image.usage import checks
from gureum.services.image.usage.checks import Coming
from gureum.services.image.usage.quotas import SIZE, STAGED

RULES = (
    Rule("upload_image", MEMBER, "Upload an image's data, or stage it"),
    Rule("download_image", MEMBER_WHO_SEES, "Download an image's data"),
)


async def upload(call: Call[ImageDeps], stream: AsyncIterator[bytes], image_id: str) -> None:
    await _receive(call, stream, image_id, "saving")


async def stage(call: Call[ImageDeps], stream: AsyncIterator[bytes], image_id: str) -> None:
    await _receive(call, stream, image_id, "uploading")


async def _receive(
    call: Call[ImageDeps], stream: AsyncIterator[bytes], image_id: str, status: Literal["saving", "uploading"]
) -> None:
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != OCTETS:
        raise UnsupportedMediaType(f"Image data is sent as {OCTETS}.")
    store = wanted_store(call) if status == "saving" else call.deps.stores.default
    declared = call.headers.get("content-length", "")
    promised = int(declared[:20]) if declared.isascii() and declared.isdigit() else 0

    def take(tx: Tx) -> Claim:
        call.tx = tx
        image = find(call, image_id)
        checks.require_upload(call.deps, tx, image.owner)
        checks.require_stream(call.deps, tx, image.owner)
        quota = SIZE if status == "saving" else STAGED
        room = checks.room_bytes(call.deps, tx, image.owner, quota, Coming(image.id))
        if promised > room:
            raise TooLarge(f"The image is larger than the {room} bytes that are allowed.")
        return claim.take(image, status, store.name, room)

    async with draining(stream):
        mine = await aside(lambda: call.database.write(take))
        await receive(call.deps, mine, stream)


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
            runs=Runs.STREAM,
            target="handler",
            transaction="none",
            media=OCTETS,
            also=(410,),
        )
        for path, take in ((_FILE, upload), (_STAGE, stage))
    ),
    Route("GET", _FILE, download, "download_image", target="handler", transaction="none", also=(204, 206, 416)),
)
