"""Writers of several processes that all count the same rows: each is repeated until it is its turn."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row
from gureum.foundation.tasks.model import Lease

EACH, THREADS = 12, 4


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
def test_a_write_that_is_to_be_alone_waits_for_that_of_another_process(postgresql_url):
    one, two = (Database(postgresql_url, pool_size=2) for _ in range(2))
    entered = threading.Event()

    def enter():
        with two._alone():
            entered.set()

    with one._alone():
        thread = threading.Thread(target=enter)
        thread.start()
        assert not entered.wait(0.5)
    assert entered.wait(5)
    thread.join()
    one.close()
    two.close()
