"""Ids of resources and requests. An id is made once and never used again.

Identity's resources carry 32 hexadecimal digits, everything else a UUID with dashes, as clients expect.
"""

from __future__ import annotations

import os
import re

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_REQUEST = re.compile(r"req-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_hex() -> str:
    """32 hexadecimal digits of a random (version 4) UUID."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    return raw.hex()


def new_uuid() -> str:
    """A random UUID in its 36 character form."""
    text = new_hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_request_id() -> str:
    return f"req-{new_uuid()}"


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID, with or without dashes."""
    return _UUID.fullmatch(text) is not None


def is_request_id(text: str) -> bool:
    return _REQUEST.fullmatch(text) is not None
