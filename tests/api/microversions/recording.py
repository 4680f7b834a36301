"""What an API answers at each microversion, as text: the first answer whole, then only what a version changes.

A line of an answer is `path = value`, so that a change of one field is a change of one line; `-` is before, `+` after.
A request that only some versions take is told by ranges with status and reason. What differs from run to run is named:
ids by what they are of, times, addresses of interfaces, secrets.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).with_name("golden")
Version = tuple[int, int]
VARIABLE = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----\\?n?", re.DOTALL), "<private key>"),
    (re.compile(r"req-[0-9a-f]{8}-[0-9a-f-]{27}"), "<request>"),
    (re.compile(r"\br-[0-9a-z]{8}\b"), "<reservation>"),
    (re.compile(r"\binstance-[0-9a-f]{8}\b"), "<instance>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b"), "<mac>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?"), "<time>"),
    (re.compile(r" \d\d:\d\d:\d\d up .* load average: .*\d"), "<uptime>"),
    (re.compile(r"\b[0-9a-f]{56}\b|\b[0-9a-f]{32}\b"), "<hash>"),
)  # fmt: skip
SECRET = re.compile(r"^(.*(adminPass|fingerprint|public_key)) = .*$")


class Recorder:
    """The answers of one noun. `names` gives known values a name: {id: "<server>"}."""

    def __init__(self, versions: list[Version], names: dict[str, str]) -> None:
        self.versions = versions
        self.names = names
        self.parts: list[str] = []

    def answer(self, title: str, ask: Callable[[Version], Any]) -> None:
        """The answer's status and body, whole at first and then by its changes."""
        told, before = [title, "=" * len(title)], None
        for version in self.versions:
            now = [str((found := ask(version)).status), *self._lines(found)]
            if before is None:
                told += [_text(version), *(f"    {line}" for line in now)]
            elif now != before:
                gone, come = [line for line in before if line not in now], [line for line in now if line not in before]
                told += [_text(version), *(f"  - {line}" for line in gone), *(f"  + {line}" for line in come)]
            before = now
        self.parts.append("\n".join(told) + "\n")

    def request(self, title: str, ask: Callable[[Version], Any], *around: int) -> None:
        """From which version to which a request is taken, or why not; asked at all, or only `around` some minor versions."""
        told: list[list[Any]] = []
        for version in self._around(around):
            found = ask(version)
            outcome = f"{found.status} {self._reason(found)}".strip()
            if told and told[-1][2] == outcome:
                told[-1][1] = version
            else:
                told.append([version, version, outcome])
        lines = [f"    {_text(first) + ' to ' + _text(last):13} {outcome}" for first, last, outcome in told]
        self.parts.append("\n".join([title, "-" * len(title), *lines]) + "\n")

    def _around(self, minors: tuple[int, ...]) -> list[Version]:
        if not minors:
            return self.versions
        major, ends = self.versions[0][0], {self.versions[0], self.versions[-1]}
        return sorted(ends | {(major, one) for minor in minors for one in (minor - 1, minor)})

    def text(self) -> str:
        return "\n".join(self.parts)

    def _lines(self, found: Any) -> list[str]:
        if not found.content:
            return []
        return sorted(self._named(line) for line in _flat(found.json()))

    def _reason(self, found: Any) -> str:
        if found.status < 400:
            return ""
        body = found.json()
        inner = body["errors"][0] if "errors" in body else next(iter(body.values()))
        return self._named(inner.get("message") or inner.get("detail"))

    def _named(self, line: str) -> str:
        if secret := SECRET.match(line):
            return f"{secret[1]} = <secret>" if not line.endswith(" = null") else line
        for value, name in self.names.items():
            line = line.replace(value, name)
        for pattern, name in VARIABLE:
            line = pattern.sub(name, line)
        return line


def _text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def _flat(value: Any, at: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key in sorted(value):
            yield from _flat(value[key], f"{at}.{key}" if at else key)
    elif isinstance(value, list) and value:
        for number, one in enumerate(value):
            yield from _flat(one, f"{at}[{number}]")
    else:
        yield f"{at} = {json.dumps(value, ensure_ascii=False)}"


def check(name: str, found: str) -> None:
    """Compare with the golden file, or write it anew with GUREUM_GOLDEN=write."""
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("GUREUM_GOLDEN") == "write":
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(found)
    there = golden.read_text() if golden.exists() else ""
    assert found == there, f"{name} answers otherwise: compare with the reference, then write {golden.name} anew"
