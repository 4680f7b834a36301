"""The JSON schemas of an API's bodies and answers, made from the types of its routes and handlers. See `openapi.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args, get_origin

import msgspec
from msgspec import UnsetType

from gureum.foundation.http.answers import views_of
from gureum.foundation.http.microversions import Version
from gureum.foundation.http.received import takes_only_fields
from gureum.foundation.http.routes import Api, Route
from gureum.foundation.http.versioned import starts, type_at
from gureum.foundation.http.views import Listed

_SCHEMAS = "#/components/schemas/"


class Schemas:
    """The schemas of some routes of an API. `version` None describes the answers of the newest."""

    def __init__(self, api: Api, routes: Iterable[Route], version: Version | None) -> None:
        self._api = api
        self._version = version or (api.versions.maximum if api.versions else None)
        self._beside = {name: _without_unset(kind) for name, kind in api.beside_lists.items()}
        self._optional = {name for name, kind in api.beside_lists.items() if UnsetType in get_args(kind)}
        kinds = {id(kind): kind for route in routes for kind in self._kinds(route)}
        schemas, components = msgspec.json.schema_components(kinds.values(), ref_template=_SCHEMAS + "{name}")
        self._schemas = {mark: _short(schema) for mark, schema in zip(kinds, schemas, strict=True)}
        self._kinds_by_id = kinds  # an identity is of one type as long as that lives
        self.components = {_short_name(name): _short(schema) for name, schema in sorted(components.items())}

    def _kinds(self, route: Route) -> Iterator[Any]:
        """Every type that the operation takes or shows, without its envelope."""
        if route.described is not None:
            kinds = route.described.values() if isinstance(route.described, Mapping) else [route.described]
            yield from (type_at(kind, self._version) for kind in kinds)
        elif route.body not in (None, bytes):
            for version in (*body_starts(self._api, route), self._version):
                yield type_at(route.body, version)
        for view in views_of(route):
            yield self._shown(view)
            if get_origin(view) is Listed:
                yield from self._beside.values()

    def _shown(self, view: Any) -> Any:
        return type_at(get_args(view)[0] if get_origin(view) is Listed else view, self._version)

    def of_body(self, route: Route, version: Version | None) -> dict[str, Any] | None:
        """The schema of the body at a version, the newest for None. None for plain bytes and routes without a body."""
        if isinstance(route.described, Mapping):
            kinds = {name: type_at(kind, self._version) for name, kind in route.described.items()}
            return {"oneOf": [_object({name: self._of(kind)}) for name, kind in kinds.items()]}
        if route.described is not None:
            return self._of(type_at(route.described, self._version))
        kind = route.body
        if kind in (None, bytes):
            return None
        schema = self._of(type_at(kind, version or self._version))
        return _object({route.envelope: schema}, is_closed=takes_only_fields(kind)) if route.envelope else schema

    def of_answers(self, route: Route) -> list[dict[str, Any]]:
        """The schemas of what the handler's views become."""
        return [self._of_answer(route.envelope, view) for view in views_of(route)]

    def _of_answer(self, envelope: str, view: Any) -> dict[str, Any]:
        schema = self._of(self._shown(view))
        if get_origin(view) is Listed:
            beside = {name.format(envelope): self._of(kind) for name, kind in self._beside.items()}
            optional = {name.format(envelope) for name in self._optional}
            return _object({envelope: {"type": "array", "items": schema}, **beside}, optional)
        return _object({envelope: schema}) if envelope else schema

    def _of(self, kind: Any) -> dict[str, Any]:
        schema: dict[str, Any] = self._schemas[id(kind)]
        return schema


def body_starts(api: Api, route: Route) -> list[Version | None]:
    """The versions at which the operation begins or its body changes, while the route is there. None: the first."""
    changes = starts(route.body)
    if not changes or api.versions is None:
        return [route.since]
    first = route.since or api.versions.minimum
    begins = sorted({first, *(start for start in changes if start > first)})
    return [start for start in begins if not route.until or start <= route.until]


def _object(properties: dict[str, Any], optional: Iterable[str] = (), *, is_closed: bool = True) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    schema = {"type": "object", "required": required, "properties": properties}
    return {**schema, "additionalProperties": False} if is_closed else schema


def _without_unset(kind: Any) -> Any:
    parts = [part for part in get_args(kind) if part is not UnsetType]
    return parts[0] if len(parts) == 1 and UnsetType in get_args(kind) else kind


def _short_name(name: str) -> str:
    """`gureum.services.compute.keypairs.api.NewKeypair`, as types of one name are called, to `keypairs.NewKeypair`."""
    parts = name.split(".")
    return ".".join(part for part in parts[3:] if part != "api") if len(parts) > 4 else name


def _short(value: Any) -> Any:
    """Short names, and patterns in the dialect of JSON Schema, where `$` is the end as `\\Z` is in Python."""
    if isinstance(value, dict):
        if isinstance(pattern := value.get("pattern"), str):
            value = {**value, "pattern": re.sub(r"\\Z$", "$", pattern)}
        if "$ref" in value:
            return {**value, "$ref": _SCHEMAS + _short_name(value["$ref"].removeprefix(_SCHEMAS))}
        return {key: _short(inner) for key, inner in value.items()}
    return [_short(inner) for inner in value] if isinstance(value, list) else value
