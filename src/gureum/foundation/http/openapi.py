"""An OpenAPI 3.1 document of one API, made from its routes: no fact stands here that a route does not hold.

A handler that is annotated with the Struct that it returns gives its answer a schema, that of the newest microversion
(golden files in tests hold the others); one that returns a dictionary gives none yet. Where a body changes with the
microversion, the operation shows the newest and `x-openstack-variants` names all of them with the version
each begins at. The invariant: two calls over the same routes give the same document, key by key, so that a
difference of the file under docs/use/openapi is a difference of the API. Read next: `routes.py`, `tools/openapi`.
Source: OpenAPI Specification 3.1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, get_type_hints

import msgspec
from msgspec import Struct

from gureum.foundation.errors import ApiError
from gureum.foundation.http.dialects import Dialect
from gureum.foundation.http.microversions import Version, text
from gureum.foundation.http.routes import PUBLIC, Api, Route, Runs, parameter_names

_SCHEMAS = "#/components/schemas/"
_SEGMENT = r"^[^/\u0000]+$"
_REST = r"^[^\u0000]+$"


@dataclass(frozen=True, slots=True)
class _Known:
    """What the operations of one document share. `version` None means all versions together."""

    api: Api
    rules: Mapping[str, str]
    schemas: Mapping[int, dict[str, Any]]
    version: Version | None


def document(
    api: Api, rules: Mapping[str, str], version: Version | None = None, *, unauthorized: Dialect | None = None
) -> dict[str, Any]:
    """The document of `api` over all microversions, or as it is at `version`.

    `rules` maps a policy rule's name to what it permits, in words; `unauthorized` words the answer 401. Paths of an API
    from before microversions are left out: they repeat the others at the first version.
    """
    elder = f"/{api.versions.unversioned}/" if api.versions and api.versions.unversioned else None
    routes = [route for route in api.routes if not (elder and route.path.startswith(elder))]
    if version is not None:
        routes = [route for route in routes if _answers(route, version)]
    schemas, components = _components(routes)
    known = _Known(api, rules, schemas, version)
    paths: dict[str, dict[str, Any]] = {}
    for (path, method), same in _grouped(routes).items():
        paths.setdefault(path, {})[method] = _operation(known, path, same)
    statuses = sorted(
        {int(status) for found in paths.values() for one in found.values() for status in one["responses"]}
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Gureum {api.name} API", "version": _version_of(api, version)},
        "servers": [{"url": api.prefix}],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {
                f"E{status}": _error(api, status, version, unauthorized or api.dialect)
                for status in statuses
                if status >= 400
            },
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }


def _version_of(api: Api, version: Version | None) -> str:
    if version is not None or api.versions is not None:
        return text(version or api.versions.maximum)  # type: ignore[union-attr]  # one of both is there
    majors = [route.path.split("/")[1] for route in api.routes if re.match(r"/v\d", route.path)]
    return majors[0].removeprefix("v") if majors else "1"


def _answers(route: Route, version: Version) -> bool:
    return (route.since is None or route.since <= version) and (route.until is None or version <= route.until)


def _grouped(routes: Iterable[Route]) -> dict[tuple[str, str], list[Route]]:
    """Routes by path and method, the newest of each first."""
    found: dict[tuple[str, str], list[Route]] = {}
    for route in routes:
        path = re.sub(r":path}", "}", route.path)
        found.setdefault((path, route.method.lower()), []).append(route)
    for same in found.values():
        same.sort(key=lambda route: route.since or (0, 0), reverse=True)
    return found


def _operation(known: _Known, path: str, same: list[Route]) -> dict[str, Any]:
    route = same[0]
    public = route.policy == PUBLIC
    operation: dict[str, Any] = {
        "operationId": f"{route.method} {path}",
        "summary": known.rules.get(route.policy, "") or _summary(route),
        "tags": [_noun(path)],
        "parameters": [*_path_parameters(route), *_query(same)],
    }
    if route.method not in ("GET", "HEAD") and (body := _request_body(known, same)):
        operation["requestBody"] = body
    operation["responses"] = _responses(known, same)
    operation["security"] = [] if public else [{"token": []}]
    operation["x-openstack-policy"] = route.policy
    if route.closed:
        operation["x-openstack-query-closed-since"] = text(route.closed)
    if (variants := _variants(known, same)) and known.version is None:
        operation["x-openstack-variants"] = variants
    return operation


def _summary(route: Route) -> str:
    return "Answers without a token" if route.policy == PUBLIC else ""


def _noun(path: str) -> str:
    plain = [part for part in path.split("/") if part and not part.startswith("{")]
    return next((part for part in plain if not re.fullmatch(r"v\d[.\d]*", part)), "versions")


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": _REST if f"{{{name}:path}}" in route.path else _SEGMENT},
        }
        for name in parameter_names(route.path)
    ]


def _query(same: list[Route]) -> list[dict[str, Any]]:
    names = dict.fromkeys(name for route in same for name in route.query)
    return [{"name": name, "in": "query", "required": False, "schema": {"type": "string"}} for name in names]


def _request_body(known: _Known, same: list[Route]) -> dict[str, Any] | None:
    route = next((route for route in same if _kind(route, known.version) is not None), None)
    if route is not None:
        schema = known.schemas[id(_kind(route, known.version))]
        return {"required": True, "content": {route.media: {"schema": schema}}}
    unread = next((route for route in same if route.runs is Runs.STREAM or route.body is bytes), None)
    return {"content": {unread.media: {}}} if unread else None


def _kind(route: Route, version: Version | None) -> Any:
    """What to describe as the body: the handler's own choice where the route names it, nothing for plain bytes."""
    kind = route.body_type(version) if route.described is None else route.described
    return None if kind is bytes else kind


