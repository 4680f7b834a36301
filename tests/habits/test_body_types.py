"""No request body is of a shape that breaks the decoder (docs/decisions/0010-no-union-of-pattern-and-collection.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args, get_origin

import pytest
from msgspec import inspect
from tests.cloud import config

from gureum.foundation.http.versioned import starts, type_at
from gureum.foundation.http.views import Extended

COLLECTIONS = (
    inspect.ListType,
    inspect.SetType,
    inspect.FrozenSetType,
    inspect.VarTupleType,
    inspect.TupleType,
    inspect.DictType,
)


def breakers(kind, at="", seen=None):
    """Where in a type a string with a pattern shares a union with a collection."""
    seen = set() if seen is None else seen
    if isinstance(kind, inspect.Metadata):
        return breakers(kind.type, at, seen)
    if isinstance(kind, inspect.StructType):
        if kind.cls in seen:
            return []
        seen.add(kind.cls)
        return [found for field in kind.fields for found in breakers(field.type, f"{at}.{field.encode_name}", seen)]
    if isinstance(kind, inspect.UnionType):
        patterns = any(isinstance(one, inspect.StrType) and one.pattern for one in kind.types)
        collections = any(isinstance(one, COLLECTIONS) for one in kind.types)
        inner = [found for one in kind.types for found in breakers(one, at, seen)]
        return [at, *inner] if patterns and collections else inner
    if isinstance(kind, inspect.DictType):
        return breakers(kind.key_type, at + "{}", seen) + breakers(kind.value_type, at + "{}", seen)
    item = getattr(kind, "item_type", None)
    return breakers(item, at + "[]", seen) if isinstance(item, inspect.Type) else []


def of_each_version(kind):
    """What is decoded at some version: an open body's fields, and what a field takes at each."""
    if kind is None:
        return []
    if get_origin(kind) is Extended:
        (kind,) = get_args(kind)
    return [kind, *(type_at(kind, start) for start in starts(kind))]


@pytest.fixture(scope="module")
def bodies(tmp_path_factory):
    """Every type that a route decodes: (API, route, type)."""
    from gureum.roles.control import build

    control = build(config(tmp_path_factory.mktemp("routes")))
    found = [
        (f"{api.name} {route.method} {route.path}", kind)
        for api in control.app.apis
        for route in api.routes
        for told in (route.body, route.described)
        for named in (told.values() if isinstance(told, Mapping) else [told])
        for kind in of_each_version(named)
    ]
    control.bus.close()
    control.database.close()
    return found


def test_no_body_has_a_pattern_and_a_collection_in_one_union(bodies):
    assert len(bodies) > 50
    wrong = [name + at for name, kind in bodies for at in breakers(inspect.type_info(kind))]
    assert wrong == [], "check the pattern in the handler instead: msgspec frees such a type wrongly"


def texts(kind):
    """Every string type inside a described type."""
    found, waiting, seen = [], [kind], set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, inspect.StrType):
            found.append(one)
        elif isinstance(one, inspect.StructType):
            if one.cls not in seen:
                seen.add(one.cls)
                waiting += [field.type for field in one.fields]
        else:
            inner = (getattr(one, name, None) for name in ("type", "item_type", "key_type", "value_type"))
            waiting += [*(other for other in inner if isinstance(other, inspect.Type)), *getattr(one, "types", ())]
    return found


def test_a_pattern_ends_where_the_text_ends(bodies):
    """`$` would let a line break pass at the end of a name: `\\Z` does not."""
    patterns = {text.pattern for _, kind in bodies for text in texts(inspect.type_info(kind)) if text.pattern}
    assert len(patterns) > 10
    assert [pattern for pattern in sorted(patterns) if pattern.endswith("$")] == []


def test_the_search_finds_one():
    """On a description: the type itself, once made, would take the test's process with it."""
    broken = inspect.UnionType((inspect.StrType(pattern="^a*$"), inspect.ListType(inspect.StrType())))
    assert breakers(inspect.DictType(inspect.StrType(), broken), "x") == ["x{}"]
