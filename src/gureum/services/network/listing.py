"""Lists and single views of every noun: what each declares, and what the network API does alike with all of them.

A noun declares a `Listing`; the reach (the project predicate) is part of it, so no handler can forget it. Filters,
tags, sort keys and pages are the list engine's (`foundation/http/collections`).
Source: network API reference, "Filtering and column selection", "Pagination", "Sorting", "Tag extension".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.errors import BadRequest, PreconditionFailed
from gureum.foundation.http import filters
from gureum.foundation.http.body import converted
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Collection, Compared, Own, Pages, links, of_project, tags
from gureum.services.network import errors
from gureum.services.network.spellings import spelling_of

New = TypeVar("New")
Column = InstrumentedAttribute[Any]

_CONTROL = (
    *("fields", "limit", "marker", "sort_key", "sort_dir", "page_reverse"),
    *(*tags.PARAMETERS, "changed_since"),
)
IN_QUERIES = "`Listing.seen_by` is part of each query"
"""Why the rules that read need no project predicate of their own."""
FIELDS = ("fields",)
"""The one query parameter of a single resource."""
_PAGES = Pages(zero="most", reversible=True)


@dataclass(frozen=True, eq=False)
class Listing:
    """How a noun is listed.

    `seen_by(project)` is the predicate of what a project may see; `views(call, rows)` renders a whole page, loading
    each relation with one statement; `filters` are plain columns, whose types and spellings say how a value is read;
    `special` filters make their own predicate from the values; `extra_rows(call)` are rows to show that are not written
    yet, `extra_row(call, id)` is one of them. `guarded` attributes are shown by a rule of their own: who may not see
    one does not learn it from a filter or an order either.
    """

    single: str
    plural: str
    model: Any
    seen_by: Callable[[Any], ColumnElement[bool]]
    views: Callable[[Call[Any], Sequence[Any]], list[dict[str, Any]]]
    filters: Mapping[str, Column]
    special: Mapping[str, Callable[[list[str]], ColumnElement[bool]]] = field(default_factory=dict)
    guarded: Mapping[str, str] = field(default_factory=dict)
    extra_rows: Callable[[Call[Any]], list[Any]] = lambda _call: []
    extra_row: Callable[[Call[Any], str], Any | None] = lambda _call, _resource_id: None

    def query(self) -> tuple[str, ...]:
        """Every query parameter of the list."""
        return (*_CONTROL, *self.filters, *self.special)

    @cached_property
    def collection(self) -> Collection[Any]:
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
        )

    @cached_property
    def own(self) -> Own[Any, Any]:
        """One resource within reach, or 404."""
        return Own(self.model, self.seen_by, lambda resource_id: errors.missing(self.single, resource_id))

    @cached_property
    def compared(self) -> dict[str, Compared]:
        """The plain filters, each with how its values are read."""
        return {name: (column, reader_of(column)) for name, column in self.filters.items()}


def _of_values(condition: Callable[[list[str]], ColumnElement[bool]]) -> Any:
    """A special filter of the list engine that needs no call."""
    return lambda _call, values: condition(values)


def _changed(model: Any) -> dict[str, Any]:
    """The filter by the time of the last change; of several the last counts."""
    return {
        "changed_since": lambda _call, values: model.updated_at >= filters.moment("changed_since", values[-1]),
    }


def _refuse_unknown(_call: Call[Any], name: str, _value: str) -> None:
    if name not in _CONTROL:
        raise BadRequest(f"Invalid filter: {name[:64]!r} is not an attribute to filter by.", code="HTTPBadRequest")


def standard_filters(model: Any) -> dict[str, Column]:
    """The filters that every noun with standard attributes has."""
    return {
        "id": model.id,
        "name": model.name,
        "description": model.description,
        "project_id": model.project_id,
        "tenant_id": model.project_id,
        "revision_number": model.revision,
    }


def always(word: str, model: Any) -> Callable[[list[str]], ColumnElement[bool]]:
    """The filter of an attribute that has the same value everywhere, a word in any case."""

    def predicate(values: list[str]) -> ColumnElement[bool]:
        asked = word.lower() in {value.lower() for value in values}
        some: ColumnElement[bool] = model.id.isnot(None) if asked else model.id.is_(None)
        return some

    return predicate


def reader_of(column: InstrumentedAttribute[Any]) -> filters.Convert:
    """How a filter's value is read to be compared with a column: as values of the column are stored."""
    spelling = spelling_of(column)
    if spelling is not None:
        return lambda _name, value: spelling(value)
    return filters.reader_of(column)


def is_asked_for(call: Call[Any], listing: Listing, row: Any) -> bool:
    """Whether the plain filters of the query let a row through that no table holds yet."""
    asked: dict[str, list[Any]] = {}
    for name, value in call.query:
        if name in listing.filters:
            asked.setdefault(name, []).append(listing.compared[name][1](name, value))
    return all(getattr(row, listing.filters[name].key) in values for name, values in asked.items())


def own(model: Any) -> Callable[[Any], ColumnElement[bool]]:
    """Reach over what belongs to the project alone."""

    def seen_by(project: Any) -> ColumnElement[bool]:
        mine: ColumnElement[bool] = model.project_id == project
        return mine

    return seen_by


