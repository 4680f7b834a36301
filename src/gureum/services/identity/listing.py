"""Collections in identity's form: `links`, exact and inexact filters, limit and marker.

Source: identity API reference, "Filtering and sorting"; `name__contains`, `name__startswith` and kindred forms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Select, select
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.db.prepared import row_type, table_of
from gureum.foundation.db.types import Row
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.paging import PARAMETERS, paging_of
from gureum.services.identity.names import AnyCaseName, folded

Columns = Mapping[str, tuple[InstrumentedAttribute[Any], filters.Convert]]

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


def query_of(*names: str) -> tuple[str, ...]:
    """The query parameters of a list that filters by these columns; the inexact forms go without saying."""
    return (*PARAMETERS, *names)


def page(  # noqa: PLR0917
    call: Call[Any],
    name: str,
    statement: Select[Any],
    columns: Columns,
    unique: InstrumentedAttribute[Any],
    view: Callable[[Any], dict[str, Any]],
    *,
    plain: Any = None,
) -> dict[str, Any]:
    """A collection document: filtered by the query, paged by `limit` and `marker`, each row through `view`.

    With `plain`, the statement's model, its columns are read without making objects, and beside the session, whose
    own loading of rows costs as much as reading them: far quicker for long lists.
    """
    statement = narrowed(call, statement, columns)
    sortable = {key: column for key, (column, _) in columns.items()}
    paging = paging_of(call, sortable, unique=unique)
    chosen = paging.page(statement, lambda id_: _marker(call, statement, unique, id_))
    if plain is None:
        found: Sequence[Any] = call.tx.scalars(chosen).all()
    else:
        make = _record_of(plain)
        read = call.tx.connection().execute(chosen.with_only_columns(*table_of(plain).c))
        found = [make(*row) for row in read.all()]
    rows, more = paging.cut(found)
    return collection(call, name, [view(row) for row in rows], getattr(rows[-1], unique.key) if more else None)


@cache
def _record_of(model: type[Row]) -> Callable[..., Any]:
    """Named tuples: a view of SQLAlchemy's rows, which look each name up, takes four times as long."""
    return row_type(select(table_of(model)))


def _marker(call: Call[Any], statement: Select[Any], unique: InstrumentedAttribute[Any], id_: str) -> Any:
    return call.tx.scalar(statement.where(unique == id_))


def _in_any_case(
    column: InstrumentedAttribute[Any], convert: filters.Convert
) -> tuple[InstrumentedAttribute[Any], filters.Convert]:
    """What an exact filter compares: names without case."""
    model: Any = column.class_
    if column.key == "name" and issubclass(model, AnyCaseName):
        return model.name_key, lambda _field, value: folded(value)
    return column, convert


def narrowed(call: Call[Any], statement: Select[Any], columns: Columns) -> Select[Any]:
    exact = {key: _in_any_case(column, convert) for key, (column, convert) in columns.items()}
    statement = filters.equals(statement, call.query, exact)
    for key, value in call.query:
        field, _, how = key.partition("__")
        if how in _INEXACT and field in columns and columns[field][1] is filters.text:
            statement = statement.where(_INEXACT[how](columns[field][0], value))
    return statement


def collection(call: Call[Any], name: str, items: list[dict[str, Any]], marker: str | None = None) -> dict[str, Any]:
    """`{name: [...], "links": {...}}`."""
    path = call.base_url + call.path.removeprefix("/identity")
    query = urlencode(call.query)
    following = None
    if marker is not None:
        kept = [(key, value) for key, value in call.query if key != "marker"]
        following = f"{path}?{urlencode([*kept, ('marker', marker)])}"
    own = f"{path}?{query}" if query else path
    return {name: items, "links": {"next": following, "self": own, "previous": None}}


def self_link(call: Call[Any], kind: str, id_: str) -> dict[str, str]:
    return {"self": f"{call.base_url}/v3/{kind}/{id_}"}
