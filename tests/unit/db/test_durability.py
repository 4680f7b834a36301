"""What is acknowledged is kept: what each connection tells its database about waiting for the disk."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from gureum.foundation.config import DatabaseConfig
from gureum.foundation.db.engine import Database

FULL, NORMAL = 2, 1  # PRAGMA synchronous


def said(database, question):
    with database.read() as tx:
        read = tx.execute(text(question)).scalar_one()
    written = database.write(lambda tx: tx.execute(text(question)).scalar_one())
    database.close()
    assert read == written
    return written


def test_full_is_what_a_cloud_has_unless_it_says_otherwise(tmp_path):
    assert DatabaseConfig().durability == "full"
    assert said(Database(f"sqlite:///{tmp_path}/a.sqlite"), "PRAGMA synchronous") == FULL


def test_fast_waits_for_the_disk_at_checkpoints_alone(tmp_path):
    assert said(Database(f"sqlite:///{tmp_path}/a.sqlite", durability="fast"), "PRAGMA synchronous") == NORMAL


@pytest.mark.postgresql
def test_full_is_not_less_than_a_server_that_was_set_to_lose(postgresql_url):
    """The test's own server has synchronous_commit off."""
    assert said(Database(postgresql_url), "SHOW synchronous_commit") == "on"


@pytest.mark.postgresql
def test_fast_does_not_wait_for_the_log_of_postgresql(postgresql_server):
    assert said(Database(postgresql_server.new_database(), durability="fast"), "SHOW synchronous_commit") == "off"
