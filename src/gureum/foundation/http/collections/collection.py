"""A list of an API, declared once: what is in it for whom, what narrows it, how it is sorted, cut and linked.

A noun declares a `Collection` and asks it for `page(call)`. Two ways lead to the same rows. A request that gives no
more than a limit is answered by a statement that was made once for all callers of a kind (`Prepared`); for any other
the statement is built from its parameters. Invariant: what a caller may see (`Reach`) is part of every statement, that
of the marker too. Rows are records or named tuples, never ORM objects: a list never writes.
Read next: `pages.py` (limits, markers, sort keys), `links.py`, `tags.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, bindparam, select
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.caller import Caller
from gureum.foundation.db.paging import ordered
from gureum.foundation.db.prepared import Prepared, columns_of, row_type
from gureum.foundation.db.types import Row
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections.links import Links
from gureum.foundation.http.collections.pages import Page, Pages, Paging, Record, SortKeys, sorted_by
from gureum.foundation.http.collections.tags import PARAMETERS as TAGS
from gureum.foundation.http.collections.tags import TagValues, each_time, tag_conditions
from gureum.foundation.http.views import Listed

Shown = TypeVar("Shown")
NOBODY = "-"
"""Stands for the project, domain or user of a caller that has none: it owns nothing."""

Condition = ColumnElement[bool]
Compared = tuple[InstrumentedAttribute[Any], filters.Convert]
Filter = InstrumentedAttribute[Any] | Compared
"""A column that a parameter is compared with; how its values are read, if not as the column's type says."""
Special = Callable[[Call[Any], list[str]], Condition]
"""The condition that all values of one parameter make. Raises BadRequest."""
Other = Callable[[Call[Any], str, str], Condition | None]
"""The condition of a parameter that nothing else reads; None passes it over. Raises BadRequest to refuse it."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """For whom a list is read: ids, or the parameters that stand for them in a prepared statement."""

    project_id: Any
    domain_id: Any
    user_id: Any

    @classmethod
    def of(cls, caller: Caller) -> Viewer:
        return cls(caller.project_id or NOBODY, caller.domain_id or NOBODY, caller.user_id or NOBODY)

    def values(self) -> dict[str, Any]:
        """The values of the parameters."""
        return {"project_id": self.project_id, "domain_id": self.domain_id, "user_id": self.user_id}


ANY_VIEWER = Viewer(bindparam("project_id"), bindparam("domain_id"), bindparam("user_id"))


@dataclass(frozen=True, slots=True)
class Reach:
    """What callers may see of a collection.

    `conditions(call, viewer)` must be the same statement for all calls of the same `kind`, but for the viewer's ids.
    `reads` are the query parameters that `kind` tells apart.
    """

    conditions: Callable[[Call[Any], Viewer], Iterable[Condition]]
    kind: Callable[[Call[Any]], Hashable]
    reads: frozenset[str] = frozenset()


EVERYTHING = Reach(lambda _call, _viewer: (), lambda _call: None)
"""For lists whose rule alone says who may see them."""


def of_project(seen_by: Callable[[Any], Condition]) -> Reach:
    """What `seen_by(project_id)` says; everything for administrators."""
    return Reach(
        lambda call, viewer: () if call.caller.is_admin else (seen_by(viewer.project_id),),
        lambda call: call.caller.is_admin,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Collection(Generic[Record]):
    """How a list is read and answered.

    `filters` compare columns, each value of a repeated parameter being an alternative; `special` make their own
    conditions; `other` reads what is left. `admits(call, name)` says whether a filter counts for a caller.
    `shown(call, viewer)` is what a list shows of what is within reach, whatever its filters; like the reach it may
    differ between kinds alone.
    `tagged` is the column of tags, `tag_values` how the API reads its four parameters.
    `sort_keys` may differ from call to call, but for those of `order`: (name, descending) pairs, which apply when a
    request names no sort key. `unique` ends every order, and `marker` is what a client names a row by; both are the id
    by default. A marker may be any row within reach, or with `marker_matches` one that the filters let through.
    `source` is the statement, by default the columns of the model that `record` has, or all of them; `record`, a Struct
    with a field for each column in its order, is made of each row, by default a named tuple.
    """

    name: str
    model: type[Row]
    reach: Reach = EVERYTHING
    shown: Callable[[Call[Any], Viewer], Iterable[Condition]] = lambda _call, _viewer: ()
    filters: Mapping[str, Filter] = field(default_factory=dict)
    special: Mapping[str, Special] = field(default_factory=dict)
    other: Other = lambda _call, _name, _value: None
    admits: Callable[[Call[Any], str], bool] = lambda _call, _name: True
    tagged: InstrumentedAttribute[Any] | None = None
    tag_values: TagValues = each_time
    sort_keys: SortKeys | Callable[[Call[Any]], SortKeys] = field(default_factory=dict)
    order: Sequence[tuple[str, bool]] = ()
    unique: InstrumentedAttribute[Any] | None = None
    marker: InstrumentedAttribute[Any] | None = None
    marker_matches: bool = False
    pages: Pages = field(default_factory=Pages)
    links: Links | None = None
    source: Select[Any] | None = None
    record: Callable[..., Record] | None = None

    # -- what a handler asks ------------------------------------------------------------------------------

    def page(self, call: Call[Any], *within: Condition) -> Page[Record]:
        """The page that a request asks for, of the rows that are also `within`. Raises BadRequest."""
        if not within and all(name == "limit" or name in self.reach.reads for name, _ in call.query):
            return self._first_page(call)
        paging = self.pages.asked(call, self._sortable(call), self._unique, self.order)
        viewer = Viewer.of(call.caller)
        reached = self._source.where(*self.reach.conditions(call, viewer), *within)
        narrowed = reached.where(*self.shown(call, viewer), *self.conditions(call))
        marked = narrowed if self.marker_matches else reached

        def marker(text: str) -> Any:
            columns = {key.column.key: key.column for key in paging.keys}
            row = ordered(marked.where(self._marker == text), paging.keys).with_only_columns(*columns.values())
            return call.tx.execute(row.limit(1)).first()

        rows, more = paging.cut(self._read(call, paging.page(narrowed, marker)))
        return Page(rows, more, paging, self._marker_of)

    def every(self, call: Call[Any], *within: Condition) -> list[Record]:
        """All rows within reach in the list's order, whatever the query says."""
        reached = self._source.where(*self.reach.conditions(call, Viewer.of(call.caller)), *within)
        return self._read(call, ordered(reached, self._usual_keys(call)))

    def listed(self, call: Call[Any], page: Page[Record], items: Sequence[Shown], **more: Any) -> Listed[Shown]:
        """The list of a page whose rows are shown as `items`, with what else it says. The route names the items."""
        return Listed(items, {**more, **(self.links(call, page) if self.links else {})})

    def parameters(self, *more: str) -> tuple[str, ...]:
        """The query parameters that filter, for a route's `query`, and `more` of them."""
        return (*self.filters, *self.special, *more, *(TAGS if self.tagged is not None else ()))

    def conditions(self, call: Call[Any]) -> list[Condition]:
        """What the query asks of a row. Raises BadRequest."""
        special: dict[str, list[str]] = {}
        found = self.compared(call)
        for name, value in call.query:
            if name in self.special:
                special.setdefault(name, []).append(value)
            elif name not in self.filters and (other := self.other(call, name, value)) is not None:
                found.append(other)
        found += [self.special[name](call, values) for name, values in special.items()]
        if self.tagged is not None:
            found += tag_conditions(call, self.tagged, self.tag_values)
        return found

    def compared(self, call: Call[Any]) -> list[Condition]:
        """What the query asks of columns, by `filters` alone. Raises BadRequest."""
        asked: dict[str, list[Any]] = {}
        for name, value in call.query:
            if name in self.filters and self.admits(call, name):
                asked.setdefault(name, []).append(self._readers[name][1](name, value))
        found: list[Condition] = []
        for name, values in asked.items():
            column = self._readers[name][0]
            found.append(column == values[0] if len(values) == 1 else column.in_(values))
        return found

    # -- statements ---------------------------------------------------------------------------------------

    def _first_page(self, call: Call[Any]) -> Page[Record]:
        """The first page in the list's own order, unfiltered: one prepared statement for each kind of caller."""
        paging = Paging(self.pages.limit(call), None, self._usual_keys(call))
        kind = (self.reach.kind(call), paging.limit is not None)
        statement = self._prepared.get(kind)
        if statement is None:
            statement = self._prepared[kind] = self._prepare(call, limited=paging.limit is not None)
        values = Viewer.of(call.caller).values()
        if paging.limit is not None:
            values["most"] = paging.limit + 1
        rows, more = paging.cut(statement.all(call.tx, **values))
        return Page(rows, more, paging, self._marker_of)

    def _prepare(self, call: Call[Any], *, limited: bool) -> Prepared[Record]:
        statement = self._source.where(*self.reach.conditions(call, ANY_VIEWER), *self.shown(call, ANY_VIEWER))
        statement = ordered(statement, self._usual_keys(call))
        return Prepared(statement.limit(bindparam("most")) if limited else statement, self._record)

    @cached_property
    def _prepared(self) -> dict[Hashable, Prepared[Record]]:
        return {}

    def _read(self, call: Call[Any], statement: Select[Any]) -> list[Record]:
        """Read on the connection: loading rows through the session would double the cost."""
        call.tx.flush()
        make = self._record
        return [make(*row) for row in call.tx.connection().execute(statement).all()]

    # -- what the declaration leaves out ------------------------------------------------------------------

    @cached_property
    def _source(self) -> Select[Any]:
        return select(*columns_of(self.model, self.record)) if self.source is None else self.source

    @cached_property
    def _record(self) -> Callable[..., Record]:
        """By default a named tuple: reading attributes of SQLAlchemy's own rows takes four times as long."""
        return row_type(self._source) if self.record is None else self.record

    @cached_property
    def _readers(self) -> dict[str, Compared]:
        return {
            name: entry if isinstance(entry, tuple) else (entry, filters.reader_of(entry))
            for name, entry in self.filters.items()
        }

    @cached_property
    def _unique(self) -> Any:
        return getattr(self.model, "id") if self.unique is None else self.unique  # noqa: B009 not all rows have one

    @cached_property
    def _marker(self) -> Any:
        return self._unique if self.marker is None else self.marker

    def _marker_of(self, row: Any) -> str:
        return str(getattr(row, self._marker.key))

    def _sortable(self, call: Call[Any]) -> SortKeys:
        return self.sort_keys(call) if callable(self.sort_keys) else self.sort_keys

    def _usual_keys(self, call: Call[Any]) -> Any:
        return sorted_by(self.order, self._sortable(call), self._unique)
