"""Lists and single views of every noun: reach, filters, field selection, sorting, pages with links.

A noun declares a `Listing`; the reach (the project predicate) is part of it, so no handler can forget it.
Source: network API reference, "Filtering and column selection", "Pagination", "Sorting", "Tag extension".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import msgspec
from sqlalchemy import ColumnElement, Select, Text, and_, bindparam, func, not_, or_, select, true, type_coerce
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.caller import Caller
from gureum.foundation.db.prepared import Prepared, row_type
from gureum.foundation.errors import BadRequest, PreconditionFailed
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.paging import paging_of
from gureum.services.network import errors

Filter = tuple[InstrumentedAttribute[Any], filters.Convert]
NOBODY = "-"
"""The project of a caller without one: owns nothing."""

_CONTROL = (
    *("fields", "limit", "marker", "sort_key", "sort_dir", "page_reverse"),
    *("tags", "tags-any", "not-tags", "not-tags-any", "changed_since"),
)
IN_QUERIES = "`Listing.reach` is part of each query"
"""Why the rules that read need no project predicate of their own."""
FIELDS = ("fields",)
"""The one query parameter of a single resource."""


@dataclass(frozen=True, eq=False)
class Listing:
    """How a noun is listed.

    `seen_by(project)` is the predicate of what a project may see; `views(call, rows)` renders a whole page, loading
    each relation with one statement; `filters` are plain columns, `special` filters make their own predicate from the
    values; `extra_rows(call)` are rows to show that are not written yet.
    """

    single: str
    plural: str
    model: Any
    seen_by: Callable[[Any], ColumnElement[bool]]
    views: Callable[[Call[Any], Sequence[Any]], list[dict[str, Any]]]
    filters: Mapping[str, Filter]
    special: Mapping[str, Callable[[list[str]], ColumnElement[bool]]] = field(default_factory=dict)
    path: str = ""
    extra_rows: Callable[[Call[Any]], list[Any]] = lambda _call: []

    def reach(self, caller: Caller) -> ColumnElement[bool]:
        """What the caller may see: everything for an administrator."""
        return true() if caller.is_admin else self.seen_by(caller.project_id or NOBODY)

    def query(self) -> tuple[str, ...]:
        """Every query parameter of the list."""
        return (*_CONTROL, *self.filters, *self.special)

    def columns(self) -> tuple[InstrumentedAttribute[Any], ...]:
        return tuple(getattr(self.model, column.key) for column in self.model.__mapper__.column_attrs)


def standard_filters(model: Any) -> dict[str, Filter]:
    """The filters that every noun with standard attributes has."""
    return {
        "id": (model.id, filters.text),
        "name": (model.name, filters.text),
        "description": (model.description, filters.text),
        "project_id": (model.project_id, filters.text),
        "tenant_id": (model.project_id, filters.text),
        "revision_number": (model.revision, filters.integer),
    }


def own(model: Any) -> Callable[[Any], ColumnElement[bool]]:
    """Reach over what belongs to the project alone."""

    def seen_by(project: Any) -> ColumnElement[bool]:
        mine: ColumnElement[bool] = model.project_id == project
        return mine

    return seen_by


def index(call: Call[Any], listing: Listing) -> dict[str, Any]:
    """The list's body with links to its neighbours when pages were asked for."""
    if not call.query:
        return {listing.plural: listing.views(call, [*_every_row(call, listing), *listing.extra_rows(call)])}
    base = _filtered(call, select(*listing.columns()).where(listing.reach(call.caller)), listing)
    sortable = {name: column for name, (column, _) in listing.filters.items()}
    paging = paging_of(call, sortable, unique=listing.model.id)
    backwards = filters.boolean("page_reverse", call.param("page_reverse") or "false")
    if backwards:
        paging = replace(paging, keys=tuple(replace(key, descending=not key.descending) for key in paging.keys))
    reached = select(*listing.columns()).where(listing.reach(call.caller))

    def load(marker: str) -> Any:
        return call.tx.execute(reached.where(listing.model.id == marker)).one_or_none()

    if paging.limit == 0:
        paging = replace(paging, limit=None)
    make = _record_of(listing)
    rows, more = paging.cut([make(*row) for row in call.tx.execute(paging.page(base, load)).all()])
    shown = list(reversed(rows)) if backwards else list(rows)
    if paging.marker is None and not more:
        shown += listing.extra_rows(call)
    body: dict[str, Any] = {listing.plural: select_fields(call, listing.views(call, shown))}
    links = _links(call, rows, paging.limit, backwards=backwards)
    if links:
        body[f"{listing.plural}_links"] = links
    return body


def _every_row(call: Call[Any], listing: Listing) -> Sequence[Any]:
    """All that the caller sees, in the order of a list that asks for none."""
    if call.caller.is_admin:
        return _every(listing).all(call.tx)
    return _every_of_project(listing).all(call.tx, project=call.caller.project_id or NOBODY)


@lru_cache(maxsize=64)
def _every(listing: Listing) -> Prepared[Any]:
    """Every resource, of any project."""
    return Prepared(select(*listing.model.__table__.c).order_by(listing.model.id))


@lru_cache(maxsize=64)
def _every_of_project(listing: Listing) -> Prepared[Any]:
    """Every resource within a project's reach."""
    reached = select(*listing.model.__table__.c).where(listing.seen_by(bindparam("project")))
    return Prepared(reached.order_by(listing.model.id))


