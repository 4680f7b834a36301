"""The query parameters that lists of providers and of candidates share, parsed into values.

Source: placement API reference, `resources`, `required`, `member_of`. Pure but for the names, which the callers
check against the tables. Everything here raises BadRequest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from gureum.foundation.errors import BadRequest
from gureum.foundation.http.microversions import Version
from gureum.services.placement.answers import BAD_VALUE, DUPLICATE_KEY, MOST, dashed

_AMOUNT = re.compile(r"([A-Z0-9_]{1,255}):([0-9]{1,10})")
_TRAIT = re.compile(r"[A-Z0-9_]{1,255}")
FORBIDDEN_TRAITS: Version = (1, 22)
SEVERAL_AGGREGATES: Version = (1, 24)
FORBIDDEN_AGGREGATES: Version = (1, 32)
ANY_TRAITS: Version = (1, 39)


@dataclass(frozen=True, slots=True)
class Traits:
    """One trait of each set of `required` is needed; none of `forbidden` may be there."""

    required: tuple[frozenset[str], ...] = ()
    forbidden: frozenset[str] = frozenset()

    def names(self) -> set[str]:
        return {name for group in self.required for name in group} | self.forbidden

    def allow(self, held: frozenset[str] | set[str]) -> bool:
        return not self.forbidden & held and self.met_by(held)

    def met_by(self, held: frozenset[str] | set[str]) -> bool:
        return not self.required or all(group & held for group in self.required)


@dataclass(frozen=True, slots=True)
class Membership:
    """In one aggregate of each set of `wanted`, in none of `refused`."""

    wanted: tuple[frozenset[str], ...] = ()
    refused: frozenset[str] = field(default_factory=frozenset)

    def __bool__(self) -> bool:
        return bool(self.wanted or self.refused)

    def allow(self, held: frozenset[str] | set[str]) -> bool:
        return not self.refused & held and all(group & held for group in self.wanted)


def in_force(values: Sequence[str], version: Version, repeatable_since: Version) -> Sequence[str]:
    """The values of a parameter that count: all of them since it may be repeated, else the last."""
    return values if version >= repeatable_since else values[-1:]


def several(values: Sequence[str], version: Version) -> Sequence[str]:
    """The values of `member_of`, which may be repeated since 1.24. Raises BadRequest."""
    if len(values) > 1 and version < SEVERAL_AGGREGATES:
        raise BadRequest(
            "Multiple member_of parameters are not supported in the specified microversion.", code=DUPLICATE_KEY
        )
    return values


def resources_of(text: str) -> dict[str, int]:
    """`VCPU:1,MEMORY_MB:64` -> {"VCPU": 1, "MEMORY_MB": 64}; amounts are at least 1."""
    form = (
        "Badly formed resources parameter. Expected resources query string parameter in form: "
        "?resources=VCPU:2,MEMORY_MB:1024."
    )
    if not text:
        raise BadRequest(f"{form} Got: empty string.", code=BAD_VALUE)
    found: dict[str, int] = {}
    for part in text.split(","):
        match = _AMOUNT.fullmatch(part.strip())
        if match is None:
            raise BadRequest(f"{form} Got: {text[:128]}.", code=BAD_VALUE)
        amount = int(match[2])
        if not 1 <= amount <= MOST:
            raise BadRequest(f"{form} Got: {text[:128]}. Requested resource amounts must be above 0.", code=BAD_VALUE)
        found[match[1]] = amount
    return found


def traits_of(values: Sequence[str], version: Version) -> Traits:
    """`A,!B` since 1.22; `in:A,B` and repetition since 1.39."""
    required: list[frozenset[str]] = []
    forbidden: set[str] = set()
    for value in values:
        if value.startswith("in:") and version >= ANY_TRAITS:
            required.append(frozenset(_trait(name, value, version) for name in value[3:].split(",")))
            continue
        for name in value.split(","):
            if name.startswith("!") and version >= FORBIDDEN_TRAITS:
                forbidden.add(_trait(name[1:], value, version))
            else:
                required.append(frozenset({_trait(name, value, version)}))
    clash = forbidden & {name for group in required if len(group) == 1 for name in group}
    if clash:
        names = ", ".join(sorted(clash))
        raise BadRequest(f"Conflicting required and forbidden traits found: {names}.", code=BAD_VALUE)
    return Traits(tuple(required), frozenset(forbidden))


def _trait(name: str, value: str, version: Version) -> str:
    name = name.strip()
    if not _TRAIT.fullmatch(name):
        example = "HW_CPU_X86_VMX,!CUSTOM_MAGIC" if version >= FORBIDDEN_TRAITS else "HW_CPU_X86_VMX,CUSTOM_MAGIC"
        raise BadRequest(
            f"Invalid query string parameters: Expected 'required' parameter value of the form: {example}. "
            f"Got: {value[:128]}",
            code=BAD_VALUE,
        )
    return name


def membership_of(values: Sequence[str], version: Version) -> Membership:
    """`UUID`, `in:UUID,UUID`, since 1.32 `!UUID` and `!in:UUID,UUID`."""
    wanted: list[frozenset[str]] = []
    refused: set[str] = set()
    for value in values:
        text, negative = value, False
        if text.startswith("!"):
            if version < FORBIDDEN_AGGREGATES:
                raise BadRequest("Forbidden member_of parameters are not supported in the specified microversion.")
            text, negative = text[1:], True
        several = text.startswith("in:")
        parts = text[3:].split(",") if several else [text]
        if not several and "," in text:
            raise BadRequest("Multiple values for 'member_of' must be prefixed with the 'in:' keyword.", code=BAD_VALUE)
        uuids = frozenset(_aggregate(part.strip()) for part in parts)
        if negative:
            refused |= uuids
        else:
            wanted.append(uuids)
    return Membership(tuple(wanted), frozenset(refused))


def _aggregate(text: str) -> str:
    try:
        return dashed(text)
    except BadRequest as error:
        raise BadRequest(
            "Invalid query string parameters: Expected 'member_of' parameter to contain valid UUID(s). "
            f"Got: {text[:64]}",
            code=BAD_VALUE,
        ) from error
