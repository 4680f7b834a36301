"""The migrations make exactly the tables that the models describe, on both databases, from nothing and from any revision.

When these fail after a change of a model: before the first release run `tools/first-revision`; after it write a new
numbered revision that only expands, in `src/gureum/foundation/db/migrations/versions/`.
"""

from __future__ import annotations

import re
import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Text, inspect, text

import gureum.roles.control  # noqa: F401  every table of every service
from gureum.foundation.db import schema
from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Json, Row

MEND = "the revisions and the models differ: run tools/first-revision (or, after a release, write a revision)"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def empty(request, tmp_path):
    """A database with nothing in it."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/empty.sqlite"
    else:
        url = request.getfixturevalue("postgresql_server").new_database()
    database = Database(url)
    yield database
    database.close()


def another_type(_context, _inspected, _column, found, wanted):
    """Json is text to the database; None leaves every other type to alembic."""
    return not isinstance(found, Text) if isinstance(wanted, Json) else None


def differences(database):
    with database.engine.connect() as connection:
        options = {"compare_type": another_type, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, Row.metadata)


def revision(database):
    with database.engine.connect() as connection:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()


def definitions(database):
    """SQLite's own words for each table and index, spaces and line breaks aside."""
    with database.engine.connect() as connection:
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")).all()
    return {name: _parts(sql) for name, sql in rows if name != "alembic_version"}


def _parts(sql):
    plain = re.sub(r"\s+", " ", sql).strip()
    inner, end = re.fullmatch(r"(.*?)\)?( WITHOUT ROWID)?", plain).groups()
    return sorted(part.strip() for part in inner.split(",")) + [end]


def test_the_revisions_lead_from_nothing_to_the_models(empty):
    schema.migrate(empty)
    assert differences(empty) == [], MEND
    assert revision(empty) == schema.head()


def test_a_new_database_is_made_at_the_newest_revision(empty):
    schema.ensure_schema(empty)
    assert differences(empty) == []
    assert revision(empty) == schema.head()


def test_both_ways_make_the_same_tables_to_the_letter(tmp_path):
    made, migrated = Database(f"sqlite:///{tmp_path}/made.sqlite"), Database(f"sqlite:///{tmp_path}/migrated.sqlite")
    schema.ensure_schema(made)
    schema.migrate(migrated)
    try:
        assert definitions(migrated) == definitions(made), MEND
    finally:
        made.close()
        migrated.close()


def test_repeating_it_changes_nothing(empty):
    for _ in range(3):
        schema.ensure_schema(empty)
    schema.migrate(empty)
    assert differences(empty) == []


def test_processes_that_start_together_make_the_tables_once(empty):
    failures = []

    def start():
        database = Database(empty.url)
        try:
            schema.ensure_schema(database)
        except Exception as error:
            failures.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert differences(empty) == []


def test_a_migration_that_fails_leaves_nothing(empty, monkeypatch):
    """PostgreSQL and SQLite both take table definitions back with the transaction."""
    from gureum.foundation.db.migrations.first import network

    monkeypatch.setattr(network, "create", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        schema.migrate(empty)
    with empty.engine.connect() as connection:
        assert inspect(connection).get_table_names() == []


def test_foreign_keys_are_in_force_after_a_migration(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/keys.sqlite", pool_size=1)
    schema.migrate(database)
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    database.close()


def test_every_revision_but_the_first_has_one_before_it():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    found = list(ScriptDirectory.from_config(config).walk_revisions())
    assert found[0].revision == schema.head()
    assert [one.revision for one in found] == sorted((one.revision for one in found), reverse=True)
    assert found[-1].revision == "0001"
    assert found[-1].down_revision is None
