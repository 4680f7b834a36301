"""Access rules: what a token that an application credential narrowed may ask for.

A rule names a service type, a method and a path; the path may hold `{anything}` or `*` for one segment and `**` for
any number of them. It is matched against the path with and without the API's own prefix. Pure. A tenant writes both
the pattern and the path: all rules of a set are one automaton, which walks the path once, whatever the patterns are.
64 rules of 128 characters and a path of 2 KiB take 3 ms (RE2: 23 ms, and 87 to compile), the automaton 10 more.
Source: identity API reference, "Application credentials", access rules; keystone's user guide on them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from gureum.foundation.caller import AccessRule

LONGEST_PATH = 2048
QUICK_PATTERNS = 1024
QUICK_PATH = 512
_PARTS = re.compile(r"(?P<segment>\{[^}]*\}|\*(?!\*))|(?P<any>(?:\*\*)+)|(?P<literal>.)", re.DOTALL)


def is_quick(rules: Sequence[AccessRule], path: str) -> bool:
    """Whether `permits` takes less than a millisecond, and may run on the event loop."""
    return len(path) <= QUICK_PATH and sum(len(rule.path) for rule in rules) <= QUICK_PATTERNS


def permits(rules: Sequence[AccessRule], service: str, method: str, path: str, prefix: str) -> bool:
    """Whether some rule lets `method` on `path` of the API at `prefix` through."""
    whole = "/" + "/".join(part for part in path.split("/") if part)
    if len(whole) > LONGEST_PATH:
        return False
    patterns = tuple(rule.path for rule in rules if rule.service == service and rule.method == method)
    if not patterns:
        return False
    small = is_quick(rules, path) or all(pattern.isascii() for pattern in patterns)
    automaton = _remembered(patterns) if small else _automaton(patterns)
    before = prefix.rstrip("/")
    if whole == before:
        return automaton.fits(whole) or automaton.fits("/")
    return automaton.fits(whole, len(before) if whole.startswith(before) else 0)


@dataclass(frozen=True, slots=True)
class _Automaton:
    """Its states are the bits of a number, one row of them for each pattern: bit n of a row, n tokens are matched.

    `stays` are the states that a character other than a slash leaves as they are, `swallows` those that every one
    does; both may also be left without a character. `steps` are those that any character but a slash moves on. No
    state at the end of a row moves on, so rows do not touch. Never more than two states in a row are empty.
    """

    literals: dict[str, int]
    steps: int
    stays: int
    swallows: int
    starts: int
    ends: int

    def fits(self, path: str, inner: int = 0) -> bool:
        """Whether a pattern is that of the path, or of its part from `inner` on."""
        literals, steps, swallows, stays = self.literals, self.steps, self.swallows, self.stays
        empty = stays | swallows
        states = 0
        for position, character in enumerate(path):
            if position in (0, inner):
                states |= self.starts
            states |= (states & empty) << 1
            states |= (states & empty) << 1
            moved = (states & literals.get(character, 0)) << 1 | states & swallows
            if character != "/":
                moved |= (states & steps) << 1 | states & stays
            if not moved and position >= inner:
                return False
            states = moved
        states |= (states & empty) << 1
        states |= (states & empty) << 1
        return bool(states & self.ends)


def _automaton(patterns: tuple[str, ...]) -> _Automaton:
    literals: dict[str, int] = {}
    steps = stays = swallows = starts = ends = 0
    bit = 1
    for pattern in patterns:
        starts |= bit
        for part in _PARTS.finditer(pattern.rstrip("/") or "/"):
            if part["segment"]:  # one character at least, then any number
                steps |= bit
                bit <<= 1
                stays |= bit
            elif part["any"]:
                swallows |= bit
            else:
                literals[part["literal"]] = literals.get(part["literal"], 0) | bit
            bit <<= 1
        ends |= bit
        bit <<= 1
    return _Automaton(literals, steps, stays, swallows, starts, ends)


_remembered = lru_cache(maxsize=128)(_automaton)
"""150 KB each for the most rules in ASCII; many different characters would take megabytes."""