def index(call: Call[Any], listing: Listing) -> dict[str, Any]:
    """The list's body with links to its neighbours when pages were asked for."""
    for name in (*dict(call.query), *call.params("sort_key")):
        if name in listing.guarded:
            call.enforce(listing.guarded[name], **call.own_target())
    page = listing.collection.page(call)
    shown = list(page.rows)
    if page.paging.marker is None and not page.more:
        shown += listing.extra_rows(call)
    return listing.collection.answer(call, page, select_fields(call, listing.views(call, shown)))


def show(call: Call[Any], listing: Listing, resource_id: str) -> dict[str, Any]:
    """One resource's body; 404 when it is out of the caller's reach."""
    row = find(call, listing, resource_id)
    return {listing.single: select_fields(call, listing.views(call, [row]))[0]}


def find(call: Call[Any], listing: Listing, resource_id: str) -> Any:
    """The columns of one resource within reach. Raises NotFound."""
    row = listing.own.row(call.tx, call.caller, resource_id)
    if row is None:
        row = listing.extra_row(call, resource_id)
    if row is None:
        raise errors.missing(listing.single, resource_id)
    return row


def load(call: Call[Any], listing: Listing, resource_id: str, rule: str | None = None) -> Any:
    """The ORM row of one resource, for a change by rule `rule` (the route's own by default).

    Raises NotFound out of reach and Forbidden when the caller may see but not change it.
    """
    row = listing.own.load(call.tx, call.caller, resource_id)
    call.enforce(rule, project_id=row.project_id, tenant_id=row.project_id)
    refuse_other_revision(call, row)
    return row


def refuse_other_revision(call: Call[Any], row: Any) -> None:
    """Raises PreconditionFailed when the request is for a revision (`If-Match: revision_number=N`) that is past."""
    stated = call.headers.get("if-match", "")
    found = _REVISION.fullmatch(stated)
    if found is None:
        if stated:
            raise BadRequest("Invalid input: If-Match is revision_number=N here.", code="HTTPBadRequest")
        return
    if int(found[1]) != row.revision:
        raise PreconditionFailed(
            f"Constrained to {found[1]}, but current revision is {row.revision}", code="RevisionNumberConstraintFailed"
        )


_REVISION = re.compile(r"revision_number=([0-9]{1,18})")


def select_fields(call: Call[Any], views: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Only what `fields` names; unknown names are ignored, none means all."""
    wanted = {name for name in call.params("fields") if name}
    if not wanted:
        return views
    return [{key: value for key, value in view.items() if key in wanted} for view in views]


def load_within_reach(call: Call[Any], listing: Listing, resource_id: str) -> Any:
    """The ORM row of what the caller may see, for use by another resource. Raises NotFound."""
    return listing.own.load(call.tx, call.caller, resource_id)


def project_named(new: Any) -> str:
    """The project that a body names by either of its names, or nothing. Raises BadRequest when they differ."""
    names = {name for name in (new.project_id, new.tenant_id) if name}
    if len(names) > 1:
        raise BadRequest("'project_id' and 'tenant_id' do not match.", code="HTTPBadRequest")
    return names.pop() if names else ""


def owner_of(call: Call[Any], requested: str, rule: str) -> str:
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


MOST_AT_ONCE = 1000


def new_resources(body: dict[str, Any], listing: Listing, kind: type[New]) -> tuple[list[New], bool]:
    """The new resources of a body, and whether it is a list of them (bulk).

    Each of a list stands for itself or under its own name, `{"networks": [{"network": {...}}]}`. Raises BadRequest.
    """
    for name in body:
        if name not in (listing.single, listing.plural):
            raise BadRequest(f"Invalid input: Object contains unknown field `{name[:64]}`", code="HTTPBadRequest")
    single: list[New] = [converted(body[name], kind, name) for name in (listing.single,) if name in body]
    several = _bulk(body[listing.plural], listing, kind) if listing.plural in body else []
    if bool(single) == bool(several):
        raise BadRequest(f"Unable to find '{listing.single}' in request body.", code="HTTPBadRequest")
    return single or several, not single


def _bulk(value: Any, listing: Listing, kind: type[New]) -> list[New]:
    items = converted(value, list[Any], listing.plural)
    if not 1 <= len(items) <= MOST_AT_ONCE:
        raise BadRequest(f"Invalid input: `{listing.plural}` holds 1 to {MOST_AT_ONCE}.", code="HTTPBadRequest")
    made: list[New] = []
    for place, item in enumerate(items):
        at, inner = f"{listing.plural}[{place}]", item
        if isinstance(item, dict) and item.keys() == {listing.single}:
            at, inner = f"{at}.{listing.single}", item[listing.single]
        made.append(converted(inner, kind, at))
    return made


def created(call: Call[Any], listing: Listing, rows: list[Any], *, bulk: bool) -> dict[str, Any]:
    """The answer to a create: one view, or the list of all."""
    call.tx.flush()
    found = listing.views(call, rows)
    return {listing.plural: found} if bulk else {listing.single: found[0]}


def set_texts(row: Any, wanted: Any) -> None:
    """Name and description, where a change names them."""
    if wanted.name is not msgspec.UNSET:
        row.name = wanted.name
    if wanted.description is not msgspec.UNSET:
        row.description = wanted.description
