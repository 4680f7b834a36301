"""Collections in identity's form: `links`, exact and inexact filters, limit and marker.

A noun declares a `Collection` of the list engine (`foundation/http/collections`) with `declared`.
Source: identity API reference, "Filtering and sorting"; `name__contains`, `name__startswith` and kindred forms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar, Unpack

from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.db.types import Row
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import PARAMETERS, Collection, Condition, Filter, Other, Reach, Special, links
from gureum.foundation.http.collections.tags import TagValues
from gureum.foundation.http.views import Listed, View
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.names import AnyCaseName, folded

Column = InstrumentedAttribute[Any]
Record = TypeVar("Record")
Shown = TypeVar("Shown")


class SelfLink(View):
    """`links` of one resource."""

    self: str


class Declared(TypedDict, total=False):
    """What a list may declare besides; see `Collection`."""

    reach: Reach
    special: Mapping[str, Special]
    tagged: Column
    tag_values: TagValues


_INEXACT: dict[str, Callable[[Any, str], Any]] = {
    "equals": lambda column, value: column == value,
    "contains": lambda column, value: column.contains(value, autoescape=True),
    "startswith": lambda column, value: column.startswith(value, autoescape=True),
    "endswith": lambda column, value: column.endswith(value, autoescape=True),
    "iequals": lambda column, value: column.ilike(_escaped(value), escape="\\"),
    "icontains": lambda column, value: column.icontains(value, autoescape=True),
    "istartswith": lambda column, value: column.istartswith(value, autoescape=True),
    "iendswith": lambda column, value: column.iendswith(value, autoescape=True),
}


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def declared(
    name: str,
    model: type[Row],
    columns: Mapping[str, Column],
    record: Callable[..., Record] | None = None,
    **more: Unpack[Declared],
) -> Collection[Record]:
    """The list `name`, whose rows are read as `record`, filtered and sorted by `columns`."""
    return Collection(
        name=name,
        model=model,
        filters={key: _in_any_case(column) for key, column in columns.items()},
        other=_inexact(columns),
        sort_keys=columns,
        marker_matches=True,
        links=links.links_object,
        record=record,
        **more,
    )


def query(listed: Collection[Record], *more: str) -> tuple[str, ...]:
    """The query parameters of a list; the inexact forms go without saying."""
    return (*PARAMETERS, *listed.parameters(*more))


def index(
    call: Call[IdentityDeps],
    collection: Collection[Record],
    view: Callable[[Call[IdentityDeps], Record], Shown],
    *within: Condition,
) -> Listed[Shown]:
    """A page of a collection: filtered by the query, cut by `limit` and `marker`, each row through `view`."""
    page = collection.page(call, *within)
    return collection.listed(call, page, [view(call, row) for row in page.rows])


def in_domain(column: Column) -> Reach:
    """A token of a domain sees what is in that domain; others see everything: the rule decides who may list."""
    return Reach(
        lambda call, viewer: (column == viewer.domain_id,) if call.caller.domain_id else (),
        lambda call: bool(call.caller.domain_id),
    )


def _in_any_case(column: Column) -> Filter:
    """What an exact filter compares: names without case."""
    model: Any = column.class_
    if column.key == "name" and issubclass(model, AnyCaseName):
        return model.name_key, lambda _field, value: folded(value)
    return column


def _inexact(columns: Mapping[str, Column]) -> Other:
    """Conditions of the forms like `name__contains`, of columns of text; any other parameter is passed over."""

    def condition(_call: Call[IdentityDeps], name: str, value: str) -> Condition | None:
        field, _, how = name.partition("__")
        if how not in _INEXACT or field not in columns or columns[field].type.python_type is not str:
            return None
        clause: Condition = _INEXACT[how](columns[field], value)
        return clause

    return condition


def whole(call: Call[IdentityDeps], items: Sequence[Shown]) -> Listed[Shown]:
    """A list of all there is, which is not cut into pages."""
    return Listed(items, links.own_links(call))


def self_link(call: Call[IdentityDeps], kind: str, id_: str) -> SelfLink:
    """The address of one resource."""
    return SelfLink(f"{call.base_url}/v3/{kind}/{id_}")
