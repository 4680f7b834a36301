"""Which northbound rows are ours: by thing and role, and who refers to whom.

Kept up to date row by row, so that finding a thing's rows costs the same with ten ports as with a hundred thousand.
It reads a row's external_ids only. Invariant: it holds exactly the committed rows of one owner.
Read next: `northbound.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from gureum.drivers.network.ovn.rows import Picture, RowKey, WantedRow
from gureum.drivers.network.things import INCOMPLETE, Key

OWNER, KIND, ID, ROLE = "gureum:owner", "gureum:kind", "gureum:id", "gureum:role"
REVISION, PARENT, COUNT = "gureum:revision", "gureum:parent", "gureum:rows"
REFERENCES, GROUPS = "gureum:refs", "gureum:groups"


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A committed row of ours. `row` is the library's object: read it under the replica's lock only."""

    key: RowKey
    table: str
    row: Any
    revision: int
    parent: RowKey | None
    count: int
    references: tuple[Key, ...]
    labels: Mapping[str, str]


def external_ids(owner: str, picture: Picture, wanted: WantedRow) -> dict[str, str]:
    """What a row of `picture` says of itself; the main row also describes the whole."""
    ids = {
        OWNER: owner,
        KIND: wanted.key.kind,
        ID: wanted.key.id,
        REVISION: str(picture.revision),
    }
    if wanted.parent is not None:
        ids[PARENT] = " ".join(wanted.parent)
    if wanted.key.role:
        return ids | {ROLE: wanted.key.role}
    ids[COUNT] = str(len(picture.rows))
    if picture.references:
        ids[REFERENCES] = " ".join(f"{kind}/{id_}" for kind, id_ in picture.references)
    if picture.groups:
        ids[GROUPS] = " ".join(f"{group.kind}/{group.id}" for group in picture.groups)
    return ids | dict(wanted.labels)


def groups_of(labels: Mapping[str, str]) -> set[RowKey]:
    """The port group rows that a port's main row says it was put into."""
    return {RowKey(*text.split("/", 1)) for text in labels.get(GROUPS, "").split()}


class Index:
    """The rows of `owner`. Not thread safe: the replica's lock guards it."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._things: dict[Key, dict[str, HeldRow]] = {}
        self._by_uuid: dict[Any, HeldRow] = {}
        self._referrers: defaultdict[Key, set[Key]] = defaultdict(set)

    def loaded(self, tables: Mapping[str, Any]) -> None:
        self._things.clear()
        self._by_uuid.clear()
        self._referrers.clear()
        for table in tables.values():
            if "external_ids" in table.columns:
                for row in table.rows.values():
                    self._add(row)

    def changed(self, event: str, row: Any) -> None:
        self._drop(row)
        if event != "delete" and "external_ids" in row._table.columns:  # noqa: SLF001  # its only accessor
            self._add(row)

    def rows_of(self, key: Key) -> Mapping[str, HeldRow]:
        """Role -> row of one thing; empty if there is none."""
        return self._things.get(key, {})

    def row(self, key: RowKey) -> HeldRow | None:
        return self._things.get(cast("Key", key[:2]), {}).get(key.role)

    def referrers(self, key: Key) -> frozenset[Key]:
        """The things that say they refer to `key`."""
        return frozenset(self._referrers.get(key, ()))

    def exists(self, key: Key) -> bool:
        return "" in self._things.get(key, {})

    def labelled(self, kind: str, label: str, value: str) -> list[str]:
        """The ids of the things of `kind` whose main row says `label` is `value`."""
        mains = ((key, rows.get("")) for key, rows in self._things.items() if key[0] == kind)
        return [key[1] for key, main in mains if main is not None and main.labels.get(label) == value]

    def revisions(self) -> Iterator[tuple[Key, int]]:
        """Each thing and its revision, INCOMPLETE where a row or a reference is missing."""
        for key, rows in self._things.items():
            main = rows.get("")
            whole = (
                main is not None
                and main.count == len(rows)
                and all(held.revision == main.revision for held in rows.values())
                and all(self.exists(other) for other in main.references)
            )
            yield key, main.revision if main is not None and whole else INCOMPLETE

    def _add(self, row: Any) -> None:
        ids = row.external_ids
        if ids.get(OWNER) != self._owner:
            return
        held = _held(row, ids)
        self._by_uuid[row.uuid] = held
        key = cast("Key", held.key[:2])
        rows = self._things.setdefault(key, {})
        # In one update a row may come before the one whose role it takes goes.
        replaced = rows.get(held.key.role)
        if replaced is not None:
            self._let_go(key, replaced)
        rows[held.key.role] = held
        for other in held.references:
            self._referrers[other].add(key)

    def _drop(self, row: Any) -> None:
        held = self._by_uuid.pop(row.uuid, None)
        if held is None:
            return
        key = cast("Key", held.key[:2])
        rows = self._things[key]
        if rows.get(held.key.role) is held:
            del rows[held.key.role]
            self._let_go(key, held)
        if not rows:
            del self._things[key]

    def _let_go(self, key: Key, held: HeldRow) -> None:
        for other in held.references:
            referrers = self._referrers[other]
            referrers.discard(key)
            if not referrers:
                del self._referrers[other]


def _held(row: Any, ids: Mapping[str, str]) -> HeldRow:
    parent = ids.get(PARENT)
    references = (text.split("/", 1) for text in ids.get(REFERENCES, "").split())
    return HeldRow(
        key=RowKey(ids.get(KIND, ""), ids.get(ID, ""), ids.get(ROLE, "")),
        table=row._table.name,  # noqa: SLF001  # its only accessor
        row=row,
        revision=_number(ids.get(REVISION)),
        parent=None if parent is None else RowKey(*[*parent.split(" ", 2), ""][:3]),
        count=_number(ids.get(COUNT)),
        references=tuple(cast("Key", (kind, id_)) for kind, id_ in references),
        labels=ids,
    )


def _number(text: str | None) -> int:
    try:
        return int(text or INCOMPLETE)
    except ValueError:
        return INCOMPLETE
