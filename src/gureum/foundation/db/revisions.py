"""The graph of revisions, read from the files without running them.

A file `NNNN_words.py` says at its top level `revision`, `down_revision`, and where they apply `depends_on` (revisions
of other branches) and `replaces` (a revision of before, whose place several took). Source: Alembic's documentation,
"Working with Branches".
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Revision:
    """`follows` is the revision before it in its branch, None for the first; `before` has all that it needs."""

    name: str
    branch: str
    follows: str | None
    before: frozenset[str]
    replaces: str | None


class Revisions:
    """The revisions of all branches, enabled or not."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self.folders = [folder for folder in folders.values() if folder.is_dir()]
        self._all = {
            revision.name: revision
            for branch, folder in folders.items()
            for file in sorted(folder.glob("[0-9]*_*.py"))
            for revision in [_read(file, branch)]
        }

    def all(self) -> list[Revision]:
        return list(self._all.values())

    def heads(self, branches: Iterable[str]) -> set[str]:
        """The newest revision of each branch."""
        newest: dict[str, str] = {}
        for branch in branches:
            own = [revision for revision in self._all.values() if revision.branch == branch]
            for name in {revision.name for revision in own} - {revision.follows for revision in own}:
                if branch in newest:
                    raise ValueError(f"two revisions end the branch {branch}: {newest[branch]} and {name}")
                newest[branch] = name
        return set(newest.values())

    def outermost(self, branches: Iterable[str]) -> list[str]:
        """What the version table holds at the heads of the branches: a revision that another depends on is no row."""
        heads = self.heads(branches)
        inner = {name for head in heads for name in self.passed(self._all[head].before)}
        return sorted(heads - inner)

    def passed(self, rows: Collection[str]) -> set[str]:
        """These revisions, those that they replaced or need, and so on.

        A row that no file knows is of a newer version, which only added to the tables: its branch is whole here.
        """
        passed: set[str] = set()
        waiting = [*rows]
        while waiting:
            name = waiting.pop()
            if name not in passed:
                passed.add(name)
                waiting += self._all[name].before if name in self._all else self.replacing(name) or self._older(name)
        return passed

    def replacing(self, name: str) -> list[str]:
        """The revisions that took the place of one that no file has any more."""
        return sorted(revision.name for revision in self._all.values() if revision.replaces == name)

    def _older(self, name: str) -> list[str]:
        """The revisions of the branch that a name begins with."""
        return [revision.name for revision in self._all.values() if revision.branch == name.rpartition("_")[0]]


def _read(file: Path, branch: str) -> Revision:
    values = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                values[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    if "revision" not in values:
        raise ValueError(f"{file} names no revision")
    follows, others = values.get("down_revision"), values.get("depends_on") or ()
    before = {*((follows,) if follows else ()), *((others,) if isinstance(others, str) else others)}
    return Revision(values["revision"], branch, follows, frozenset(before), values.get("replaces"))