def view_type(route: Route) -> type[Struct] | None:
    """The Struct that the handler returns by its annotation; None where it returns a dictionary or no JSON."""
    handler = route.handler.func if isinstance(route.handler, partial) else route.handler
    kind = get_type_hints(handler).get("return")
    return kind if isinstance(kind, type) and issubclass(kind, Struct) else None


def _kinds(route: Route) -> list[Any]:
    """Every type that the operation takes or gives."""
    view = view_type(route)
    bodies = route.body.values() if isinstance(route.body, Mapping) else [route.body]
    kinds = [route.described] if route.described is not None else [*bodies]
    return [kind for kind in (*kinds, view) if kind not in (None, bytes)]


def _components(routes: list[Route]) -> tuple[dict[int, dict[str, Any]], dict[str, Any]]:
    """The schema of each body by its type's identity, and what those refer to. A table means one of its keys."""
    kinds = {id(kind): kind for route in routes for kind in _kinds(route)}
    plain: dict[int, Any] = {}
    for kind in kinds.values():
        for one in kind.values() if isinstance(kind, Mapping) else [kind]:
            plain[id(one)] = one
    schemas, components = msgspec.json.schema_components(plain.values(), ref_template=_SCHEMAS + "{name}")
    by_type = dict(zip(plain, schemas, strict=True))
    found = {
        mark: _one_key(kind, by_type) if isinstance(kind, Mapping) else by_type[mark] for mark, kind in kinds.items()
    }
    return {mark: _short(one) for mark, one in found.items()}, {
        _short_name(name): _short(one) for name, one in sorted(components.items())
    }


def _short_name(name: str) -> str:
    """`gureum.services.compute.keypairs.api.CreateV21`, as types of one name are called, to `keypairs.CreateV21`."""
    parts = name.split(".")
    return ".".join(part for part in parts[3:] if part != "api") if len(parts) > 4 else name


