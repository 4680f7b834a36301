"""Statements that are built once and run many times, beside the ORM and in the same transaction.

Building a statement, and the ORM's books on its rows, cost many times what the database takes for it. A `Prepared`
is written with SQLAlchemy like any other statement and keeps its text; on a lane (`lanes.py`) it goes to the driver at
once, elsewhere through SQLAlchemy's connection. Rows are tuples or what `make` makes of their columns: nothing watches
them. The invariant: what the ORM still holds back is written first, so that it is seen.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, overload

import msgspec
from sqlalchemy import Column, Executable, Float, Insert, Table, Update, bindparam, insert, inspect, update
from sqlalchemy.dialects.postgresql import insert as insert_of_postgresql  # both databases have ON CONFLICT DO NOTHING
from sqlalchemy.engine import Dialect

if TYPE_CHECKING:
    from gureum.foundation.db.engine import Tx
    from gureum.foundation.db.lanes import Lane
    from gureum.foundation.db.types import Row

R = TypeVar("R")
Values = Mapping[str, Any]
_Convert = Callable[[Any], Any]


def table_of(model: type[Row]) -> Table:
    """The table of a model, for statements that make no objects."""
    return cast("Table", model.__table__)


def columns_of(model: type[Row], record: Any) -> list[Any]:
    """The columns of a model that a record, a Struct, has fields for; without one all of the table's.

    Those of the table, not the model's attributes: SQLAlchemy compares attributes with those of the statement that it
    compiled, which takes 8 us for each column of a statement that is built anew.
    """
    if isinstance(record, type) and issubclass(record, msgspec.Struct):
        columns = inspect(model).columns
        return [_named(columns[name], name) for name in record.__struct_fields__]
    return list(table_of(model).c)


def _named(column: Column[Any], name: str) -> Any:
    """The column by the name that the model's attribute has."""
    return column if column.key == name else column.label(name)


def row_type(statement: Any, *mixins: type) -> Callable[..., Any]:
    """A tuple type with the columns of `statement` as attributes, in their order, and the properties of `mixins`."""
    names = [column.key or "" for column in statement.exported_columns]
    columns = namedtuple("Found", names, rename=True)  # type: ignore[misc]  # noqa: PYI024 the names are the statement's
    return type("Found", (*mixins, columns), {"__slots__": ()}) if mixins else columns


def insert_into(model: type[Row], *left_out: str) -> Prepared[Any]:
    """An INSERT of every column but those that the database numbers itself.

    What its values leave out has the model's default, or is null.
    """
    table = table_of(model)
    columns = [column for column in table.c if column.key not in left_out]
    return Prepared(insert(table), columns=[column.key for column in columns], defaults=_Defaults(columns))


def insert_unless_there(model: type[Row], *key: str) -> Prepared[Any]:
    """An INSERT of every column, as the parameters `new_<column>`, unless a row has the same `key`: then it says 0.

    It reads no row. In PostgreSQL, looking for a missing row counts as reading its neighbours in the index, so any two
    transactions that look and write there would clash. Two that write the same key do, and one is repeated.
    """
    table = table_of(model)
    new = {column.key: bindparam(f"new_{column.key}", type_=column.type) for column in table.c}
    statement = insert_of_postgresql(table).values(new).on_conflict_do_nothing(index_elements=key)
    return Prepared(statement.execution_options(preserve_rowcount=True))


class _Defaults:
    """The defaults of a model's columns."""

    def __init__(self, columns: Sequence[Column[Any]]) -> None:
        self._fixed: dict[str, Any] = {}
        self._made: list[tuple[str, Callable[[Any], Any]]] = []
        for column in columns:
            default: Any = column.default
            if default is None and column.nullable:
                self._fixed[column.key] = None
            elif default is not None and default.is_scalar:
                self._fixed[column.key] = default.arg
            elif default is not None:
                self._made.append((column.key, default.arg))

    def fill(self, values: Values) -> Values:
        made = {name: make(None) for name, make in self._made if name not in values}
        return {**self._fixed, **made, **values}


