"""The definition of one property: a closed subset of JSON schema. Pure.

Source: image API reference v2, "Metadata definition properties" and the schema `metadefs/property`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gureum.foundation.errors import BadRequest

Kind = Literal["array", "boolean", "integer", "number", "object", "string"]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class Items(Struct, forbid_unknown_fields=True):
    type: Kind | UnsetType = UNSET
    enum: list[Any] | UnsetType = UNSET


class Definition(Struct, forbid_unknown_fields=True, omit_defaults=True):
    title: Annotated[str, Meta(max_length=255)]
    type: Kind
    description: Annotated[str, Meta(max_length=4000)] | UnsetType = UNSET
    operators: list[str] | UnsetType = UNSET
    additionalItems: bool | UnsetType = UNSET  # noqa: N815 the API's own names, here and below
    default: Any = UNSET
    enum: list[Any] | UnsetType = UNSET
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


def as_json(definition: Definition) -> dict[str, Any]:
    """What is kept: without the name."""
    found: dict[str, Any] = msgspec.to_builtins(definition)
    found.pop("name", None)
    return found


def all_as_json(definitions: dict[str, Definition]) -> dict[str, Any]:
    """Raises BadRequest for a name that is too long."""
    if any(not 0 < len(name) <= 80 for name in definitions):
        raise BadRequest("The name of a property has 1 to 80 characters.")
    return {name: as_json(definition) for name, definition in definitions.items()}


def with_prefix(prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    return {prefix + name: definition for name, definition in definitions.items()}
