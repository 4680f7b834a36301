"""One resource within the caller's reach; 404 for what does not exist and for what the caller may not see.

`find` reads a record with a prepared statement, for views; `load` an ORM object, for changes. Invariant: the project
predicate is part of both statements.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, bindparam, select

from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, columns_of
from gureum.foundation.db.types import Row
from gureum.foundation.errors import ApiError
from gureum.foundation.http.collections.collection import NOBODY, Condition
from gureum.foundation.http.collections.pages import Record

Model = TypeVar("Model", bound=Row)


class Own(Generic[Model, Record]):
    """A model's rows by id: any for an administrator, what `seen_by(project_id)` says for others.

    `missing(id)` is the refusal in the API's words. Rows not `within` the conditions are not there for anyone.
    `source` is the statement of `find`, by default the columns of the model that `record` has, or all of them.
    `record`, a Struct with a field for each column in its order, is made of its row; by default a named tuple is.
    """

    def __init__(  # noqa: PLR0917 named in every place
        self,
        model: type[Model],
        seen_by: Callable[[Any], Condition],
        missing: Callable[[str], ApiError],
        within: tuple[Condition, ...] = (),
        source: Select[Any] | None = None,
        record: Callable[..., Record] | None = None,
    ) -> None:
        self._model = model
        self._seen_by = seen_by
        self._missing = missing
        self._within = within
        self._source = source
        self._make = record

    def find(self, tx: Tx, caller: Caller, id_: str) -> Record:
        """The record of this id. Raises what `missing` makes."""
        row = self.row(tx, caller, id_)
        if row is None:
            raise self._missing(id_)
        return row

    def row(self, tx: Tx, caller: Caller, id_: str) -> Record | None:
        """The record of this id, or None."""
        of_any, of_project = self._records
        if caller.is_admin:
            return of_any.first(tx, id_=id_)
        return of_project.first(tx, id_=id_, project_id=caller.project_id or NOBODY)

    def load(self, tx: Tx, caller: Caller, id_: str) -> Model:
        """The object of this id. Raises what `missing` makes."""
        of_any, of_project = self._objects
        if caller.is_admin:
            found: Model | None = tx.scalar(of_any, {"id_": id_})
        else:
            found = tx.scalar(of_project, {"id_": id_, "project_id": caller.project_id or NOBODY})
        if found is None:
            raise self._missing(id_)
        return found

    @cached_property
    def _records(self) -> tuple[Prepared[Record], Prepared[Record]]:
        source: Select[Any] = select(*columns_of(self._model, self._make)) if self._source is None else self._source
        of_any, of_project = self._narrowed(source)
        if self._make is None:
            return Prepared(of_any), Prepared(of_project)
        return Prepared(of_any, self._make), Prepared(of_project, self._make)

    @cached_property
    def _objects(self) -> tuple[Select[Any], Select[Any]]:
        return self._narrowed(select(self._model))

    def _narrowed(self, source: Select[Any]) -> tuple[Select[Any], Select[Any]]:
        model: Any = self._model
        of_any = source.where(model.id == bindparam("id_"), *self._within)
        return of_any, of_any.where(self._seen_by(bindparam("project_id")))
