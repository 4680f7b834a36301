"""A PATCH body as a list of changes. Pure.

Two media types: v2.1 follows RFC 6902 (`op`, `path`, `value`), v2.0 its fourth draft, where the operation is the key
of its path. Pointers are RFC 6901 with one part; only the list of locations has an inside.
Source: image API reference v2, "HTTP PATCH media types".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gureum.foundation.errors import BadRequest, Forbidden, UnsupportedMediaType
from gureum.foundation.http.views import JsonValue
from gureum.services.image.images.fields import (
    KNOWN,
    MADE_BY_THE_CLOUD,
    MAX_VALUE_CHARACTERS,
    RESERVED,
    Fields,
    refuse_unwritable,
)

_DRAFT_4 = "application/openstack-images-v2.0-json-patch"
RFC_6902 = "application/openstack-images-v2.1-json-patch"
_OPERATIONS = ("add", "remove", "replace")
_PLACE = re.compile(r"-|0|[1-9][0-9]{0,3}")
_BAD_ESCAPE = re.compile(r"~(?![01])")
MAX_CHANGES = 1024


def _operation_schema(
    path: dict[str, JsonValue], *ops: str, value: dict[str, JsonValue] | None = None
) -> dict[str, JsonValue]:
    properties: dict[str, JsonValue] = {"op": {"enum": list(ops)}, "path": path}
    if value is not None:
        properties["value"] = value
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _described() -> list[dict[str, JsonValue]]:
    """JSON schemas of what an entry of a v2.1 body may be: a change of each writable field, and of a property."""
    _, components = msgspec.json.schema_components([Fields])
    fields = components["Fields"]["properties"]
    taken = [f"/{name}" for name in sorted({*KNOWN, *MADE_BY_THE_CLOUD, *RESERVED})]
    own: dict[str, JsonValue] = {"type": "string", "pattern": "^/[A-Za-z0-9_:.-]{1,255}$", "not": {"enum": taken}}
    return [
        *(
            _operation_schema({"const": f"/{name}"}, "add", "replace", value=fields[name])
            for name in fields
            if name != "id"
        ),
        _operation_schema(own, "add", value={"type": "string", "maxLength": MAX_VALUE_CHARACTERS}),
        _operation_schema(own, "replace", value={"type": "string", "maxLength": MAX_VALUE_CHARACTERS}),
        _operation_schema(own, "remove"),
    ]


Operation = Annotated[dict[str, Any], Meta(extra_json_schema={"anyOf": _described()})]
"""An entry of a v2.1 body, for the API's own description."""


@dataclass(frozen=True, slots=True)
class Change:
    """One operation on one field. `only_new`: `add` must not meet a field that is there (the old draft).

    `place` is the place in the list of locations, "-" behind its end; None means the whole field. `size`
    is what an added location's other side says of its bytes.
    """

    op: str
    name: str
    value: JsonValue
    only_new: bool
    place: str | None = None
    size: int | None = None


def changes_of(body: list[JsonValue], content_type: str, *, locations: bool = False) -> list[Change]:
    """`locations` may be changed only where the operator shows them.

    Raises BadRequest, Forbidden for fields that are not the client's, UnsupportedMediaType.
    """
    media = content_type.partition(";")[0].strip().lower()
    if media not in (_DRAFT_4, RFC_6902):
        headers = {"Accept-Patch": f"{_DRAFT_4}, {RFC_6902}"}
        raise UnsupportedMediaType(f"An image is changed by {RFC_6902}.", headers=headers)
    if len(body) > MAX_CHANGES:
        raise BadRequest(f"A request changes at most {MAX_CHANGES} fields.")
    return [_change(raw, old=media == _DRAFT_4, locations=locations) for raw in body]


def _change(raw: JsonValue, *, old: bool, locations: bool) -> Change:
    if not isinstance(raw, Mapping):
        raise BadRequest("Operations must be JSON objects.")
    op, pointer = _old_operation(raw) if old else _operation(raw)
    name, *rest = _parts(pointer)
    if name == "locations":
        return _location_change(raw, op, rest, allowed=locations)
    if rest or not name.strip():
        raise BadRequest(f"Invalid JSON pointer for this resource: '{str(pointer)[:64]}'")
    refuse_unwritable(name)
    if name == "id":
        raise Forbidden("Attribute 'id' is read-only.")
    if op != "remove" and "value" not in raw:
        raise BadRequest(f'Operation "{op}" requires a member named "value".')
    return Change(op, name, raw.get("value"), only_new=old and op == "add")


def _operation(raw: Mapping[str, JsonValue]) -> tuple[str, JsonValue]:
    op = raw.get("op")
    if op not in _OPERATIONS:
        raise BadRequest(f"Invalid operation: it must be one of the following: {', '.join(_OPERATIONS)}.")
    if "path" not in raw:
        raise BadRequest("Unable to find 'path' in JSON Schema change")
    return str(op), raw["path"]


def _old_operation(raw: Mapping[str, JsonValue]) -> tuple[str, JsonValue]:
    operations = [op for op in _OPERATIONS if op in raw]
    if len(operations) != 1:
        raise BadRequest('Operation objects must contain exactly one member named "add", "remove", or "replace".')
    return operations[0], raw[operations[0]]


def _location_change(raw: Mapping[str, JsonValue], op: str, rest: list[str], *, allowed: bool) -> Change:
    if not allowed:
        raise Forbidden("It's not allowed to update locations if locations are invisible.")
    place = rest[0] if rest else None
    whole = place is None and op == "replace"
    is_one_place = place is not None and op in ("add", "remove") and _PLACE.fullmatch(place) is not None
    if len(rest) > 1 or not (whole or is_one_place) or (op == "remove" and place == "-"):
        raise BadRequest(f"Invalid operation {op!r} on the locations of an image.")
    if op != "remove" and "value" not in raw:
        raise BadRequest(f'Operation "{op}" requires a member named "value".')
    return Change(op, "locations", raw.get("value"), only_new=False, place=place)


def _parts(pointer: JsonValue) -> list[str]:
    """The names that a JSON pointer goes through, at least one."""
    if not isinstance(pointer, str) or not pointer.startswith("/"):
        raise BadRequest(f'The `path` {str(pointer)[:64]!r} is no pointer: it does not start with "/".')
    if _BAD_ESCAPE.search(pointer):
        raise BadRequest(f'Pointer `{pointer[:64]}` contains "~" not part of a recognized escape sequence.')
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]
