"""Request bodies: size, encoding, depth and shape checked before a handler sees them.

Raises BadRequest with a message that names the field. The closed schema is the msgspec type of the route.
"""

from __future__ import annotations

import operator
from functools import reduce
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
    if _is_too_deep(data):
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
    said = shapes.in_words(str(error))
    if at and "- at `" not in said:
        said += f" - at `{at}`"
    whole = f"`{at}`" if at else "the body"
    for found, shown in (("`$.", f"`{at}." if at else "`"), ("`$[", f"`{at}["), ("`$`", whole)):
        said = said.replace(found, shown)
    return said if len(said) <= LONGEST_MESSAGE else f"{said[:150]}…{said[-150:]}"


def _is_too_deep(data: bytes) -> bool:
    """Whether brackets outside of strings are nested deeper than `MAX_DEPTH`. In linear time, 30 ns a bracket or quote.

    In JSON a backslash stands in strings alone, so what it escapes can go before the rest is looked at. Each state of
    the automaton is a table from the next byte to the next state, which `reduce` looks up without Python code. Pieces
    of the body bound how long other threads wait for the interpreter.
    """
    if data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        return False
    left = data.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NO_STRUCTURE)
    state = _START
    for start in range(0, len(left), _PIECE_BYTES):
        state = reduce(operator.getitem, left[start : start + _PIECE_BYTES], state)
        if state is _TOO_DEEP:
            return True
    return False


_PIECE_BYTES = 32 << 10
_NO_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_State = dict[int, Any]


def _automaton() -> tuple[_State, _State]:
    """The state at the beginning, and the one that is never left once the nesting was too deep."""
    brackets = b"[]{}"
    too_deep: _State = {}
    too_deep.update(dict.fromkeys(b'"' + brackets, too_deep))
    levels: list[_State] = [{} for _ in range(MAX_DEPTH + 1)]
    for depth, state in enumerate(levels):
        deeper = levels[depth + 1] if depth < MAX_DEPTH else too_deep
        inside: _State = {}
        inside.update(dict.fromkeys(brackets, inside))
        inside[ord('"')] = state
        state.update({ord('"'): inside, ord("["): deeper, ord("{"): deeper})
        state.update(dict.fromkeys(b"]}", levels[max(depth - 1, 0)]))
    return levels[0], too_deep


_START, _TOO_DEEP = _automaton()
