"""The types around a noun's Structs: what handlers return, and bodies with properties that clients chose.

A handler returns a Struct, which the route's `envelope` names in the answer: `{"keypair": {...}}`. A list is `Listed`;
a Struct with properties beside its fields that a client chose is `Extended`, as a body and as a view; an answer with
headers or another status is a `Reply` (`routes.py`). A document that is kept encoded, so that many requests share it,
is `Annotated[bytes, Encodes(Document)]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from msgspec import UNSET, Struct

T = TypeVar("T")
JsonValue = dict[str, Any] | list[Any] | str | int | float | bool | None
"""What a client may send where the API takes any JSON."""


class View(Struct, forbid_unknown_fields=True, gc=False):
    """What a client is shown of a noun: every field of the newest version. A field that is UNSET is left out."""


class Link(View):
    """One entry of `links`."""

    rel: str
    href: str


class Listed(Generic[T]):
    """A list: its items, which the route's `envelope` names, and what stands beside them (links to other pages)."""

    __slots__ = ("beside", "items")

    def __init__(self, items: Sequence[T], beside: Mapping[str, Any] | None = None) -> None:
        self.items = items
        self.beside = beside or {}


class Extended(Generic[T]):
    """A Struct, and properties beside its fields. Encoded as one object; the fields win."""

    __slots__ = ("extra", "fields")

    def __init__(self, fields: T, extra: Mapping[str, Any]) -> None:
        self.fields = fields
        self.extra = extra


@dataclass(frozen=True, slots=True)
class Encodes:
    """Names the view of which the bytes are the JSON: the whole document, with its envelope."""

    view: Any


def encoded(value: Any) -> Any:
    """For msgspec's `enc_hook`: what to encode in place of a type that it does not know. Raises TypeError."""
    if isinstance(value, Extended):
        return {**value.extra, **fields_shown(value.fields)} if value.extra else value.fields
    raise TypeError(f"{type(value).__name__} cannot be shown as JSON")


def fields_shown(view: Struct) -> dict[str, Any]:
    """The fields of a view by the names that clients know, without what is UNSET; the values stay as they are."""
    names = zip(view.__struct_encode_fields__, view.__struct_fields__, strict=True)
    return {key: value for key, name in names if (value := getattr(view, name)) is not UNSET}


def enveloped(view: Any, envelope: str) -> Any:
    """The document of a handler's view: under the name that its route gives, if it gives one."""
    if isinstance(view, Listed):
        return {envelope: view.items, **view.beside}
    return {envelope: view} if envelope and view is not None else view