def update_of(model: type[Row], *columns: str) -> Prepared[Any]:
    """An UPDATE of these columns, all of them each time, of the row whose id is the parameter `of`."""
    table = table_of(model)
    return Prepared(update(table).where(table.c.id == bindparam("of")), columns=["of", *columns])


def as_tuple(*columns: Any) -> tuple[Any, ...]:
    """For `make`: plain tuples, for rows that are unpacked at once."""
    return columns


def only(value: Any) -> Any:
    """For `make`: rows of one column are that column's values."""
    return value


class Prepared(Generic[R]):
    """`make(*columns)` becomes each row, by default a tuple with the columns' names.

    A list is the value of an expanding parameter. `columns` are the parameters of an INSERT or UPDATE without values.
    """

    @overload
    def __init__(
        self: Prepared[Any],
        statement: Executable,
        *,
        columns: Sequence[str] | None = None,
        defaults: _Defaults | None = None,
    ) -> None: ...

    @overload
    def __init__(self, statement: Executable, make: Callable[..., R]) -> None: ...

    def __init__(
        self,
        statement: Executable,
        make: Callable[..., R] | None = None,
        columns: Sequence[str] | None = None,
        defaults: _Defaults | None = None,
    ) -> None:
        self._statement = statement
        self._make: Callable[..., R] = make or row_type(statement)
        self._columns = columns
        self._defaults = defaults
        self._plans: dict[str, _Plan] = {}

    def all(self, tx: Tx, /, **values: Any) -> list[R]:
        """Every row."""
        rows, make = self._rows(tx, values), self._make
        return cast("list[R]", rows) if make is as_tuple else [make(*row) for row in rows]

    def first(self, tx: Tx, /, **values: Any) -> R | None:
        """The first row, or None."""
        rows = self._rows(tx, values)
        return self._make(*rows[0]) if rows else None

    def run(self, tx: Tx, /, **values: Any) -> int:
        """How many rows a change changed."""
        if self._defaults is not None:
            values = dict(self._defaults.fill(values))
        tx.flush()
        if tx.lane is None:
            return int(tx.connection().execute(self._statement, values).rowcount)
        plan = self._plan(tx.lane)
        return tx.lane.change(*plan.call(values))

    def run_many(self, tx: Tx, rows: Sequence[Values]) -> None:
        """The same change for each of `rows`, counted as one statement."""
        if not rows:
            return
        if self._defaults is not None:
            rows = [self._defaults.fill(row) for row in rows]
        tx.flush()
        if tx.lane is None:
            tx.connection().execute(self._statement, rows)
            return
        plan = self._plan(tx.lane)
        calls = [plan.call(row) for row in rows]
        tx.lane.change_many(calls[0][0], [values for _, values in calls])

    def _rows(self, tx: Tx, values: Values) -> Sequence[Sequence[Any]]:
        tx.flush()
        if tx.lane is None:
            return tx.connection().execute(self._statement, values).all()
        plan = self._plan(tx.lane)
        found = tx.lane.rows(*plan.call(values))
        return [plan.read(row) for row in found] if plan.reads else found

    def _plan(self, lane: Lane) -> _Plan:
        """Compiled once for each kind of database."""
        dialect = lane.plain_dialect
        plan = self._plans.get(dialect.name)
        if plan is None:
            _check_record(self._statement, self._make)
            plan = self._plans[dialect.name] = _Plan(self._statement, dialect, self._columns)
        return plan


def _check_record(statement: Any, make: Any) -> None:
    """Raises ValueError when a record's fields, but for last ones with a default, are not its statement's columns."""
    if isinstance(make, type) and issubclass(make, msgspec.Struct):
        columns = tuple(column.key for column in statement.exported_columns)
        if columns != make.__struct_fields__[: len(columns)]:
            raise ValueError(f"the columns {columns} are not the fields of {make.__name__}: {make.__struct_fields__}")


