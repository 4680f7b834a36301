"""Who may handle which of an image's own properties: the operator's rules, matched by name. Pure.

Invariant: once there is a rule, a property that none matches is nobody's. Administrators are callers like others here.
Source: image service administration guide, "Property protections".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gureum.foundation.caller import Caller
from gureum.foundation.errors import Forbidden
from gureum.services.image.config import ImagePropertyConfig

Operation = Literal["create", "read", "update", "delete"]
EVERYONE = "@"


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    roles: Mapping[str, frozenset[str]]


class Protections:
    """No rules: everything is allowed."""

    def __init__(self, rules: Sequence[_Rule]) -> None:
        self._rules = rules

    @classmethod
    def of(cls, configured: Iterable[ImagePropertyConfig]) -> Protections:
        """Raises re.error for a pattern that is none."""
        return cls(
            [
                _Rule(
                    re.compile(one.pattern),
                    {
                        "create": frozenset(one.create),
                        "read": frozenset(one.read),
                        "update": frozenset(one.update),
                        "delete": frozenset(one.delete),
                    },
                )
                for one in configured
            ]
        )

    def __bool__(self) -> bool:
        return bool(self._rules)

    def allows(self, caller: Caller, name: str, operation: Operation) -> bool:
        if not self._rules:
            return True
        for rule in self._rules:
            if rule.pattern.fullmatch(name):
                roles = rule.roles[operation]
                return EVERYONE in roles or not roles.isdisjoint(caller.roles)
        return False

    def require(self, caller: Caller, name: str, operation: Operation) -> None:
        """Raises Forbidden."""
        if not self.allows(caller, name, operation):
            raise Forbidden(f"Property '{name[:255]}' is protected")

    def readable(self, caller: Caller, properties: Mapping[str, str]) -> dict[str, str]:
        """What of the properties the caller may see."""
        if not self._rules:
            return dict(properties)
        return {name: value for name, value in properties.items() if self.allows(caller, name, "read")}
