"""Request bodies: size, encoding, depth and shape checked before a handler sees them.

Raises BadRequest with a message that names the field. The closed schema is the msgspec type of the route.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gureum.foundation import shapes
from gureum.foundation.errors import BadRequest, UnsupportedMediaType

MAX_DEPTH = 32
LONGEST_MESSAGE = 400


def decode(data: bytes, kind: Any, content_type: str) -> Any:
    """The body as an instance of `kind`."""
    if content_type and "json" not in content_type and "text/plain" not in content_type:
        raise UnsupportedMediaType(f"Unsupported Content-Type {content_type[:80]}; use application/json.")
    if not data:
        raise BadRequest("A JSON body is expected in this request.")
    if b"\\u0000" in data or b"\x00" in data:
        raise BadRequest("The request body holds a NUL character, which no field accepts.")
    if _depth(data) > MAX_DEPTH:
        raise BadRequest(f"The request body is nested deeper than {MAX_DEPTH} levels.")
    try:
        return shapes.json_decoder(kind).decode(data)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Invalid input: {_said(error)}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"The request body is not valid JSON: {error}") from error


def converted(value: Any, kind: Any, at: str, refusal: str = "Invalid input") -> Any:
    """A part of a body that the handler types itself; `at` is where it stands. Raises BadRequest."""
    try:
        return shapes.converted(value, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{refusal}: {_said(error, at)}") from error


def _said(error: msgspec.ValidationError, at: str = "") -> str:
    """msgspec's message with the path in the words of the API: `server.name` instead of `$.server.name`.

    It may quote what was sent: of a long message the beginning and the end, with the path, are enough.
    """
    said = str(error)
    if at and "- at `" not in said:
        said += f" - at `{at}`"
    whole = f"`{at}`" if at else "the body"
    for found, shown in (("`$.", f"`{at}." if at else "`"), ("`$[", f"`{at}["), ("`$`", whole)):
        said = said.replace(found, shown)
    return said if len(said) <= LONGEST_MESSAGE else f"{said[:150]}…{said[-150:]}"


def _depth(data: bytes) -> int:
    """The deepest nesting of brackets outside of strings, cheaply: few bodies have many brackets."""
    if data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    inside = escaped = False
    for byte in data:
        if escaped:
            escaped = False
        elif inside:
            escaped = byte == 0x5C
            inside = byte != 0x22
        elif byte == 0x22:
            inside = True
        elif byte in (0x7B, 0x5B):
            depth += 1
            deepest = max(deepest, depth)
        elif byte in (0x7D, 0x5D):
            depth -= 1
    return deepest