def _short(value: Any) -> Any:
    """Short names, and patterns in the dialect of JSON Schema, where `$` is the end as `\\Z` is in Python."""
    if isinstance(value, dict):
        if isinstance(pattern := value.get("pattern"), str):
            value = {**value, "pattern": re.sub(r"\\Z$", "$", pattern)}
        if "$ref" in value:
            return {**value, "$ref": _SCHEMAS + _short_name(value["$ref"].removeprefix(_SCHEMAS))}
        return {key: _short(one) for key, one in value.items()}
    return [_short(one) for one in value] if isinstance(value, list) else value


def _one_key(table: Mapping[str, Any], by_type: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    alternatives = [
        {
            "type": "object",
            "required": [name],
            "properties": {name: by_type[id(kind)]},
            "additionalProperties": False,
        }
        for name, kind in table.items()
    ]
    return {"oneOf": alternatives}


def _variants(known: _Known, same: list[Route]) -> list[dict[str, Any]]:
    """From which version to which the operation is there, with which status and body. Empty: always the same."""
    found = []
    for route in reversed(same):
        for start, kind in _bodies_within(route):
            variant: dict[str, Any] = {"since": text(start)} if start else {}
            if route.until:
                variant["until"] = text(route.until)
            variant["status"] = route.status
            if kind not in (None, bytes) and route.described is None:
                variant["body"] = known.schemas[id(kind)]
            found.append(variant)
    return found if len(found) > 1 or found[0].keys() & {"since", "until"} else []


def _bodies_within(route: Route) -> list[tuple[Version | None, Any]]:
    """The body types in force while the route is there, each with the version that it begins at."""
    if not isinstance(route.body, Mapping):
        return [(route.since, route.body)]
    first = route.since or min(route.body)
    starts = {first, *(since for since in route.body if since > first)}
    return [(since, route.body_type(since)) for since in sorted(starts) if not route.until or since <= route.until]


def _responses(known: _Known, same: list[Route]) -> dict[str, Any]:
    statuses = {status for route in same for status in (route.status, *route.also, *_refusals(known.api, route))}
    return {
        str(status): {"$ref": f"#/components/responses/E{status}"} if status >= 400 else _success(known, status, same)
        for status in sorted(statuses)
    }


def _success(known: _Known, status: int, same: list[Route]) -> dict[str, Any]:
    """With the answer's schema where handlers are typed by what they return."""
    success: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    views = {id(view): view for route in same if route.status == status and (view := view_type(route)) is not None}
    schemas = [known.schemas[mark] for mark in views]
    if schemas:
        schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
        success["content"] = {"application/json": {"schema": schema}}
    return success


def _refusals(api: Api, route: Route) -> set[int]:
    """The errors that any request of this kind may meet: what the edge refuses, and what a noun may say."""
    found = {400}
    if route.policy != PUBLIC:
        found |= {401, 403}
    if parameter_names(route.path) or route.body is not None or route.since or route.until:
        found.add(404)
    if api.versions is not None:
        found.add(406)
    if route.mode() == "write" or (route.mode() == "none" and route.method != "GET"):
        found.add(409)
    if route.method not in ("GET", "HEAD"):
        found.add(413)
    if route.body is not None or route.runs is Runs.STREAM:
        found.add(415)
    return found


def _error(api: Api, status: int, version: Version | None, unauthorized: Dialect) -> dict[str, Any]:
    """An error's answer: its body's shape is read off what the dialect renders."""
    error = ApiError("text")
    error.status, error.title = status, HTTPStatus(status).phrase
    dialect = unauthorized if status == 401 else api.dialect
    body = dialect(error, "req-")
    if version is not None and api.elder_errors and status != 401:
        body = api.elder_errors(body, version)
    shape = _shape(body)
    return {"description": HTTPStatus(status).phrase, "content": {"application/json": {"schema": shape}}}


def _shape(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        inner = {key: _shape(one) for key, one in value.items()}
        return {"type": "object", "required": list(value), "properties": inner}
    if isinstance(value, list):
        return {"type": "array", "minItems": 1, "items": _shape(value[0])}
    return {"type": "integer"} if isinstance(value, int) else {"type": "string"}
