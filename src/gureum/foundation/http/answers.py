"""What the answers of a route are made of, as its handler's annotation says: for OpenAPI documents and for tests.

A handler returns None, a Struct, a `list` or `dict` of them or of plain values, `Listed[...]`, `Extended[...]`, bytes
that say what they encode (`Encodes`), or a `Reply[...]` of one of these; several in a union. Whatever else it returns
has no schema.
"""

from __future__ import annotations

import types
from collections.abc import AsyncIterator, Iterator
from functools import cache, partial
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Struct, UnsetType

from gureum.foundation.http.microversions import Version
from gureum.foundation.http.routes import Api, Reply, Route
from gureum.foundation.http.versioned import type_at
from gureum.foundation.http.views import Encodes, Extended, JsonValue, Listed, View


def views_of(route: Route) -> list[Any]:
    """The types of views that the handler returns, without their `Reply`."""
    return [kind for kind in _returned(route) if _is_view(kind)]


def is_typed(route: Route) -> bool:
    """Whether the handler returns views and nothing else, but for answers without a body or with bytes."""
    return all(_is_view(kind) or kind in _OTHER for kind in _returned(route))


def _returned(route: Route) -> list[Any]:
    handler = route.handler.func if isinstance(route.handler, partial) else route.handler
    return list(_parts(get_type_hints(handler, include_extras=True).get("return", Any)))


def document_type(api: Api, route: Route, view: Any, version: Version | None) -> Any:
    """The closed type of the answer that shows `view` at `version`; None is the newest."""
    if get_origin(view) is Listed:
        return _list_type(type_at(get_args(view)[0], version), route.envelope, tuple(api.beside_lists.items()))
    kind = type_at(view, version)
    return _enveloped(kind, route.envelope) if route.envelope else kind


@cache
def _enveloped(kind: Any, envelope: str) -> type[Struct]:
    return msgspec.defstruct(_name(kind, envelope), [("inner", kind, msgspec.field(name=envelope))], bases=(View,))


@cache
def _list_type(item: Any, envelope: str, beside: tuple[tuple[str, Any], ...]) -> type[Struct]:
    fields: list[Any] = [("items", list[item], msgspec.field(name=envelope))]
    for place, (name, kind) in enumerate(beside):
        named = name.format(envelope)
        if UnsetType in get_args(kind):
            fields.append((f"beside_{place}", kind, msgspec.field(name=named, default=UNSET)))
        else:
            fields.append((f"beside_{place}", kind, msgspec.field(name=named)))
    return msgspec.defstruct(_name(item, envelope), fields, bases=(View,), kw_only=True)


def _name(kind: Any, envelope: str) -> str:
    return f"{getattr(kind, '__name__', 'View')}In{envelope.title().replace('_', '')}"


def _parts(kind: Any) -> tuple[Any, ...]:
    """The alternatives of a union, those within a `Reply` too; of encoded documents their views."""
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(inner for part in get_args(kind) for inner in _parts(part))
    if get_origin(kind) is Reply:
        return _parts(get_args(kind)[0])
    if get_origin(kind) is Annotated:
        return tuple(note.view for note in kind.__metadata__ if isinstance(note, Encodes)) or (get_args(kind)[0],)
    return (kind,)


def _is_view(kind: Any) -> bool:
    origin = get_origin(kind)
    if origin in (Listed, Extended):
        return True
    if origin in (list, dict):
        inner = get_args(kind)[-1]
        return inner in _VALUES or _is_view(inner)
    return isinstance(kind, type) and issubclass(kind, Struct)


_OTHER = (type(None), bytes, Iterator[bytes], AsyncIterator[bytes])
"""Answers without a body, and with bytes that are no JSON."""
_VALUES = (str, int, float, bool, JsonValue)
"""What a list or a dictionary may hold beside views."""
