"""An image of another region's service as a source (glance-download), asked for with the token of who began the import.

The token lies sealed in the import's durable task from the request until the data is there, and nowhere else. It goes
to the address that identity's catalog names for the region, where the guard of outside places lets it pass, and not
along when that place redirects to another. It opens there what it opens: a token that ended meanwhile ends the import.
Sources: image service administration guide, "glance-download"; image API reference v2, "Show image" and "Download
binary image data".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from cryptography.fernet import InvalidToken

from gureum.drivers.image.errors import ImageStoreError, UrlRefused
from gureum.drivers.image.interface import Look, Stream
from gureum.foundation.db.engine import Tx
from gureum.foundation.http.call import Call
from gureum.foundation.http.views import JsonValue
from gureum.foundation.tasks.lifecycle import PermanentFailureError
from gureum.services.image.deps import ImageDeps

INTERFACES = ("public", "internal", "admin")
_MOST_DOCUMENT_BYTES = 1 << 20


@dataclass(frozen=True)
class Place:
    """Where the other service shows the image, and the token for it."""

    url: str
    token: str = field(repr=False)


def sealed_token(call: Call[ImageDeps], region: str, interface: str) -> str:
    """The caller's token for the task's data; empty when no other service is going to be asked."""
    deps = call.deps
    if region == deps.region or _endpoint(deps, call.tx, (region, interface), call.caller.project_id) is None:
        return ""
    assert deps.identity is not None
    return deps.identity.secrets.seal_text(call.token)


def place_of(deps: ImageDeps, source: dict[str, str], sealed: str) -> Place:
    """`source` as a `Job` has it. Raises PermanentFailureError where there is no such service, or no token any more."""
    with deps.database.read() as tx:
        endpoint = _endpoint(deps, tx, (source["region"], source["interface"]), source["project_id"] or None)
    if endpoint is None or deps.identity is None:
        text = "There is no image service in that region with that interface."
        raise PermanentFailureError(f"region {source['region']}, interface {source['interface']}", public=text)
    try:
        token = deps.identity.secrets.open_text(sealed)
    except InvalidToken as error:
        text = "The token of the request cannot be read any more: begin the import again."
        raise PermanentFailureError("the sealed token cannot be opened", public=text) from error
    return Place(f"{endpoint}/v2/images/{source['image_id']}", token)


def _endpoint(deps: ImageDeps, tx: Tx, place: tuple[str, str], project_id: str | None) -> str | None:
    """The root of the image service in `place`, region and interface, as the project's catalog has it."""
    if deps.identity is None or place[1] not in INTERFACES:
        return None
    url = deps.identity.endpoint(tx, "image", place, project_id)
    return None if url is None else url.rstrip("/").removesuffix("/v2")


def document_of(deps: ImageDeps, place: Place, look: Look) -> dict[str, JsonValue]:
    """What the other service says of the image, with string values as they came. Raises PermanentFailureError."""
    content = b""
    stream = _opened(deps, place, "", look)
    try:
        for chunk in stream:
            content += chunk
            if len(content) > _MOST_DOCUMENT_BYTES:
                raise _unusable("its description is too long")
        return msgspec.json.decode(content, type=dict[str, JsonValue])
    except (ImageStoreError, msgspec.DecodeError) as error:
        raise _unusable("its description makes no sense") from error
    finally:
        stream.close()


def chunks_of(deps: ImageDeps, place: Place, look: Look) -> Iterator[bytes]:
    """The data. Raises PermanentFailureError, and ImageStoreError where trying again may help."""
    return iter(_opened(deps, place, "/file", look))


def _opened(deps: ImageDeps, place: Place, what: str, look: Look) -> Stream:
    try:
        return deps.fetcher.open(place.url + what, {"X-Auth-Token": place.token}, look=look)
    except UrlRefused as error:
        text = f"The image service of that region may not be asked from here: {error}."
        raise PermanentFailureError(str(error), public=text) from error
    except ImageStoreError as error:
        text = f"The image service of that region gave nothing: {error}. The token may have ended."
        raise PermanentFailureError(str(error), public=text) from error


def _unusable(reason: str) -> PermanentFailureError:
    return PermanentFailureError(reason, public=f"The image of that region cannot be used: {reason}.")
