"""Bodies and views that change with the microversion: one Struct, each field with the versions that have it.

    class NewKeypair(Struct, forbid_unknown_fields=True):
        name: Annotated[WiderName, Takes((2, 1), KeypairName), Takes((2, 92), WiderName)]
        public_key: Annotated[PublicKey | None, Takes((2, 92), PublicKey, required=True)] = None
        type: Annotated[Literal["ssh", "x509"], Since(2, 2)] = "ssh"

From it follow the closed types that each version decodes and shows (`type_at`), a decoded body as the newest type,
whose handler sees no other (`upgraded`), and a view without what is newer than the request (`narrow`). Invariant:
nothing here is written by hand for a version. What a field's versions cannot say (a name that changed, a value that
means another) is the route's own `upgrade` and `downgrade`.
Source: the API-SIG microversion specification.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, UNSET, Struct
from msgspec.structs import FieldInfo

from gureum.foundation.http.microversions import Version
from gureum.foundation.http.views import Extended, Listed


@dataclass(frozen=True, slots=True)
class Since:
    """The first version that has the field."""

    major: int
    minor: int


@dataclass(frozen=True, slots=True)
class Until:
    """The last version that has the field."""

    major: int
    minor: int


@dataclass(frozen=True, slots=True)
class Takes:
    """What the field takes from a version on, where that is narrower than its annotation, which handlers see.

    `required` None means as the field is.
    """

    since: Version
    kind: Any
    required: bool | None = None


Marker = Since | Until | Takes


def type_at(kind: Any, version: Version | None) -> Any:
    """The type as `version` has it, for bytes: `kind` itself where it is the same. None is the newest version.

    The Struct of an `Extended` accepts unknown names.
    """
    return _at(kind, floor(kind, version))


def floor(kind: Any, version: Version | None) -> Version:
    """The newest of `starts` up to `version`: the type is the same from there to `version`."""
    begins = starts(kind)
    if version is None or not begins:
        return _NEWEST
    return max((start for start in begins if start <= version), default=(0, 0))


@cache
def starts(kind: Any) -> tuple[Version, ...]:
    """The versions at which the type changes, in order."""
    return tuple(sorted({version for struct in _structs(kind, set()) for version in _own_starts(struct)}))


def upgraded(value: Any, kind: Any) -> Any:
    """Convert a body that was decoded as `type_at` into the newest type `kind`. Fields that the version does not have
    get their default.
    """
    return _upgraded(value) if starts(kind) else value


def narrow(view: Any, version: Version) -> None:
    """Remove from a view, in place, what `version` does not have. Safe because each request makes its own view."""
    if isinstance(view, Struct):
        plan = _plan(type(view), version)
        for name in plan.absent:
            setattr(view, name, UNSET)
        for name in plan.inner:
            narrow(getattr(view, name), version)
    elif isinstance(view, list | tuple):
        for item in view:
            narrow(item, version)
    elif isinstance(view, dict):
        narrow(list(view.values()), version)
    elif isinstance(view, Listed):
        narrow(view.items, version)
    elif isinstance(view, Extended):
        narrow(view.fields, version)


def _upgraded(value: Any) -> Any:
    if isinstance(value, list):
        return [_upgraded(item) for item in value]
    if isinstance(value, dict):
        return {name: _upgraded(item) for name, item in value.items()}
    newest = _ORIGINS.get(type(value))
    if newest is None:
        return value
    inner = _versioned_fields(newest)
    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    return newest(**{name: _upgraded(field) if name in inner else field for name, field in fields.items()})


@cache
def _versioned_fields(struct: type[Struct]) -> frozenset[str]:
    """The fields whose values may be decoded as a type of one version."""
    return frozenset(field.name for field in msgspec.structs.fields(struct) if starts(field.type))


# -- what a type's fields say -----------------------------------------------------------------------------


_NEWEST: Version = (10**6, 0)
"""Stands for the newest version, and is later than each."""


class _Plan(NamedTuple):
    """The fields that a version does not have, and those whose values may have such fields."""

    absent: tuple[str, ...]
    inner: tuple[str, ...]


@cache
def _plan(struct: type[Struct], version: Version) -> _Plan:
    fields = msgspec.structs.fields(struct)
    absent = tuple(field.name for field in fields if not _is_there(field, version))
    inner = (field.name for field in fields if field.name not in absent and _is_narrower(field.type, version))
    return _Plan(absent, tuple(inner))


def _is_narrower(kind: Any, version: Version) -> bool:
    """Whether some Struct in the type has a field that `version` does not have."""
    fields = (field for struct in _structs(kind, set()) for field in msgspec.structs.fields(struct))
    return any(not _is_there(field, version) for field in fields)


def _markers(field: FieldInfo) -> list[Marker]:
    if get_origin(field.type) is not Annotated:
        return []
    return [marker for marker in field.type.__metadata__ if isinstance(marker, Marker)]


def _span(field: FieldInfo) -> tuple[Version, Version]:
    """The first and the last version that has the field."""
    first: Version = (0, 0)
    last = _NEWEST
    for marker in _markers(field):
        if isinstance(marker, Since):
            first = (marker.major, marker.minor)
        elif isinstance(marker, Until):
            last = (marker.major, marker.minor)
    return first, last


def _own_starts(struct: type[Struct]) -> Iterator[Version]:
    for field in msgspec.structs.fields(struct):
        for marker in _markers(field):
            if isinstance(marker, Since):
                yield marker.major, marker.minor
            elif isinstance(marker, Until):
                yield marker.major, marker.minor + 1
            else:
                yield marker.since


def _structs(kind: Any, known: set[type[Struct]]) -> set[type[Struct]]:
    """Every Struct that a type holds."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        if kind not in known:
            known.add(kind)
            for field in msgspec.structs.fields(kind):
                _structs(field.type, known)
    else:
        for argument in get_args(kind):
            _structs(argument, known)
    return known


