"""An OpenAPI 3.1 document of one API, made from its routes: every fact comes from a route.

Bodies and answers have the schemas of the Structs that handlers take and return. Where a body changes with the
microversion, the operation shows the newest and `x-openstack-variants` names all of them with the version each begins
at; an answer is that of the newest. The invariant: two calls over the same routes give the same document, key by key,
so that a difference of the file under docs/use/openapi is a difference of the API. Read next: `routes.py`,
`openapi_schemas.py`, `tools/openapi`.
Source: OpenAPI Specification 3.1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from gureum.foundation.errors import ApiError
from gureum.foundation.http.dialects import Dialect
from gureum.foundation.http.microversions import Version, text
from gureum.foundation.http.openapi_schemas import Schemas, body_starts
from gureum.foundation.http.routes import PUBLIC, Api, Route, Runs, parameter_names

_SEGMENT = r"^[^/\u0000]+$"
_REST = r"^[^\u0000]+$"


@dataclass(frozen=True, slots=True)
class _Known:
    """What the operations of one document share. `version` None means all versions together."""

    api: Api
    rules: Mapping[str, str]
    schemas: Schemas
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
    schemas = Schemas(api, routes, version)
    known = _Known(api, rules, schemas, version)
    paths: dict[str, dict[str, Any]] = {}
    for (path, method), same in _grouped(routes).items():
        paths.setdefault(path, {})[method] = _operation(known, path, same)
    statuses = sorted(
        {
            int(status)
            for methods in paths.values()
            for operation in methods.values()
            for status in operation["responses"]
        }
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Gureum {api.name} API", "version": _version_of(api, version)},
        "servers": [{"url": api.prefix}],
        "paths": paths,
        "components": {
            "schemas": schemas.components,
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
    for route in same:
        if (schema := known.schemas.of_body(route, known.version)) is not None:
            return {"required": True, "content": {route.media: {"schema": schema}}}
    unread = next((route for route in same if route.runs is Runs.STREAM or route.body is bytes), None)
    return {"content": {unread.media: {}}} if unread else None


def _variants(known: _Known, same: list[Route]) -> list[dict[str, Any]]:
    """From which version to which the operation is there, with which status and body. Empty: always the same."""
    variants = []
    for route in reversed(same):
        for start in body_starts(known.api, route):
            variant: dict[str, Any] = {"since": text(start)} if start else {}
            if route.until:
                variant["until"] = text(route.until)
            variant["status"] = route.status
            if route.described is None and (schema := known.schemas.of_body(route, start)) is not None:
                variant["body"] = schema
            variants.append(variant)
    return variants if len(variants) > 1 or variants[0].keys() & {"since", "until"} else []


def _responses(known: _Known, same: list[Route]) -> dict[str, Any]:
    statuses = {status for route in same for status in (route.status, *route.also, *_refusals(known.api, route))}
    return {
        str(status): {"$ref": f"#/components/responses/E{status}"} if status >= 400 else _success(known, status, same)
        for status in sorted(statuses)
    }


def _success(known: _Known, status: int, same: list[Route]) -> dict[str, Any]:
    """With the answer's schemas where handlers are typed by what they return."""
    success: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    schemas: list[dict[str, Any]] = []
    for route in same:
        if route.status == status:
            schemas += [schema for schema in known.schemas.of_answers(route) if schema not in schemas]
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
