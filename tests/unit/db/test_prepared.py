"""Prepared statements and the ORM in one transaction: each sees what the other did, and all of it goes or stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Float, bindparam, delete, func, insert, select, type_coerce, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.prepared import Prepared, insert_into, insert_unless_there, only, row_type, table_of
from gureum.foundation.db.types import IsoSeconds, Json


class Own(DeclarativeBase):
    """Apart from the tables of the cloud, which the migrations must lead to."""


class Sample(Own):
    __tablename__ = "prepared_samples"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    facts: Mapped[dict[str, Any]] = mapped_column(Json)
    weight: Mapped[float] = mapped_column(Float(53), default=1.0)
    ready: Mapped[bool] = mapped_column(default=False)
    seen_at: Mapped[datetime | None]


class Shown:
    @property
    def title(self) -> str:
        return self.name.title()


MOMENT = datetime(2026, 1, 31, 12, 0, 0, 5)
_ONE = select(Sample).where(Sample.id == bindparam("wanted"))
ONE = Prepared(_ONE, row_type(_ONE, Shown))
NAMED = Prepared(
    select(Sample.id).where(Sample.name.in_(bindparam("names", expanding=True))).order_by(Sample.id), make=only
)
ADD = insert_into(Sample)
RENAME = Prepared(update(Sample).where(Sample.id == bindparam("wanted")).values(name=bindparam("new")))
TAKE = Prepared(delete(Sample).where(Sample.name == "gone").returning(Sample.id, Sample.seen_at))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path}/samples.sqlite")
    table_of(Sample).create(found.engine)
    yield found
    found.close()


def values(id_: int, name: str = "one") -> dict[str, Any]:
    return {"id": id_, "name": name, "facts": {"a": [1]}, "weight": 0.5, "ready": True, "seen_at": MOMENT}


def test_values_survive_and_rows_have_their_properties(database):
    database.write(lambda tx: ADD.run(tx, **values(1)))
    with database.read() as tx:
        row = ONE.first(tx, wanted=1)
        assert ONE.first(tx, wanted=2) is None
    assert (row.name, row.facts, row.weight, row.ready, row.seen_at) == ("one", {"a": [1]}, 0.5, True, MOMENT)
    assert row.title == "One"
    with pytest.raises(AttributeError):
        row.name = "two"


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 100])
def test_lists_of_any_length(database, count):
    database.write(lambda tx: ADD.run_many(tx, [values(i, f"n{i}") for i in range(200)]))
    with database.read() as tx:
        assert NAMED.all(tx, names=[f"n{i}" for i in range(count)]) == list(range(count))


@pytest.mark.parametrize("some", [{}, {"names": ["b", "a"]}], ids=["all", "some"])
def test_what_a_database_must_see_in_the_text_is_there(database, some):
    """The separator of joined texts is no parameter for a driver."""
    for id_, name in enumerate("ab"):
        database.write(lambda tx, id_=id_, name=name: ADD.run(tx, **values(id_, name)))
    joined = select(func.aggregate_strings(Sample.name, "; "))
    narrowed = joined.where(Sample.name.in_(bindparam("names", expanding=True))) if some else joined
    with database.read() as tx:
        assert Prepared(narrowed, only).first(tx, **some) == "a; b"


def test_orm_and_prepared_see_each_other(database):
    def work(tx: Tx) -> None:
        tx.add(Sample(**values(1)))
        assert RENAME.run(tx, wanted=1, new="two") == 1
        assert RENAME.run(tx, wanted=2, new="two") == 0
        assert tx.scalar(select(Sample.name)) == "two"

    database.write(work)
    before = database.counters.commits
    database.write(lambda tx: RENAME.run(tx, wanted=1, new="gone"))
    assert database.counters.commits == before + 1
    assert database.write(TAKE.all) == [(1, MOMENT)]


def test_a_row_that_is_there_stays_as_it_is(database):
    add = insert_unless_there(Sample, "id")
    first, second, other = (
        {f"new_{name}": value for name, value in row.items()} for row in (values(1), values(1, "two"), values(2, "two"))
    )
    assert database.write(lambda tx: [add.run(tx, **first), add.run(tx, **second), add.run(tx, **other)]) == [1, 0, 1]
    with database.read() as tx:
        assert [(row.name, row.facts, row.seen_at) for row in (ONE.first(tx, wanted=1), ONE.first(tx, wanted=2))] == [
            ("one", {"a": [1]}, MOMENT),
            ("two", {"a": [1]}, MOMENT),
        ]


def test_a_failure_leaves_nothing_and_its_connection_goes_on(database):
    def work(tx: Tx) -> None:
        ADD.run(tx, **values(1))
        raise ValueError

    for _ in range(3):
        with pytest.raises(ValueError):
            database.write(work)
    with database.read() as tx:
        assert ONE.first(tx, wanted=1) is None
    database.write(lambda tx: ADD.run(tx, **values(1)))
    with pytest.raises(IntegrityError):
        database.write(lambda tx: ADD.run(tx, **values(1)))


def test_a_savepoint_holds_what_prepared_statements_write(database):
    def work(tx):
        savepoint = tx.begin_nested()
        ADD.run(tx, id=77, name="gone", facts={}, seen_at=None)
        savepoint.rollback()
        return tx.get(Sample, 77)

    assert database.write(work) is None


def test_a_read_is_one_snapshot(database):
    with database.read() as tx:
        assert NAMED.all(tx, names=["one"]) == []
        database.write(lambda other: ADD.run(other, **values(1)))
        assert NAMED.all(tx, names=["one"]) == []
        assert tx.scalars(select(Sample.id)).all() == []
    with database.read() as tx:
        assert NAMED.all(tx, names=["one"]) == [1]


def test_defaults_are_not_filled_in(database):
    with pytest.raises(ValueError, match="name every column"):
        database.write(lambda tx: Prepared(insert(table_of(Sample)).values(id=1, name="x", facts={})).run(tx))


def test_a_parameter_with_a_columns_name_is_refused(database):
    changed = update(table_of(Sample)).where(Sample.id == bindparam("wanted")).values(name=bindparam("weight"))
    with pytest.raises(ValueError, match="are columns"):
        database.write(lambda tx: Prepared(changed).run(tx, wanted=1, weight="x"))


def test_errors_are_those_of_sqlalchemy(database):
    other = Database(database.url + "?timeout=0")
    try:
        with database._transaction(database._writes) as tx:
            ADD.run(tx, **values(1))
            with pytest.raises(OperationalError, match="locked"), other._transaction(other._writes) as second:
                second.lane._driver.execute("PRAGMA busy_timeout=0")
                ADD.run(second, **values(2))
    finally:
        other.close()


@pytest.mark.parametrize("moment", [MOMENT, datetime(2026, 2, 1), datetime(999, 12, 31, 23, 59, 59, 999_999), None])
def test_moments_are_read_as_the_clock_writes_them(database, moment):
    database.write(lambda tx: ADD.run(tx, **values(1) | {"seen_at": moment}))
    statement = select(type_coerce(Sample.seen_at, IsoSeconds))
    with database.read() as tx:
        found = {Prepared(statement, only).first(tx), tx.scalar(statement)}
    assert found == {clock.iso(moment)}
    elsewhere = IsoSeconds().result_processor(postgresql.dialect(), None)
    assert elsewhere(moment) == clock.iso(moment)