# -- the type of one version ------------------------------------------------------------------------------


@cache
def _at(kind: Any, version: Version) -> Any:
    """The type at one of its `starts`."""
    if _is_plain(kind, version):
        return kind
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _variant(kind, version)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _unmarked(kind, _at(arguments[0], version))
    if origin is Extended:
        return _variant(arguments[0], version, is_open=True)
    changed = tuple(_at(argument, version) for argument in arguments)
    if origin in (Union, types.UnionType):
        return Union[changed]  # noqa: UP007 made of a tuple
    return origin[changed]


@cache
def _is_plain(kind: Any, version: Version) -> bool:
    """Whether every Struct in the type is at `version` as it is written."""
    fields = [field for struct in _structs(kind, set()) for field in msgspec.structs.fields(struct)]
    return not any(_is_changed(field, version) for field in fields) and not any(
        _holds_extended(part) for part in (kind, *(field.type for field in fields))
    )


def _is_changed(field: FieldInfo, version: Version) -> bool:
    return not _is_there(field, version) or any(isinstance(marker, Takes) for marker in _markers(field))


def _holds_extended(kind: Any) -> bool:
    return get_origin(kind) is Extended or any(_holds_extended(part) for part in get_args(kind))


def _unmarked(kind: Any, inner: Any) -> Any:
    """An annotated type around `inner`, with what msgspec reads of its annotations."""
    kept = [note for note in kind.__metadata__ if not isinstance(note, Marker)]
    return Annotated[(inner, *kept)] if kept else inner


def _variant(struct: type[Struct], version: Version, *, is_open: bool = False) -> type[Struct]:
    config = struct.__struct_config__
    ending = "" if version == _NEWEST else f"_{version[0]}_{version[1]}"
    variant = msgspec.defstruct(
        f"{struct.__name__}{ending}",
        [_field(field, version) for field in msgspec.structs.fields(struct) if _is_there(field, version)],
        module=struct.__module__,
        forbid_unknown_fields=config.forbid_unknown_fields and not is_open,
        tag=config.tag,
        tag_field=config.tag_field,
        kw_only=True,
    )
    _ORIGINS[variant] = struct
    return variant


_ORIGINS: dict[type, type[Struct]] = {}
"""The type of which a type of one version was made."""


def _is_there(field: FieldInfo, version: Version) -> bool:
    first, last = _span(field)
    return first <= version <= last


def _field(field: FieldInfo, version: Version) -> tuple[str, Any, Any]:
    kind, required = field.type, field.required
    for marker in _markers(field):
        if isinstance(marker, Takes) and marker.since <= version:
            kind = marker.kind
            required = field.required if marker.required is None else marker.required
    default = NODEFAULT if required else field.default
    factory = NODEFAULT if required else field.default_factory
    named: Any = msgspec.field(default=default, default_factory=factory, name=field.encode_name)  # type: ignore[call-overload]  # one of both is NODEFAULT
    inner = _unmarked(kind, get_args(kind)[0]) if get_origin(kind) is Annotated else kind
    return field.name, type_at(inner, version), named


def fields_of(struct: type[Struct]) -> Mapping[str, Any]:
    """The fields of a Struct by the names that clients know, each with its type."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
