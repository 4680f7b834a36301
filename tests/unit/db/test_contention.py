"""Writers of several processes that all count the same rows: each is repeated until it is its turn."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, InternalError, ProgrammingError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gureum.foundation.db.engine import DRAWS, Database
from gureum.foundation.db.prepared import insert_unless_there
from gureum.foundation.db.turns import ALONE_AFTER, TURN_AFTER
from gureum.foundation.db.types import Row
from gureum.foundation.tasks.model import Lease

EACH, THREADS = 12, 4


@pytest.fixture
def processes(postgresql_server):
    """Two databases on one server, as two processes have them."""
    url = postgresql_server.new_database()
    databases = [Database(url, pool_size=THREADS) for _ in range(2)]
    with databases[0].engine.begin() as connection:
        connection.execute(text("CREATE TABLE things (id integer PRIMARY KEY, kind text)"))
    Own.metadata.create_all(databases[0].engine)
    yield databases
    for database in databases:
        database.close()


class Own(DeclarativeBase):
    """Apart from the tables of the cloud, which the migrations must lead to."""


class Held(Own):
    __tablename__ = "held_things"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str]


HOLD = insert_unless_there(Held, "id")


@pytest.mark.postgresql
def test_writers_of_two_processes_get_their_turn(postgresql_url):
    databases = [Database(postgresql_url, pool_size=THREADS) for _ in range(2)]
    Row.metadata.create_all(databases[0].engine)

    def take_a_number(database):
        """Like a quota: count, then add."""

        def work(tx):
            number = tx.scalar(select(func.count()).select_from(Lease))
            tx.add(Lease(name=f"number-{number}", owner="", until=0.0))
            return number

        return [database.write(work) for _ in range(EACH)]

    with ThreadPoolExecutor(2 * THREADS) as pool:
        taken = [one for numbers in pool.map(take_a_number, databases * THREADS) for one in numbers]
    assert sorted(taken) == list(range(2 * THREADS * EACH))
    for database in databases:
        database.close()


@pytest.mark.postgresql
def test_a_write_that_clashes_whenever_others_write_is_made_alone(processes):
    """Others commit while it works, each time: only when none of them may write, can it be done."""
    one, other = processes
    over, commits = threading.Event(), threading.Semaphore(0)
    tries = []

    def disturb():
        number = 1_000
        while not over.is_set():
            number += 1
            other.write(lambda tx, n=number: _count_and_add(tx, n))
            commits.release()

    def work(tx):
        tries.append(len(tries))
        _count_and_add(tx, len(tries))
        for _ in range(3):  # a commit that was under way, and one that began after this transaction's look
            commits.acquire(timeout=0.3)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        one.write(work, "things")
    finally:
        over.set()
        thread.join()
    assert len(tries) <= ALONE_AFTER + 1


def _count_and_add(tx, number):
    """Like a quota: whoever counted before another added, clashes with it."""
    tx.execute(text("SELECT count(*) FROM things")).scalar()
    tx.execute(text("INSERT INTO things VALUES (:number, 'new')"), {"number": number})


@pytest.mark.postgresql
def test_rows_beside_each_other_are_held_without_a_clash(processes):
    one, other = processes
    tries = []

    def work(tx):
        tries.append(HOLD.run(tx, new_id=1, new_owner="one"))
        thread = threading.Thread(target=other.write, args=(hold_the_next,))
        thread.start()
        thread.join()

    def hold_the_next(tx):
        assert HOLD.run(tx, new_id=2, new_owner="other") == 1

    one.write(work)
    assert tries == [1], "two that hold different rows clash"


@pytest.mark.postgresql
def test_a_row_that_another_process_holds_meanwhile_is_seen_at_the_second_try(processes):
    one, other = processes
    tries = []

    def work(tx):
        tx.execute(text("SELECT 1"))
        if not tries:
            thread = threading.Thread(target=other.write, args=(lambda tx: HOLD.run(tx, new_id=1, new_owner="other"),))
            thread.start()
            thread.join()
        tries.append("try")
        return HOLD.run(tx, new_id=1, new_owner="one")

    assert one.write(work) == 0
    assert len(tries) == 2


@pytest.mark.postgresql
def test_a_new_write_of_a_crowded_kind_waits_for_its_turn(processes):
    one, other = processes
    for database in processes:
        database.turns.clashed("things", TURN_AFTER)
    entered = threading.Event()

    def enter():
        other.write(lambda _tx: entered.set(), "things")

    with one.turns.turn("things", 0):
        thread = threading.Thread(target=enter)
        thread.start()
        other.write(lambda tx: tx.execute(text("SELECT 1")), "other things")
        assert not entered.wait(0.3)
    assert entered.wait(5)
    thread.join()


@pytest.mark.postgresql
def test_a_write_whose_statement_failed_is_not_answered_as_done(processes):
    """PostgreSQL answers its COMMIT by rolling back, without an error."""
    (database, _) = processes

    def work(tx):
        tx.execute(text("INSERT INTO things VALUES (1, 'new')"))
        with contextlib.suppress(ProgrammingError):
            tx.execute(text("SELECT nothing FROM nowhere"))

    for _ in range(3):  # on a new connection, and on a kept one
        with pytest.raises(InternalError, match="passed over"):
            database.write(work)
    with database.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM things")).scalar() == 0
    database.write(lambda tx: tx.execute(text("INSERT INTO things VALUES (1, 'new')")))


@pytest.mark.postgresql
def test_a_write_that_is_to_be_alone_waits_for_that_of_another_process(postgresql_url):
    one, two = (Database(postgresql_url, pool_size=2) for _ in range(2))
    entered = threading.Event()

    def enter():
        with two.turns.alone():
            entered.set()

    with one.turns.alone():
        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.5)
    assert entered.wait(5)
    thread.join()
    one.close()
    two.close()


@pytest.mark.postgresql
def test_a_write_that_is_alone_needs_no_connection_of_those_who_wait_for_it(processes):
    """They hold all connections of the pool, and wait for the lock that it has."""
    one, other = processes
    is_open, is_over = threading.Event(), threading.Event()
    tries = []

    def work(tx):
        tries.append("try")
        if len(tries) <= ALONE_AFTER:
            tx.execute(text("DO $$ BEGIN RAISE EXCEPTION 'clash' USING ERRCODE = '40001'; END $$"))
        tx.execute(text("INSERT INTO things VALUES (0, 'alone')"))

    def stay_open(tx):
        tx.execute(text("SELECT 1"))
        is_open.set()
        is_over.wait(30)

    def waiting(mode):
        with other.engine.connect() as connection:
            statement = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND mode = :mode"
            return connection.execute(text(statement), {"mode": mode}).scalar()

    def wait_for(mode, number):
        for _ in range(1000):
            if waiting(mode) >= number:
                return
            time.sleep(0.01)
        raise AssertionError(f"{number} do not wait for {mode}")

    with ThreadPoolExecutor(2 * THREADS + 2) as pool:
        open_write = pool.submit(other.write, stay_open)
        try:
            assert is_open.wait(10)
            alone = pool.submit(one.write, work)
            wait_for("ExclusiveLock", 1)
            others = [
                pool.submit(
                    one.write, lambda tx, n=number: tx.execute(text("INSERT INTO things VALUES (:n, '')"), {"n": n})
                )
                for number in range(1, 2 * THREADS + 1)
            ]
            wait_for("ShareLock", 2 * THREADS - 1)
        finally:
            is_over.set()
        for each in (open_write, alone, *others):
            each.result(timeout=10)
    assert len(tries) == ALONE_AFTER + 1


@pytest.mark.postgresql
def test_a_row_that_breaks_a_rule_each_time_is_refused_soon(processes):
    """Others' rows, or what was drawn at random, may be to blame: a few tries, not all others stopped for each."""
    one, _ = processes
    one.write(lambda tx: tx.execute(text("INSERT INTO things VALUES (1, '')")))
    tries = []

    def work(tx):
        tries.append("try")
        tx.execute(text("INSERT INTO things VALUES (1, '')"))

    with pytest.raises(IntegrityError):
        one.write(work)
    assert len(tries) <= DRAWS + 1
