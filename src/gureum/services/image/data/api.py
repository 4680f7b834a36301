"""Routes of image data. Source: image API reference v2, "Image data"."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gureum.drivers.image.errors import BlobNotFound
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Forbidden, Internal, TooLarge, UnsupportedMediaType
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Reply, Route
from gureum.foundation.policy import Rule
from gureum.services.image.access import MEMBER, MEMBER_WHO_SEES, find
from gureum.services.image.data import claim
from gureum.services.image.data.claim import Claim
from gureum.services.image.data.memory import keep_for_streams
from gureum.services.image.data.ranges import piece_of
from gureum.services.image.data.upload import aside, receive
from gureum.services.image.deps import ImageDeps

RULES = (
    Rule("upload_image", MEMBER, "Upload an image's data"),
    Rule("download_image", MEMBER_WHO_SEES, "Download an image's data"),
)
_OCTETS = "application/octet-stream"


async def upload(call: Call[ImageDeps], stream: AsyncIterator[bytes], image_id: str) -> None:
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != _OCTETS:
        raise UnsupportedMediaType(f"Image data is sent as {_OCTETS}.")
    store = call.headers.get("x-image-meta-store", "")
    if store and store != call.deps.store.name:
        raise BadRequest(f"The image store {store[:64]!r} is not known; there is {call.deps.store.name!r}.")
    declared, most = call.headers.get("content-length", ""), call.deps.config.max_bytes
    if declared.isdigit() and int(declared) > most:
        raise TooLarge(f"The image is larger than the {most} bytes that are allowed.")

    def take(tx: Tx) -> Claim:
        call.tx = tx
        return claim.take(find(call, image_id))

    mine = await aside(lambda: call.database.write(take))
    await receive(call.deps, mine, stream)


def download(call: Call[ImageDeps], image_id: str) -> Reply:
    image = find(call, image_id)
    if image.status == "deactivated" and not call.caller.is_admin:
        raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
    if image.location is None:
        return Reply(status=204)
    size = image.size_bytes or 0
    piece = piece_of(call.headers.get("range", ""), call.headers.get("content-range", ""), size)
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(piece.length)}
    if piece.partial:
        headers["Content-Range"] = piece.content_range(size)
    elif image.md5:
        headers["Content-MD5"] = image.md5
    keep_for_streams()
    try:
        body = call.deps.store.open(image.location, piece.start, piece.length)
    except BlobNotFound as error:
        raise Internal(f"The data of image {image.id} is missing in the store.", internal=str(error)) from error
    return Reply(iter(body), status=206 if piece.partial else 200, headers=headers, content_type=_OCTETS)


_FILE = "/v2/images/{image_id}/file"
ROUTES = (
    Route("PUT", _FILE, upload, "upload_image", 204, stream=True, target="handler", transaction="none"),
    Route("GET", _FILE, download, "download_image", target="handler"),
)