@dataclass(frozen=True, slots=True)
class _Text:
    """SQL with its parameters' names in order, and how their values are written."""

    sql: str
    names: tuple[str, ...]
    writes: tuple[tuple[str, _Convert], ...]
    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def values_of(self, given: Values, defaults: Values) -> tuple[Any, ...]:
        known = {**defaults, **given}
        for name, elements in self.lists:
            known.update(zip(elements, _padded(known[name]), strict=True))
        for name, write in self.writes:
            known[name] = write(known[name])
        return tuple([known[name] for name in self.names])


MOST_TEXTS = 256


class _Plan:
    """A statement compiled for a driver that takes parameters by position. Not of one connection: of all."""

    def __init__(self, statement: Any, dialect: Dialect, columns: Sequence[str] | None) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        if compiled.insert_prefetch or compiled.update_prefetch:
            raise ValueError(f"a prepared statement fills in no defaults, so name every column: {statement}")
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        if isinstance(statement, Insert | Update):
            named = {name for name, bind in binds.items() if bind.required} - set(columns or ())
            if clash := named & set(statement.table.c.keys()):
                raise ValueError(f"parameters {clash} are columns, which SQLAlchemy would set too: {statement}")
        self._defaults = {name: bind.effective_value for name, bind in binds.items() if not bind.required}
        self._compiled = compiled
        self._lists = [name for name, bind in binds.items() if bind.expanding]
        writes = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds.items()}
        self._writes = tuple((name, write) for name, write in writes.items() if write is not None)
        kinds = [column.type.dialect_impl(dialect) for column in statement.exported_columns]
        reads = [(place, kind.result_processor(dialect, _code_of(kind))) for place, kind in enumerate(kinds)]
        self.reads = [(place, read) for place, read in reads if read is not None]
        self._texts: dict[tuple[int, ...], _Text] = {}

    def call(self, values: Values) -> tuple[str, tuple[Any, ...]]:
        """SQL and values for the driver. The lengths of lists are rounded up, so that there are few different texts."""
        given = [values[name] if name in values else self._defaults[name] for name in self._lists]
        lengths = tuple([_rounded(len(one)) for one in given])
        text = self._texts.get(lengths)
        if text is None:
            if len(self._texts) >= MOST_TEXTS:  # of several lists, the combinations of lengths are many
                self._texts.clear()
            text = self._texts[lengths] = self._expanded(dict(zip(self._lists, lengths, strict=True)))
        return text.sql, text.values_of(values, self._defaults)

    def _expanded(self, lengths: Mapping[str, int]) -> _Text:
        if not lengths and not self._compiled.literal_execute_params:
            return _Text(self._compiled.string, tuple(self._compiled.positiontup or ()), self._writes)
        values = {  # those with a default may be written into the text
            name: [""] * lengths[name] if name in lengths else self._defaults.get(name)
            for name in self._compiled.bind_names.values()
        }
        state = self._compiled.construct_expanded_state(values)
        lists = tuple((name, tuple(state.parameter_expansion.get(name, ()))) for name in lengths)
        return _Text(state.statement, tuple(state.positiontup or ()), self._writes, lists)

    def read(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        found = list(row)
        for place, read in self.reads:
            found[place] = read(found[place])
        return tuple(found)


def _code_of(kind: Any) -> int | None:
    """What the database calls the type of a column, where that decides how it is read."""
    return _FLOAT8 if isinstance(kind, Float) else None


_FLOAT8 = 701
"""PostgreSQL's type number of double precision."""


def _rounded(length: int) -> int:
    """The next power of two; 0 for 0."""
    return 1 << (length - 1).bit_length() if length else 0


def _padded(values: Sequence[Any]) -> list[Any]:
    """Repeat the last value up to a power of two: that changes no IN, and there are fewer different texts."""
    found = list(values)
    return found + found[-1:] * (_rounded(len(found)) - len(found))
