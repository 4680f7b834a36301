"""Access rules: what a token that an application credential narrowed may ask for.

A rule names a service type, a method and a path; the path may hold `{anything}` or `*` for one segment and `**` for
any number of them. It is matched against the path with and without the API's own prefix. Pure; a tenant writes both
the pattern and the path, so matching takes time in proportion to the path's length, whatever the pattern is.
Source: identity API reference, "Application credentials", access rules; keystone's user guide on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from gureum.foundation.caller import AccessRule

LONGEST_PATH = 2048
_PARTS = re.compile(r"(?P<segment>\{[^}]*\}|\*(?!\*))|(?P<any>\*\*)|(?P<literal>.)", re.DOTALL)


def permits(rules: Iterable[AccessRule], service: str, method: str, path: str, prefix: str) -> bool:
    """Whether some rule lets `method` on `path` of the API at `prefix` through."""
    whole = "/" + "/".join(part for part in path.split("/") if part)
    if len(whole) > LONGEST_PATH:
        return False
    inner = whole.removeprefix(prefix.rstrip("/")) or "/"
    return any(
        rule.service == service
        and rule.method == method
        and any(_pattern(rule.path).fits(form) for form in (whole, inner))
        for rule in rules
    )


@dataclass(frozen=True, slots=True)
class _Pattern:
    """An automaton with its states as the bits of a number: bit n is set when the first n tokens are matched.

    `stays` are the states that a character other than a slash leaves as they are, `swallows` those that every one
    does; both may also be left without a character. `steps` are those that any character but a slash moves on.
    """

    literals: dict[str, int]
    steps: int
    stays: int
    swallows: int
    end: int

    def fits(self, path: str) -> bool:
        empty = self.stays | self.swallows
        states = _closed(1, empty)
        for character in path:
            moved = (states & self.literals.get(character, 0)) << 1 | states & self.swallows
            if character != "/":
                moved |= (states & self.steps) << 1 | states & self.stays
            if not moved:
                return False
            states = _closed(moved, empty)
        return bool(states & self.end)


def _closed(states: int, empty: int) -> int:
    """The states and all that are reached from them without a character."""
    while (more := states | (states & empty) << 1) != states:
        states = more
    return states


@lru_cache(maxsize=4096)
def _pattern(text: str) -> _Pattern:
    literals: dict[str, int] = {}
    steps = stays = swallows = 0
    bit = 1
    for part in _PARTS.finditer(text.rstrip("/") or "/"):
        if part["segment"]:  # one character at least, then any number
            steps |= bit
            bit <<= 1
            stays |= bit
        elif part["any"]:
            swallows |= bit
        else:
            literals[part["literal"]] = literals.get(part["literal"], 0) | bit
        bit <<= 1
    return _Pattern(literals, steps, stays, swallows, bit)
