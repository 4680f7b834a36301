"""Lists and single views of every noun: what each declares, and what the network API does alike with all of them.

A noun declares a `Listing`; the reach (the project predicate) is part of it, so no handler can forget it. Filters,
tags, sort keys and pages are the list engine's (`foundation/http/collections`). Read next: `views.py`, `bulk.py`.
Source: network API reference, "Filtering and column selection", "Pagination", "Sorting", "Tag extension".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from msgspec import UNSET, UnsetType
from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.errors import BadRequest, PreconditionFailed
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection, Compared, Own, Pages, Special, links, of_project, tags
from gureum.foundation.http.views import Listed, View
from gureum.services.network import errors
from gureum.services.network.bulk import Names
from gureum.services.network.context import NetworkContext
from gureum.services.network.spellings import spelling_of
from gureum.services.network.standard import Owned, OwnedRow, ProjectId, Standard
from gureum.services.network.views import select_fields

Model = TypeVar("Model", bound=Owned)
Record = TypeVar("Record", bound=OwnedRow)
Shown = TypeVar("Shown", bound=View)
Column = InstrumentedAttribute[Any]
Condition = ColumnElement[bool]
Reach = Callable[[ProjectId], Condition]
Values = Callable[[list[str]], Condition]
"""The condition that all values of a parameter make."""

_CONTROL = (
    *("fields", "limit", "marker", "sort_key", "sort_dir", "page_reverse"),
    *(*tags.PARAMETERS, "changed_since"),
)
IN_QUERIES = "`Listing.seen_by` is part of each query"
"""Why the rules that read need no project predicate of their own."""
FIELDS = ("fields",)
"""The one query parameter of a single resource."""
_PAGES = Pages(zero="most", reversible=True)


@dataclass(frozen=True, eq=False, kw_only=True)
class Listing(Generic[Model, Record, Shown]):
    """How a noun is listed.

    `record` is what is read of a row of `model`; `seen_by(project)` is the predicate of what a project may see;
    `views(call, rows)` renders a whole page, loading each relation with one statement; `filters` are plain columns,
    whose types and spellings say how a value is read; `special` filters make their own predicate from the values;
    `extra_rows(call)` are rows to show that are not written yet, `extra_row(call, id)` is one of them. `guarded`
    attributes are shown by a rule of their own: who may not see one does not learn it from a filter or an order either.
    """

    single: str
    plural: str
    model: type[Model]
    record: type[Record]
    seen_by: Reach
    views: Callable[[Call[NetworkContext], Sequence[Model | Record]], list[Shown]]
    filters: Mapping[str, Column]
    special: Mapping[str, Values] = field(default_factory=dict)
    guarded: Mapping[str, str] = field(default_factory=dict)
    extra_rows: Callable[[Call[NetworkContext]], Sequence[Record]] = lambda _call: ()
    extra_row: Callable[[Call[NetworkContext], str], Record | None] = lambda _call, _resource_id: None

    @property
    def names(self) -> Names:
        """What bodies call one resource and a list of them."""
        return Names(self.single, self.plural)

    def query(self) -> tuple[str, ...]:
        """Every query parameter of the list."""
        return (*_CONTROL, *self.filters, *self.special)

    @cached_property
    def collection(self) -> Collection[Record]:
        """The list in the terms of the list engine."""
        return Collection(
            name=self.plural,
            model=self.model,
            reach=of_project(self.seen_by),
            filters=self.compared,
            special={name: _of_values(condition) for name, condition in self.special.items()} | _changed(self.model),
            other=_refuse_unknown,
            tagged=getattr(self.model, "tags", None),
            sort_keys=self.filters,
            pages=_PAGES,
            links=links.neighbours_in(f"{self.plural}_links"),
            record=self.record,
        )

    @cached_property
    def own(self) -> Own[Model, Record]:
        """One resource within reach, or 404."""
        return Own(
            self.model,
            self.seen_by,
            lambda resource_id: errors.missing(self.single, resource_id),
            record=self.record,
        )

    @cached_property
    def compared(self) -> dict[str, Compared]:
        """The plain filters, each with how its values are read."""
        return {name: (column, reader_of(column)) for name, column in self.filters.items()}


def _of_values(condition: Values) -> Special:
    """A special filter of the list engine that needs no call."""
    return lambda _call, values: condition(values)


def _changed(model: type[Owned]) -> dict[str, Special]:
    """The filter by the time of the last change; of several the last counts."""
    return {
        "changed_since": lambda _call, values: model.updated_at >= filters.moment("changed_since", values[-1]),
    }


def _refuse_unknown(_call: Call[NetworkContext], name: str, _value: str) -> None:
    if name not in _CONTROL:
        raise BadRequest(f"Invalid filter: {name[:64]!r} is not an attribute to filter by.", code="HTTPBadRequest")


def standard_filters(model: type[Standard]) -> dict[str, Column]:
    """The filters that every noun with standard attributes has."""
    return {
        "id": model.id,
        "name": model.name,
        "description": model.description,
        "project_id": model.project_id,
        "tenant_id": model.project_id,
        "revision_number": model.revision,
    }


def always(word: str, model: type[Owned]) -> Values:
    """The filter of an attribute that has the same value everywhere, a word in any case."""

    def predicate(values: list[str]) -> Condition:
        matches = word.lower() in {value.lower() for value in values}
        return model.id.isnot(None) if matches else model.id.is_(None)

    return predicate


def reader_of(column: Column) -> filters.Convert:
    """How a filter's value is read to be compared with a column: as values of the column are stored."""
    spelling = spelling_of(column)
    if spelling is not None:
        return lambda _name, value: spelling(value)
    return filters.reader_of(column)


