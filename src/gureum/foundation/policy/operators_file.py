"""The operator's policy.yaml: reading it when it changed, and saying what in it does not do what was meant.

Not here: what a check means, which is oslo.policy's. The invariant: whatever happens to the file, the checks of its
last sound text stay in force, so that no accident with it opens what it had closed; an empty file means the defaults.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from oslo_policy import _checks, _parser

log = logging.getLogger("gureum.policy")

SETTLED_S = 1.0
"""A file that was written less than this ago may be half-written: it is read at a later look."""


class PolicyFileError(ValueError):
    """The file as a whole cannot be used; the text says why."""


class OperatorsFile:
    """One policy.yaml. `look` is called every half a second by one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._taken = b""
        self._refused: bytes | None = None
        self._told = ""

    def first(self) -> dict[str, str]:
        """The checks at start. Raises PolicyFileError: a process without them would grant what the operator refused."""
        try:
            self._taken = self.path.read_bytes()
        except OSError as error:
            raise PolicyFileError(f"{self.path}: {error.strerror or error}") from error
        return checks_of(self._taken)

    def look(self) -> tuple[dict[str, str], bytes] | None:
        """The checks of a text that is not the last one taken, with that text; None when there is nothing new."""
        try:
            with self.path.open("rb") as file:
                written = os.fstat(file.fileno()).st_mtime
                text = file.read()
        except OSError as error:
            self.refuse(f"{error.strerror or error}")
            return None
        if text in (self._taken, self._refused):
            return None
        if 0 <= time.time() - written < SETTLED_S:
            return None
        try:
            return checks_of(text), text
        except PolicyFileError as error:
            self.refuse(str(error), text)
            return None

    def take(self, text: bytes) -> None:
        """The checks of this text are in force."""
        self._taken, self._refused, self._told = text, None, ""

    def refuse(self, reason: str, text: bytes | None = None) -> None:
        """Say once why the file, or this text of it, is not used."""
        self._refused = text
        if reason != self._told:
            log.error("policy file %s is not used, the rules from before stay: %s", self.path, reason)
            self._told = reason


def checks_of(text: bytes) -> dict[str, str]:
    """Rule name -> check of a file's text. Raises PolicyFileError."""
    from oslo_policy.policy import parse_file_contents  # loads oslo.config: only where there is a file

    try:
        parsed: Any = parse_file_contents(text.decode())
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise PolicyFileError(f"it is not YAML: {error}") from error
    if not isinstance(parsed, dict):
        raise PolicyFileError("it is not a table of rule names and checks")
    for name, check in parsed.items():
        if not isinstance(name, str) or not isinstance(check, str):
            raise PolicyFileError(f"{name}: the check is {check!r}; write it as text in quotes, '!' for nobody")
    return parsed


def compiled(check: str) -> Any:
    """A check of oslo.policy. One with a part that is not understood denies as a whole, below a `not` too."""
    parsed = _parsed(check)
    return parsed if _is_understood(check, parsed) else _checks.FalseCheck()


def _parsed(check: str) -> Any:
    """What oslo.policy makes of a check, without its log: `problems` says what is wrong."""
    logger = logging.getLogger(_parser.__name__)
    before, logger.disabled = logger.disabled, True
    try:
        return _parser.parse_rule(check)
    finally:
        logger.disabled = before


def _is_understood(check: str, parsed: Any) -> bool:
    """oslo.policy puts "nobody" in the place of a part that it cannot read: then there are more than were written."""
    written = check.replace("(", " ").replace(")", " ").split().count("!")
    return sum(isinstance(part, _checks.FalseCheck) for part in parts_of(parsed)) <= written


def parts_of(check: Any) -> Iterator[Any]:
    """The leaves of a compiled check."""
    if isinstance(check, _checks.AndCheck | _checks.OrCheck):
        for part in check.rules:
            yield from parts_of(part)
    elif isinstance(check, _checks.NotCheck):
        yield from parts_of(check.rule)
    else:
        yield check


def require_no_circle(checks: Mapping[str, Any]) -> None:
    """Raises PolicyFileError for rules that refer to each other in a circle: asking them would never end."""
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise PolicyFileError(f"rules refer to each other in a circle: {' -> '.join((*above, name))}")
        if name in done or name not in checks:
            return
        for referred in _references(checks[name]):
            visit(referred, (*above, name))
        done.add(name)

    for name in checks:
        visit(name, ())


def _references(check: Any) -> list[str]:
    return [part.match for part in parts_of(check) if isinstance(part, _checks.RuleCheck)]


def problems(overrides: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """What in a sound file does not do what was meant, a sentence each. `names` are the code's rules."""
    known = set(names)
    parsed = {name: _parsed(text) for name, text in overrides.items()}
    referred = {name: _references(check) for name, check in parsed.items()}
    unused = overrides.keys() - known - {other for others in referred.values() for other in others}
    found = [f"no rule is named {name}, and no other rule refers to it" for name in sorted(unused)]
    for name, text in overrides.items():
        if not _is_understood(text, parsed[name]):
            found.append(f"{name}: the check {text!r} is not understood, so the rule allows nobody")
        found += [
            f"{name}: it refers to the rule {other}, which is nowhere and allows nobody"
            for other in referred[name]
            if other not in known and other not in overrides
        ]
    return found
