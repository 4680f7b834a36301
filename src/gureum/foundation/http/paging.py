"""`limit`, `marker`, sort parameters and next links, over the keyset paging of `db/paging.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.db.paging import SortKey, after, ordered
from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.filters import integer

PARAMETERS = ("limit", "marker", "sort_key", "sort_dir")
"""What `paging_of` reads, for a route's `query`; it reads `sort` too, where an API has it."""


@dataclass(frozen=True, slots=True)
class Paging:
    """What a list was asked for. `limit` None means no limit."""

    limit: int | None
    marker: str | None
    keys: tuple[SortKey, ...]

    def page(self, statement: Select[Any], load_marker: Callable[[str], Any]) -> Select[Any]:
        """The statement for this page plus one row, so that the caller knows whether there is a next page.

        `load_marker(id)` returns the marker's row within the caller's reach, or None (then BadRequest).
        """
        if self.marker is not None:
            row = load_marker(self.marker)
            if row is None:
                raise BadRequest(f"marker [{self.marker[:64]}] not found")
            statement = after(statement, self.keys, row)
        statement = ordered(statement, self.keys)
        return statement if self.limit is None else statement.limit(self.limit + 1)

    def cut(self, rows: Sequence[Any]) -> tuple[Sequence[Any], bool]:
        """The page's rows, and whether more follow."""
        if self.limit is None or len(rows) <= self.limit:
            return rows, False
        if self.limit == 0:
            return [], False
        return rows[: self.limit], True


def paging_of(
    call: Call[Any],
    columns: Mapping[str, InstrumentedAttribute[Any]],
    *,
    unique: InstrumentedAttribute[Any],
    default: Sequence[tuple[str, bool]] = (),
    maximum: int | None = None,
    strict: bool = True,
    direction: str = "asc",
) -> Paging:
    """Read `limit`, `marker`, `sort_key`/`sort_dir` (repeated) and `sort=key:dir,key`.

    `columns` are the keys a client may sort by, `default` (name, descending) pairs apply when none is given,
    `maximum` bounds the page, `direction` is the API's default for a key without one. Unknown keys are refused
    when `strict`, skipped otherwise.
    """
    text = call.param("limit")
    limit = integer("limit", text) if text else None
    if maximum is not None:
        limit = maximum if limit is None else min(limit, maximum)
    chosen: list[SortKey] = []
    for name, descending in _wanted(call, direction) or list(default):
        if name in columns:
            chosen.append(SortKey(columns[name], descending))
        elif strict:
            raise BadRequest(f"Invalid sort key: {name[:64]}")
    if not any(key.column is unique for key in chosen):
        chosen.append(SortKey(unique, chosen[-1].descending if chosen else False))
    return Paging(limit, call.param("marker") or None, tuple(chosen))


def _wanted(call: Call[Any], fallback: str) -> list[tuple[str, bool]]:
    pairs: list[tuple[str, str]] = []
    combined = call.param("sort")
    if combined:
        for part in combined.split(","):
            key, _, direction = part.strip().partition(":")
            pairs.append((key, direction or fallback))
    else:
        directions = call.params("sort_dir")
        for index, key in enumerate(call.params("sort_key")):
            default = directions[0] if len(directions) == 1 else fallback
            pairs.append((key, directions[index] if index < len(directions) else default))
    for _, direction in pairs:
        if direction not in ("asc", "desc"):
            raise BadRequest(f"Invalid sort direction: {direction[:16]!r}; must be asc or desc.")
    return [(key, direction == "desc") for key, direction in pairs]


def next_link(call: Call[Any], marker: str) -> str:
    """This request's URL with the marker of the next page."""
    kept = [(name, value) for name, value in call.query if name != "marker"]
    return f"{call.base_url}{_inner(call)}?{urlencode([*kept, ('marker', marker)])}"


def _inner(call: Call[Any]) -> str:
    prefix = "/" + call.base_url.rstrip("/").rsplit("/", 1)[-1]
    return call.path.removeprefix(prefix)