@lru_cache(maxsize=64)
def _record_of(listing: Listing) -> Callable[..., Any]:
    """Named tuples: a view of SQLAlchemy's rows, which look each name up, takes four times as long."""
    return row_type(select(*listing.columns()))


def _links(call: Call[Any], rows: Sequence[Any], limit: int | None, *, backwards: bool) -> list[dict[str, str]]:
    """A full page has both links, for clients walk until a page is short or empty; a short one leads back only.

    The link on an empty page is to the end of the list that the walk came from.
    """
    if limit is None:
        return []
    first, last = (None, None) if not rows else (rows[-1].id, rows[0].id) if backwards else (rows[0].id, rows[-1].id)
    full = len(rows) >= limit
    found = []
    if full or backwards:
        found.append({"rel": "next", "href": _link(call, last, backwards=False)})
    if full or not backwards:
        found.append({"rel": "previous", "href": _link(call, first, backwards=True)})
    return found


def _link(call: Call[Any], marker: str | None, *, backwards: bool) -> str:
    kept = [(name, value) for name, value in call.query if name not in ("marker", "page_reverse")]
    if marker is not None:
        kept.append(("marker", marker))
    if backwards:
        kept.append(("page_reverse", "True"))
    inner = call.path[call.path.find("/v2.0") :]
    return f"{call.base_url}{inner}?{urlencode(kept)}"


def show(call: Call[Any], listing: Listing, resource_id: str) -> dict[str, Any]:
    """One resource's body; 404 when it is out of the caller's reach."""
    row = find(call, listing, resource_id)
    return {listing.single: select_fields(call, listing.views(call, [row]))[0]}


def find(call: Call[Any], listing: Listing, resource_id: str) -> Any:
    """The columns of one resource within reach. Raises NotFound."""
    if call.caller.is_admin:
        row = _one(listing).first(call.tx, wanted=resource_id)
    else:
        row = _one_of_project(listing).first(call.tx, wanted=resource_id, project=call.caller.project_id or NOBODY)
    if row is None:
        row = next((one for one in listing.extra_rows(call) if one.id == resource_id), None)
    if row is None:
        raise errors.missing(listing.single, resource_id)
    return row


@lru_cache(maxsize=64)
def _one(listing: Listing) -> Prepared[Any]:
    """One resource, of any project."""
    return Prepared(_wanted(listing))


@lru_cache(maxsize=64)
def _one_of_project(listing: Listing) -> Prepared[Any]:
    """One resource within a project's reach."""
    return Prepared(_wanted(listing).where(listing.seen_by(bindparam("project"))))


def _wanted(listing: Listing) -> Select[Any]:
    return select(*listing.model.__table__.c).where(listing.model.id == bindparam("wanted"))


def load(call: Call[Any], listing: Listing, resource_id: str, rule: str | None = None) -> Any:
    """The ORM row of one resource, for a change by rule `rule` (the route's own by default).

    Raises NotFound out of reach and Forbidden when the caller may see but not change it.
    """
    model = listing.model
    row = call.tx.scalar(select(model).where(model.id == resource_id, listing.reach(call.caller)))
    if row is None:
        raise errors.missing(listing.single, resource_id)
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


def _filtered(call: Call[Any], statement: Select[Any], listing: Listing) -> Select[Any]:
    special: dict[str, list[str]] = {}
    for name, value in call.query:
        if name in listing.special:
            special.setdefault(name, []).append(value)
        elif name not in listing.filters and name not in _CONTROL:
            raise BadRequest(f"Invalid filter: {name[:64]!r} is not an attribute to filter by.", code="HTTPBadRequest")
    statement = filters.equals(statement, call.query, listing.filters)
    for name, values in special.items():
        statement = statement.where(listing.special[name](values))
    since = call.param("changed_since")
    if since is not None:
        statement = statement.where(listing.model.updated_at >= filters.moment("changed_since", since))
    for predicate in _tag_predicates(call, listing.model):
        statement = statement.where(predicate)
    return statement


def _tag_predicates(call: Call[Any], model: Any) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if not hasattr(model, "tags"):
        return found
    for name, join, negated in (
        ("tags", and_, False),
        ("tags-any", or_, False),
        ("not-tags", and_, True),
        ("not-tags-any", or_, True),
    ):
        for value in call.params(name):
            tagged = [_tagged(model, tag) for tag in value.split(",") if tag]
            if tagged:
                found.append(not_(join(*tagged)) if negated else join(*tagged))
    return found


def _tagged(model: Any, tag: str) -> ColumnElement[bool]:
    """Whether the JSON list holds `tag`: its quoted form is a substring of the list, compared with case."""
    column = type_coerce(model.tags, Text)
    return func.replace(column, msgspec.json.encode(tag).decode(), "") != column


def load_within_reach(call: Call[Any], listing: Listing, resource_id: str) -> Any:
    """The ORM row of what the caller may see, for use by another resource. Raises NotFound."""
    model = listing.model
    row = call.tx.scalar(select(model).where(model.id == resource_id, listing.reach(call.caller)))
    if row is None:
        raise errors.missing(listing.single, resource_id)
    return row


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


def single_or_bulk(single: Any, bulk: Any, name: str) -> list[Any]:
    """The one new resource of a body or its list of them. Raises BadRequest for none or both."""
    if (single is msgspec.UNSET) == (bulk is msgspec.UNSET):
        raise BadRequest(f"Unable to find '{name}' in request body.", code="HTTPBadRequest")
    return [single] if bulk is msgspec.UNSET else list(bulk)


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
