"""A request's body on its way to a handler: decoded as its microversion has it, then handed on as the newest type."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, get_args, get_origin

import msgspec
from msgspec import Struct

from gureum.foundation.http.body import converted, decode
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.routes import Route
from gureum.foundation.http.versioned import fields_of, floor, type_at, upgraded
from gureum.foundation.http.views import Extended


def received(route: Route, kind: Any, data: bytes, version: Version | None, content_type: str) -> Any:
    """The body of a request whose route takes a `kind`. Raises BadRequest, UnsupportedMediaType."""
    document = decode(data, wire_type(kind, route.envelope, floor(kind, version)), content_type)
    body = getattr(document, _INNER) if route.envelope else document
    if get_origin(kind) is Extended:
        body = _extended(body, get_args(kind)[0], version, route.envelope)
    else:
        body = upgraded(body, kind)
    return route.upgrade(body, version) if route.upgrade is not None and version is not None else body


_INNER = "inner"


@cache
def wire_type(kind: Any, envelope: str, version: Version) -> Any:
    """What the bytes of a body are decoded as. An envelope takes no other name unless the body takes unknown ones."""
    inner = dict[str, Any] if get_origin(kind) is Extended else type_at(kind, version)
    if not envelope:
        return inner
    name = f"{getattr(kind, '__name__', 'Body')}In{envelope.title().replace(':', '')}"
    return msgspec.defstruct(
        name, [(_INNER, inner, msgspec.field(name=envelope))], forbid_unknown_fields=takes_only_fields(kind)
    )


def takes_only_fields(kind: Any) -> bool:
    """Whether a body of this type refuses unknown names."""
    return not (isinstance(kind, type) and issubclass(kind, Struct)) or kind.__struct_config__.forbid_unknown_fields


def _extended(body: Mapping[str, Any], kind: Any, version: Version | None, at: str) -> Extended[Any]:
    """The fields of an open body as their type, and what else it holds."""
    fields = upgraded(converted(body, type_at(kind, version), at), kind)
    known = fields_of(kind)
    return Extended(fields, {name: value for name, value in body.items() if name not in known})
