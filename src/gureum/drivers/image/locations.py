"""Names of blobs: made from an image's id, unique for each attempt, safe as a file name.

Not a lookup: a location tells nobody where a blob is, only its store does.
Invariant: a location never holds a separator, a leading dot or a control character, and is never given twice.
"""

from __future__ import annotations

import re
import secrets

from gureum.drivers.image.errors import ImageStoreError

_IMAGE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_LOCATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\.[0-9a-f]{16}\Z")


def new_location(image_id: str) -> str:
    """A fresh name for one attempt to store this image. Raises ImageStoreError for an id that cannot be a name."""
    if not _IMAGE_ID.match(image_id):
        raise ImageStoreError(f"{image_id!r} cannot name an image's data")
    return f"{image_id}.{secrets.token_hex(8)}"


def is_location(text: str) -> bool:
    """Whether `new_location` could have given this."""
    return _LOCATION.match(text) is not None
