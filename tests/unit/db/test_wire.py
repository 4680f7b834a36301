"""libpq without cursors: the values that SQLAlchemy's own way gives, prepared once, and at rest after each transaction."""

from __future__ import annotations

import threading
from datetime import datetime

import pytest
from sqlalchemy import Float, bindparam, delete, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gureum.foundation.db.engine import Database
from gureum.foundation.db.prepared import Prepared, insert_into, only, table_of
from gureum.foundation.db.types import Json

pytestmark = pytest.mark.postgresql


class Own(DeclarativeBase):
    """Apart from the tables of the cloud, which the migrations must lead to."""


class Thing(Own):
    __tablename__ = "wired_things"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    facts: Mapped[dict[str, object] | None] = mapped_column(Json)
    weight: Mapped[float] = mapped_column(Float(53), default=1.0)
    ready: Mapped[bool] = mapped_column(default=False)
    seen_at: Mapped[datetime | None]


MOMENT = datetime(2026, 1, 31, 12, 0, 0, 5)
ADD = insert_into(Thing)
ALL = Prepared(select(Thing.id, Thing.name, Thing.facts, Thing.weight, Thing.ready, Thing.seen_at).order_by(Thing.id))
NAMES = Prepared(select(Thing.name).where(Thing.id.in_(bindparam("ids", expanding=True))).order_by(Thing.id), make=only)
REMOVE = Prepared(delete(table_of(Thing)).where(Thing.id == bindparam("which")))


@pytest.fixture
def database(postgresql_server):
    database = Database(postgresql_server.new_database(), pool_size=4)
    Own.metadata.create_all(database.engine)
    yield database
    database.close()


def add(database, *ids):
    rows = [
        {"id": n, "name": f"n{n}", "facts": {"a": [1]}, "weight": 0.5, "ready": True, "seen_at": MOMENT} for n in ids
    ]
    database.write(lambda tx: ADD.run_many(tx, rows))


def test_values_survive_also_those_that_are_null(database):
    add(database, 1)
    database.write(lambda tx: ADD.run(tx, id=2, name="100 %s $1", facts=None, weight=2.0, ready=False, seen_at=None))
    for _ in range(3):  # at first, as it is prepared, and prepared
        with database.read() as tx:
            assert [tuple(row) for row in ALL.all(tx)] == [
                (1, "n1", {"a": [1]}, 0.5, True, MOMENT),
                (2, "100 %s $1", None, 2.0, False, None),
            ]


def test_changes_say_how_many_rows_they_changed(database):
    add(database, 1, 2)
    assert [database.write(lambda tx: REMOVE.run(tx, which=1)) for _ in range(3)] == [1, 0, 0]


@pytest.mark.parametrize("count", [1, 2, 40])
def test_many_rows_are_added_in_one_go_or_not_at_all(database, count):
    add(database, *range(count))
    with pytest.raises(IntegrityError):
        add(database, *range(1000, 1000 + count), 0)
    with database.read() as tx:
        assert len(NAMES.all(tx, ids=list(range(2000)))) == count


def test_statements_stay_prepared_when_the_orm_rolls_back_on_their_connection(database):
    add(database, 1)
    for _ in range(10):
        with database.read() as tx:
            assert NAMES.all(tx, ids=[1]) == ["n1"]
            assert tx.scalars(select(Thing.name)).all() == ["n1"]
            assert tx.execute(text("SELECT 1")).scalar() == 1


def test_more_statements_than_are_kept_prepared(database, monkeypatch):
    monkeypatch.setattr("gureum.foundation.db.wire.MOST_PREPARED", 3)
    add(database, 1, 2, 3)
    for _ in range(4):
        for length in (1, 2, 4, 8, 16):
            with database.read() as tx:
                assert NAMES.all(tx, ids=list(range(1, length + 1))) == ["n1", "n2", "n3"][:length]


def test_no_transaction_stays_open_between_requests(database):
    add(database, 1)
    for _ in range(3):
        with database.read() as tx:
            NAMES.all(tx, ids=[1])
        database.write(lambda tx: NAMES.all(tx, ids=[1]))
    with database.engine.connect() as connection:
        open_ones = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        assert connection.execute(text(open_ones)).scalar() == 0


def test_connections_of_a_burst_go_back_to_the_pool_and_come_again(database):
    """The pool's own users find nothing prepared there, and the next lane prepares anew."""
    add(database, 1)
    for _ in range(3):
        together = threading.Barrier(6)

        def read(gate=together):
            for _ in range(3):
                with database.read() as tx:
                    gate.wait(10)
                    assert NAMES.all(tx, ids=[1]) == ["n1"]

        threads = [threading.Thread(target=read) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for _ in range(8):
            with database.engine.begin() as connection:
                assert connection.execute(text("SELECT name FROM wired_things")).scalar() == "n1"


def test_a_kept_connection_that_the_server_ended_is_replaced_unnoticed(database):
    add(database, 1)
    for _ in range(3):
        with database.read() as tx:
            NAMES.all(tx, ids=[1])
        end_all_others(database)
        with database.read() as tx:
            assert NAMES.all(tx, ids=[1]) == ["n1"]
        end_all_others(database)
        add(database, 10 + database.counters.commits)


def test_a_connection_that_ends_between_two_statements_is_a_failure_of_the_database(database):
    add(database, 1)
    with pytest.raises(Exception, match=r"database") as caught, database.read() as tx:
        NAMES.all(tx, ids=[1])
        end_all_others(database)
        NAMES.all(tx, ids=[1])
    assert caught.value.status == 503
    with database.read() as tx:
        assert NAMES.all(tx, ids=[1]) == ["n1"]


def end_all_others(database):
    with database.engine.connect() as connection:
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        connection.execute(text(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}"))


def test_a_mistake_in_a_statement_is_told_as_one(database):
    wrong = Prepared(text("SELECT nothing FROM nowhere").columns(Thing.id))
    for _ in range(3):
        with pytest.raises(ProgrammingError), database.read() as tx:
            wrong.all(tx)
    with database.read() as tx:
        assert ALL.all(tx) == []


def test_a_server_that_is_away_is_a_failure_of_the_database(postgresql_server):
    database = Database(postgresql_server.new_database().replace(f":{postgresql_server.port}/", ":1/"), pool_size=2)
    with pytest.raises(Exception, match="reached") as caught, database.read() as tx:
        ALL.all(tx)
    assert isinstance(caught.value.__cause__, OperationalError)


def test_statements_stay_prepared_when_a_flush_fails(database):
    add(database, 1)

    def work(tx):
        assert NAMES.all(tx, ids=[1]) == ["n1"]
        tx.add(Thing(id=1, name="twice"))
        tx.flush()

    for _ in range(7):  # psycopg prepares what comes for the sixth time, and forgets everything when it rolls back
        with pytest.raises(IntegrityError):
            database.write(work)
        assert database.write(lambda tx: NAMES.all(tx, ids=[1])) == ["n1"]


def test_statements_stay_prepared_when_a_savepoint_is_rolled_back(database):
    """psycopg, which prepares what comes often, deallocated all statements of the connection then, ours included."""
    add(database, 1)

    def work(tx):
        for _ in range(8):
            tx.execute(text("SELECT 1"))
            NAMES.all(tx, ids=[1])
        savepoint = tx.begin_nested()
        tx.execute(text("SELECT 2"))
        savepoint.rollback()
        tx.execute(text("SELECT 1"))
        return NAMES.all(tx, ids=[1])

    for _ in range(3):
        assert database.write(work) == ["n1"]