def is_asked_for(call: Call[NetworkContext], listing: Listing[Model, Record, Shown], row: Record) -> bool:
    """Whether the plain filters of the query let a row through that no table holds yet."""
    filtered: dict[str, list[object]] = {}
    for name, value in call.query:
        if name in listing.filters:
            filtered.setdefault(name, []).append(listing.compared[name][1](name, value))
    return all(getattr(row, listing.filters[name].key) in values for name, values in filtered.items())


def own(model: type[Owned]) -> Reach:
    """Reach over what belongs to the project alone."""
    return lambda project_id: model.project_id == project_id


def index(call: Call[NetworkContext], listing: Listing[Model, Record, Shown]) -> Listed[Shown]:
    """The list, with links to its neighbours when pages were asked for."""
    for name in (*dict(call.query), *call.params("sort_key")):
        if name in listing.guarded:
            call.enforce(listing.guarded[name], **call.own_target())
    page = listing.collection.page(call)
    rows = page.rows
    if page.paging.marker is None and not page.more:
        rows = [*rows, *listing.extra_rows(call)]
    views = listing.views(call, rows)
    select_fields(call, views)
    return listing.collection.listed(call, page, views)


def show(call: Call[NetworkContext], listing: Listing[Model, Record, Shown], resource_id: str) -> Shown:
    """One resource; 404 when it is out of the caller's reach."""
    views = listing.views(call, [find(call, listing, resource_id)])
    select_fields(call, views)
    return views[0]


def find(call: Call[NetworkContext], listing: Listing[Model, Record, Shown], resource_id: str) -> Record:
    """The record of one resource within reach. Raises NotFound."""
    row = listing.own.row(call.tx, call.caller, resource_id)
    if row is None:
        row = listing.extra_row(call, resource_id)
    if row is None:
        raise errors.missing(listing.single, resource_id)
    return row


def load(
    call: Call[NetworkContext],
    listing: Listing[Model, Record, Shown],
    resource_id: str,
    rule: str | None = None,
) -> Model:
    """The ORM row of one resource, for a change by rule `rule` (the route's own by default).

    Raises NotFound out of reach and Forbidden when the caller may see but not change it.
    """
    row = listing.own.load(call.tx, call.caller, resource_id)
    call.enforce(rule, project_id=row.project_id, tenant_id=row.project_id)
    refuse_other_revision(call, row)
    return row


def refuse_other_revision(call: Call[NetworkContext], row: Owned) -> None:
    """Raises PreconditionFailed when the request is for a revision (`If-Match: revision_number=N`) that is past."""
    stated = call.headers.get("if-match", "")
    revision = _REVISION.fullmatch(stated)
    if revision is None:
        if stated:
            raise BadRequest("Invalid input: If-Match is revision_number=N here.", code="HTTPBadRequest")
        return
    if int(revision[1]) != row.revision:
        raise PreconditionFailed(
            f"Constrained to {revision[1]}, but current revision is {row.revision}",
            code="RevisionNumberConstraintFailed",
        )


_REVISION = re.compile(r"revision_number=([0-9]{1,18})")


def load_within_reach(call: Call[NetworkContext], listing: Listing[Model, Record, Shown], resource_id: str) -> Model:
    """The ORM row of what the caller may see, for use by another resource. Raises NotFound."""
    return listing.own.load(call.tx, call.caller, resource_id)


def views_of_new(
    call: Call[NetworkContext], listing: Listing[Model, Record, Shown], rows: Sequence[Model]
) -> list[Shown]:
    """The views of rows that were made or changed in this transaction."""
    call.tx.flush()
    return listing.views(call, rows)


class OfProject(Protocol):
    """A body that names a project by either of its names."""

    project_id: str
    tenant_id: str


def project_named(new: OfProject) -> str:
    """The project that a body names by either of its names, or nothing. Raises BadRequest when they differ."""
    names = {name for name in (new.project_id, new.tenant_id) if name}
    if len(names) > 1:
        raise BadRequest("'project_id' and 'tenant_id' do not match.", code="HTTPBadRequest")
    return names.pop() if names else ""


def owner_of(call: Call[NetworkContext], requested: str, rule: str) -> str:
    """The project that a new resource is for, checked against `rule`. Raises Forbidden, BadRequest without any."""
    project_id = requested or call.caller.project_id or ""
    if project_id and project_id != call.caller.project_id and not call.caller.is_admin:
        raise BadRequest(
            "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires "
            "admin privileges",
            code="HTTPBadRequest",
        )
    call.enforce(rule, project_id=project_id, tenant_id=project_id)
    if not project_id:
        raise BadRequest("A project is needed: scope the token to one or name it.", code="HTTPBadRequest")
    return project_id


class Texts(Protocol):
    """A body that may name a new name and description."""

    name: str | UnsetType
    description: str | UnsetType


def set_texts(row: Standard, changes: Texts) -> None:
    """Name and description, where a change names them."""
    if changes.name is not UNSET:
        row.name = changes.name
    if changes.description is not UNSET:
        row.description = changes.description
