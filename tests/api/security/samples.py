"""Bodies from the JSON schemas of an OpenAPI document: one that fits, and for each of its places what does not fit."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import jsonschema

TEXTS = (
    *("a", "b1", "abcdefgh", "CUSTOM_A", "VCPU", "1", "10.0.0.1", "/a", "http://a", "POST", "2030-01-01T00:00:00Z"),
    *("00000000-0000-0000-0000-00000000abcd", "0" * 32, "10.0.0.0/24", "/24", "fa:16:3e:00:00:01"),
)
ODD = (
    *(None, True, 0, -1, -(2**63) - 1, 2**31, 2**63, 10**40, 1.5, "", " ", "x", "\n", "\u2028", "구름"),
    *([], ["x"], [None], [[]], {}, {"x": 1}, {"": ""}, [{"x": 1}]),
)
LONG = 70_000
Path = tuple[Any, ...]


class OwnKey(str):
    """A key that the client chose, unlike the name of a field."""

    __slots__ = ()


class Schemas:
    """The schemas of one document. Patterns end as they do in JSON Schema: at the end, not before a last line break."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._components = _strict(document["components"]["schemas"])

    def of(self, operation: dict[str, Any]) -> dict[str, Any]:
        """The schema of an operation's body, references resolved one level at a time by `plain`."""
        (content,) = operation["requestBody"]["content"].values()
        return _strict(content["schema"])

    def plain(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self._components[schema["$ref"].rsplit("/", 1)[-1]]
        return schema

    def fits(self, schema: dict[str, Any], value: Any) -> bool:
        whole = {**schema, "components": {"schemas": self._components}}
        return jsonschema.Draft202012Validator(whole).is_valid(value)

    def sample(self, schema: dict[str, Any]) -> Any:
        """A value that fits, with every optional member too."""
        schema = self.plain(schema)
        for kind in ("anyOf", "oneOf"):
            if kind in schema:
                ranked = sorted(schema[kind], key=lambda one: self.plain(one).get("type") == "null")
                return self.sample(ranked[0])
        if "enum" in schema or "const" in schema:
            return schema.get("const", schema.get("enum", [None])[0])
        kind = schema.get("type")
        if kind == "object":
            members = {key: self.sample(one) for key, one in schema.get("properties", {}).items()}
            more = schema.get("additionalProperties")
            if isinstance(more, dict) and not members:
                members[self.sample(schema.get("propertyNames", {"type": "string"}))] = self.sample(more)
            return members
        if kind == "array":
            return [self.sample(schema.get("items", {}))]
        return self._scalar(schema)

    def _scalar(self, schema: dict[str, Any]) -> Any:
        kind = schema.get("type")
        if kind in ("integer", "number"):
            return max(schema.get("minimum", 1), min(1, schema.get("maximum", 1)))
        if kind == "boolean":
            return True
        if kind == "null":
            return None
        return next(text for text in TEXTS if self.fits(schema, text))

    def places(self, schema: dict[str, Any], at: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Every place of the sample with the schema that holds there."""
        yield at, schema
        schema = self.plain(schema)
        value = self.sample(schema)
        for kind in ("anyOf", "oneOf"):
            for one in schema.get(kind, []):
                if self.fits(one, value):
                    yield from ((path, inner) for path, inner in self.places(one, at) if path != at)
                    return
        for key, inner in schema.get("properties", {}).items():
            yield from self.places(inner, (*at, key))
        more = schema.get("additionalProperties")
        if isinstance(more, dict) and not schema.get("properties"):
            yield from self.places(more, (*at, *map(OwnKey, value)))
        if schema.get("type") == "array" and "items" in schema:
            yield from self.places(schema["items"], (*at, 0))

    def misfits(self, schema: dict[str, Any]) -> list[Any]:
        """Odd values that the schema does not take here."""
        plain = self.plain(schema)
        found = [value for value in ODD if not self.fits(plain, value)]
        value = self.sample(plain)
        if isinstance(value, str):
            found += [odd for odd in (value + "\n", value + "x" * LONG) if not self.fits(plain, odd)]
        if isinstance(value, dict) and plain.get("additionalProperties") is False:
            found.append({**value, "unexpected": 1})
        return found


def replaced(body: Any, at: Path, value: Any) -> Any:
    """The body with another value at a place."""
    if not at:
        return value
    changed = copy.deepcopy(body)
    inner = changed
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return changed


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        told = {key: _strict(one) for key, one in value.items()}
        if isinstance(told.get("pattern"), str):
            told["pattern"] = re.sub(r"\$$", r"\\Z", told["pattern"])
        if isinstance(told.get("$ref"), str):
            told["$ref"] = "#/components/schemas/" + told["$ref"].rsplit("/", 1)[-1]
        return told
    return [_strict(one) for one in value] if isinstance(value, list) else value
