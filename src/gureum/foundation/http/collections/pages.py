"""Which page of a list a request asks for: `limit`, `marker`, sort parameters and `page_reverse`.

Not here: the statement of a page (`db/paging.py`), links to other pages (`links.py`). Raises BadRequest that names the
parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.db.paging import SortKey, after, ordered
from gureum.foundation.errors import BadRequest
from gureum.foundation.http.call import Call
from gureum.foundation.http.filters import boolean, integer

Record = TypeVar("Record")
PARAMETERS = ("limit", "marker", "sort_key", "sort_dir")
"""What a list reads for its pages, for a route's `query`; it reads `sort` too, where an API has it."""

SortKeys = Mapping[str, InstrumentedAttribute[Any]]
"""The names that a client may sort by."""


@dataclass(frozen=True, slots=True)
class Pages:
    """How an API cuts its lists into pages.

    `usual` is the limit of a request that gives none, `most` the longest page; None is no limit. A limit of zero asks
    for an empty page, or for the longest one. `direction` is that of a sort key without one. `reversible` lists are
    read backwards from the marker with `page_reverse=true`.
    """

    usual: int | None = None
    most: int | None = None
    zero: Literal["empty", "most"] = "empty"
    direction: str = "asc"
    reversible: bool = False

    def limit(self, call: Call[Any]) -> int | None:
        """The length of the page that a request asks for."""
        text = call.param("limit")
        if not text:
            return self.most if self.usual is None else self.usual
        limit = integer("limit", text)
        if limit == 0 and self.zero == "most":
            return self.most
        return limit if self.most is None else min(limit, self.most)

    def asked(
        self, call: Call[Any], keys: SortKeys, unique: InstrumentedAttribute[Any], order: Sequence[tuple[str, bool]]
    ) -> Paging:
        """The page that a request asks for; `order` (name, descending) applies when it names no sort key.

        Raises BadRequest for a sort key that is not in `keys`.
        """
        limit = self.limit(call)
        chosen = sorted_by(_named(call, self.direction) or list(order), keys, unique)
        paging = Paging(limit, call.param("marker") or None, chosen)
        if self.reversible and boolean("page_reverse", call.param("page_reverse") or "false"):
            return paging.reversed()
        return paging


@dataclass(frozen=True, slots=True)
class Paging:
    """One page: `limit` rows (None: no limit) beyond the marker, in the order of `keys`, or `backwards`."""

    limit: int | None
    marker: str | None
    keys: tuple[SortKey, ...]
    backwards: bool = False

    def reversed(self) -> Paging:
        keys = tuple(replace(key, descending=not key.descending) for key in self.keys)
        return replace(self, keys=keys, backwards=not self.backwards)

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
        """The page's rows in the list's order, and whether more follow."""
        more = self.limit is not None and len(rows) > self.limit > 0
        shown = rows if self.limit is None else rows[: self.limit]
        return (shown[::-1] if self.backwards else shown), more


@dataclass(frozen=True)
class Page(Generic[Record]):
    """Rows in the list's order, and whether more follow the way that the list was read."""

    rows: Sequence[Record]
    more: bool
    paging: Paging
    marker_of: Callable[[Record], str]

    @property
    def last(self) -> str | None:
        """The marker of the next page, if there is one."""
        return self.marker_of(self.rows[-1]) if self.more and self.rows else None


def sorted_by(
    order: Sequence[tuple[str, bool]], keys: SortKeys, unique: InstrumentedAttribute[Any]
) -> tuple[SortKey, ...]:
    """The sort keys of (name, descending) pairs, and a unique one after them, without which pages may repeat rows."""
    chosen: list[SortKey] = []
    for name, descending in order:
        if name not in keys:
            raise BadRequest(f"Invalid sort key: {name[:64]}")
        chosen.append(SortKey(keys[name], descending))
    if not any(key.column is unique for key in chosen):
        chosen.append(SortKey(unique, chosen[-1].descending if chosen else False))
    return tuple(chosen)


def _named(call: Call[Any], usual: str) -> list[tuple[str, bool]]:
    """The (name, descending) pairs of `sort_key`/`sort_dir` (repeated) or of `sort=key:dir,key`."""
    pairs: list[tuple[str, str]] = []
    combined = call.param("sort")
    if combined:
        for part in combined.split(","):
            key, _, direction = part.strip().partition(":")
            pairs.append((key, direction or usual))
    else:
        directions = call.params("sort_dir")
        for index, key in enumerate(call.params("sort_key")):
            default = directions[0] if len(directions) == 1 else usual
            pairs.append((key, directions[index] if index < len(directions) else default))
    for _, direction in pairs:
        if direction not in ("asc", "desc"):
            raise BadRequest(f"Invalid sort direction: {direction[:16]!r}; must be asc or desc.")
    return [(key, direction == "desc") for key, direction in pairs]
