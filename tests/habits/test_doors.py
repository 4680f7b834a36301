"""A handler is typed by what it stands on, the body that it takes and the view that it returns.

Its route and its API say the same. What a body or a view holds is declared field by field, so that a reader, mypy, the
OpenAPI documents and the tests (tests/answers.py) follow it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
import pytest

from gureum.foundation.config import Config, ServicesConfig
from gureum.foundation.http.answers import is_typed, views_of
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Runs, parameter_names
from gureum.foundation.http.versioned import Since, Takes, Until
from gureum.foundation.http.views import JsonValue
from gureum.roles.control import build

SERVICES = Path(__file__).resolve().parents[2] / "src/gureum/services"


@pytest.fixture(scope="module")
def apis(tmp_path_factory):
    control = build(Config(state=str(tmp_path_factory.mktemp("doors")), services=ServicesConfig("all")))
    yield control.app.apis
    control.close()


def handler_of(route):
    return route.handler.func if isinstance(route.handler, partial) else route.handler


def faults_of(api, route):
    """What of a handler is not typed as its route and its API are."""
    hints = get_type_hints(handler_of(route), include_extras=True)
    call, body = next(iter(hints.values()), None), hints.get("body")
    deps = get_args(call)[0] if get_origin(call) is Call else Any
    if deps is Any or not isinstance(api.deps, deps):
        yield f"call: {call}"
    if route.body is not None and route.runs is not Runs.STREAM:
        decoded = isinstance(route.body, type) and route.described is None
        if isinstance(route.body, Mapping) or (decoded and body != route.body) or body is Any:
            yield f"body: {body}, the route has {route.body}"
    missing = [name for name in parameter_names(route.path) if hints.get(name) is not str]
    if missing and not isinstance(route.handler, partial):
        yield f"parameters {missing}"
    if not is_typed(route):
        yield f"returns {hints.get('return')}"
    yield from (f"{view}.{field}: Any" for view in views_of(route) for field in untyped_fields(view, set()))


def untyped_fields(kind, known):
    """The fields of a view, however deep, that may hold anything."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind in known:
            return
        known.add(kind)
        for field in msgspec.structs.fields(kind):
            if holds_any(field.type):
                yield field.encode_name
            yield from untyped_fields(field.type, known)
    for part in get_args(kind):
        if part is not Any:
            yield from untyped_fields(part, known)


def holds_any(kind):
    """Whether a type is or holds `Any`. What clients may send as any JSON is a `JsonValue`."""
    if kind is Any:
        return True
    if kind == JsonValue or kind in get_args(JsonValue):
        return False
    return any(holds_any(part) for part in get_args(kind))


def test_handlers_are_typed_by_what_they_stand_on_take_and_return(apis):
    faults = [
        f"{api.name}: {handler_of(route).__module__}.{handler_of(route).__qualname__}: {fault}"
        for api in apis
        for route in api.routes
        for fault in faults_of(api, route)
    ]
    assert faults == [], "\n".join(sorted(set(faults)))


def markers_of(field):
    notes = field.type.__metadata__ if get_origin(field.type) is Annotated else ()
    return [note for note in notes if isinstance(note, Since | Until | Takes)]


def structs_of(kind, known):
    """Every Struct that a type holds."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind not in known:
            known.add(kind)
            for field in msgspec.structs.fields(kind):
                structs_of(field.type, known)
    for part in get_args(kind):
        structs_of(part, known)
    return known


def test_versions_of_fields_can_be_told_from_their_markers(apis):
    """At most one first and one last version; a field that older bodies do not have has a default."""
    wrong = []
    for route in (route for api in apis for route in api.routes):
        bodies = structs_of(route.body, set())
        for struct in bodies | {s for view in views_of(route) for s in structs_of(view, set())}:
            for field in msgspec.structs.fields(struct):
                kinds = [type(marker) for marker in markers_of(field)]
                if kinds.count(Since) > 1 or kinds.count(Until) > 1:
                    wrong.append(f"{struct.__name__}.{field.name} has two markers of one kind")
                if struct in bodies and field.required and {Since, Until} & set(kinds):
                    wrong.append(f"{struct.__name__}.{field.name} is required, and not in every version")
    assert wrong == []


def any_at_doors(service):
    """Functions of a service that take or return `Any`, rows as dictionaries, or calls of any service."""
    for path in sorted((SERVICES / service).rglob("*.py")):
        if "migrations" in path.parts and path.name.startswith("0"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                taken = [a.annotation for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                words = {ast.unparse(note) for note in (*taken, node.returns) if note is not None}
                if words & {"Any", "Call[Any]", "list[Any]", "Sequence[Any]", "dict[str, Any]"}:
                    yield f"{path.relative_to(SERVICES)}:{node.lineno} {node.name}"


ANY_AT_MOST = {"identity": 1, "image": 3, "placement": 2, "network": 1, "compute": 3}
"""How many functions of a service may still take or return `Any`. This number only falls."""


@pytest.mark.parametrize("service", sorted(ANY_AT_MOST))
def test_functions_say_what_they_take_and_return(service):
    places = list(any_at_doors(service))
    assert len(places) <= ANY_AT_MOST[service], "\n".join(places)
