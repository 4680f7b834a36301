"""Server names by regular expression: which expressions are plain text, and RE2 for those that are not.

Plain ones are the database's work and load no engine. Not Python's `re`, which tries every way to match and so takes
a time that a pattern's author chooses; the invariant: a match takes time linear in the name and memory below a limit.
Source: compute API reference, "List servers", the query parameter `name`; next: docs/decisions/0016-names-by-re2.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MAX_PATTERN: Final = 255
MAX_MEMORY_BYTES: Final = 1 << 20
"""What one compiled expression may take, its automaton included; it is gone with the request."""
MAX_WORK: Final = 5_000_000
"""So many instructions of the expression times names are tried: below half a second of a processor in all."""

_SPECIAL: Final = frozenset(".[]()*+?{}^$|\\")


class BadPattern(ValueError):
    """Not a regular expression that is understood here; the text says why."""


def literal(pattern: str) -> tuple[bool, str, bool] | None:
    """(anchored at the start, the text itself, anchored at the end) of a pattern without other signs; else None."""
    start, end = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    body = pattern[start : len(pattern) - end]
    found, escaped = "", False
    for char in body:
        if escaped and char.isalnum():
            return None
        if not escaped and char != "\\" and char in _SPECIAL:
            return None
        escaped = not escaped and char == "\\"
        found += "" if escaped else char
    return None if escaped else (start, found, end)


def matching(pattern: str, names: Sequence[str]) -> list[str]:
    """Those names in which the expression occurs. Raises BadPattern."""
    import re2  # some MiB that a control process without such requests does not load

    if len(pattern) > MAX_PATTERN:
        raise BadPattern(f"longer than {MAX_PATTERN} characters")
    options = re2.Options()
    options.max_mem = MAX_MEMORY_BYTES
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "not understood"
        raise BadPattern(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from error
    except UnicodeEncodeError as error:
        raise BadPattern("not Unicode text") from error
    if compiled.programsize * len(names) > MAX_WORK:
        raise BadPattern(f"the expression is too large for {len(names)} names; more filters make them fewer")
    return [name for name in names if compiled.search(name)]
