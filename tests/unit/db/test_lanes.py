"""Connections that are kept, on PostgreSQL: nobody starves for them, and what began elsewhere is left alone."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

from gureum.foundation.db.engine import Database
from gureum.foundation.db.turns import ALONE_AFTER

pytestmark = pytest.mark.postgresql


@pytest.fixture
def small(postgresql_server):
    database = Database(postgresql_server.new_database(), pool_size=2)
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE things (id integer PRIMARY KEY)"))
    yield database
    database.close()


def test_a_burst_of_reads_leaves_connections_for_writes(small):
    together = threading.Barrier(3)

    def read():
        with small.read() as tx:
            tx.execute(text("SELECT 1"))
            together.wait(5)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    small.write(lambda tx: tx.execute(text("INSERT INTO things VALUES (1)")))
    insert = text("INSERT INTO things VALUES (2)")
    small._write_once(lambda tx: tx.execute(insert), small.turns.turn("", failures=ALONE_AFTER))


def test_a_lock_is_held_outside_of_any_transaction(small):
    """A server that ends idle transactions would end the lock with them."""
    with small.turns.alone(), small.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        idle = text("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'")
        assert connection.execute(idle).scalar() == 0


def test_a_statement_whose_plan_went_stale_fails_once(small):
    """Another process migrated the table."""
    select = text("SELECT * FROM things")
    for _ in range(20):
        with small.read() as tx:
            tx.execute(select).all()
    with small.engine.begin() as connection:
        connection.execute(text("ALTER TABLE things ALTER COLUMN id TYPE bigint"))
    failures = 0
    for _ in range(10):
        try:
            with small.read() as tx:
                tx.execute(select).all()
        except Exception:
            failures += 1
    assert failures <= 2, "a connection is kept that fails for ever"
