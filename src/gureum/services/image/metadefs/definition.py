"""The definition of one property: a closed subset of JSON schema. Pure.

Source: image API reference v2, "Metadata definition properties" and the schema `metadefs/property`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.foundation.errors import BadRequest
from gureum.foundation.http.views import JsonValue

Described = dict[str, JsonValue]
"""A definition as it is kept and shown: the keys that its author gave, without the name."""
Kind = Literal["array", "boolean", "integer", "number", "object", "string"]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Items(Struct, forbid_unknown_fields=True):
    type: Kind | UnsetType = UNSET
    enum: list[JsonValue] | UnsetType = UNSET


class Definition(Struct, forbid_unknown_fields=True, omit_defaults=True):
    title: Annotated[str, Meta(max_length=255)]
    type: Kind
    description: Annotated[str, Meta(max_length=4000)] | UnsetType = UNSET
    operators: list[str] | UnsetType = UNSET
    additionalItems: bool | UnsetType = UNSET  # noqa: N815 the API's own names, here and below
    default: JsonValue | UnsetType = UNSET
    enum: list[JsonValue] | UnsetType = UNSET
    items: Items | UnsetType = UNSET
    maxItems: Count | UnsetType = UNSET  # noqa: N815
    maxLength: Count | UnsetType = UNSET  # noqa: N815
    maximum: float | int | UnsetType = UNSET
    minItems: Count | UnsetType = UNSET  # noqa: N815
    minLength: Count | UnsetType = UNSET  # noqa: N815
    minimum: float | int | UnsetType = UNSET
    pattern: Annotated[str, Meta(max_length=1000)] | UnsetType = UNSET
    readonly: bool | UnsetType = UNSET
    required: list[str] | UnsetType = UNSET
    uniqueItems: bool | UnsetType = UNSET  # noqa: N815

    def __post_init__(self) -> None:
        if self.pattern is not UNSET:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError("pattern is not a regular expression") from error


class Named(Definition, kw_only=True):
    """A definition with its name, as the routes of single properties take it."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]


def as_json(definition: Definition) -> Described:
    """What is kept: without the name."""
    described: Described = msgspec.to_builtins(definition)
    described.pop("name", None)
    return described


def all_as_json(definitions: Mapping[str, Definition]) -> dict[str, Described]:
    """Raises BadRequest for a name that is too long."""
    if any(not 0 < len(name) <= 80 for name in definitions):
        raise BadRequest("The name of a property has 1 to 80 characters.")
    return {name: as_json(definition) for name, definition in definitions.items()}


def with_prefix(prefix: str, definitions: Mapping[str, Described]) -> dict[str, Described]:
    return {prefix + name: definition for name, definition in definitions.items()}
