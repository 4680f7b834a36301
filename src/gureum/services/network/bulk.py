"""New resources of one request: one, or a list of them, each bare or under its own name.

A noun's route takes the document as it came, for its two forms refuse in words of their own, and shows both in its
OpenAPI document (`Route.described`). Source: network API reference, "Bulk create".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gureum.foundation.errors import BadRequest
from gureum.foundation.http.body import converted
from gureum.foundation.http.views import JsonValue

New = TypeVar("New")
Document = dict[str, JsonValue]
"""A body whose form its handler reads."""
MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class OneOrMany(Generic[New]):
    """The new resources of a request: several when they came as a list, if only of one."""

    items: list[New]
    is_list: bool


@dataclass(frozen=True, slots=True)
class Names:
    """What a resource and a list of them are called in bodies."""

    single: str
    plural: str


def new_resources(body: Document, names: Names, kind: type[New]) -> OneOrMany[New]:
    """What a body asks for: `{"network": {...}}`, `{"networks": [{...}]}` or `{"networks": [{"network": {...}}]}`.

    Raises BadRequest.
    """
    for name in body:
        if name not in (names.single, names.plural):
            raise BadRequest(f"Invalid input: Object contains unknown field `{name[:64]}`", code="HTTPBadRequest")
    single: list[New] = [converted(body[name], kind, name) for name in (names.single,) if name in body]
    several = _several(body[names.plural], names, kind) if names.plural in body else []
    if bool(single) == bool(several):
        raise BadRequest(f"Unable to find '{names.single}' in request body.", code="HTTPBadRequest")
    return OneOrMany(single or several, is_list=not single)


def _several(value: JsonValue, names: Names, kind: type[New]) -> list[New]:
    items = converted(value, list[Any], names.plural)
    if not 1 <= len(items) <= MOST_AT_ONCE:
        raise BadRequest(f"Invalid input: `{names.plural}` holds 1 to {MOST_AT_ONCE}.", code="HTTPBadRequest")
    made: list[New] = []
    for place, item in enumerate(items):
        at, inner = f"{names.plural}[{place}]", item
        if isinstance(item, dict) and item.keys() == {names.single}:
            at, inner = f"{at}.{names.single}", item[names.single]
        made.append(converted(inner, kind, at))
    return made
