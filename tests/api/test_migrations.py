"""The revisions make exactly the tables that the models describe, on both databases, from nothing and from any revision.

When these fail after a change of a model: before the first release run `tools/first-revision`; after it write a new
numbered revision that only expands, in `migrations/` of the service's folder.
"""

from __future__ import annotations

import re
import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Text, inspect, text

from gureum.foundation.config import ServicesConfig
from gureum.foundation.db.engine import Database
from gureum.foundation.db.schema import Schema
from gureum.foundation.db.types import Json, Row
from gureum.roles.assembly import CATALOGUE

MEND = "the revisions and the models differ: run tools/first-revision (or, after a release, write a revision)"
BRANCHES = CATALOGUE.migrations()
EVERYTHING = CATALOGUE.schema([CATALOGUE.service(name) for name in BRANCHES])


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


def of_the_cloud(_object, name, kind, _reflected, _other):
    """Other tests define tables of their own."""
    return kind != "table" or name in {table.name for table in EVERYTHING.tables}


def differences(database):
    with database.engine.connect() as connection:
        options = {"compare_type": another_type, "compare_server_default": True, "include_object": of_the_cloud}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, Row.metadata)


def versions(database):
    with database.engine.connect() as connection:
        return sorted(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())


def tables(database):
    with database.engine.connect() as connection:
        return set(inspect(connection).get_table_names())


def revision(folder, name, *, before=None, depends_on=None, replaces=None, does="pass"):
    """Write a revision that adds to a branch."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name[-4:]}_words.py").write_text(
        "from alembic import op\nimport sqlalchemy as sa\n"
        f"revision = {name!r}\ndown_revision = {before!r}\nbranch_labels = {None if before else (name[:-5],)!r}\n"
        f"depends_on = {depends_on!r}\nreplaces = {replaces!r}\ndef upgrade():\n    {does}\n"
    )
    return folder


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
    EVERYTHING.migrate(empty)
    assert differences(empty) == [], MEND
    assert versions(empty) == EVERYTHING.revisions.outermost(EVERYTHING.enabled)


def test_a_new_database_is_made_at_the_newest_revision(empty):
    EVERYTHING.ensure(empty)
    assert differences(empty) == []
    assert versions(empty) == EVERYTHING.revisions.outermost(EVERYTHING.enabled)


def test_both_ways_make_the_same_tables_to_the_letter(tmp_path):
    made, migrated = Database(f"sqlite:///{tmp_path}/made.sqlite"), Database(f"sqlite:///{tmp_path}/migrated.sqlite")
    EVERYTHING.ensure(made)
    EVERYTHING.migrate(migrated)
    try:
        assert definitions(migrated) == definitions(made), MEND
    finally:
        made.close()
        migrated.close()


def test_repeating_it_changes_nothing(empty):
    for _ in range(3):
        EVERYTHING.ensure(empty)
    EVERYTHING.migrate(empty)
    assert differences(empty) == []


def test_processes_that_start_together_make_the_tables_once(empty):
    failures = []

    def start():
        database = Database(empty.url)
        try:
            EVERYTHING.ensure(database)
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


def test_a_migration_that_fails_leaves_nothing(empty, tmp_path):
    """PostgreSQL and SQLite both take table definitions back with the transaction."""
    broken = revision(tmp_path / "broken", "broken_0001", does="1 / 0")
    with pytest.raises(ZeroDivisionError):
        Schema({**BRANCHES, "broken": broken}, [*BRANCHES, "broken"]).migrate(empty)
    assert tables(empty) == set()


def test_foreign_keys_are_in_force_after_a_migration(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/keys.sqlite", pool_size=1)
    EVERYTHING.migrate(database)
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    database.close()


def test_every_branch_begins_once_and_ends_once():
    for branch in EVERYTHING.enabled:
        assert len(EVERYTHING.revisions.heads([branch])) == 1, branch
        first = [one for one in EVERYTHING.revisions.all() if one.branch == branch and not one.follows]
        assert len(first) == 1, branch


def test_services_that_are_not_enabled_have_no_table(empty):
    small = CATALOGUE.schema(CATALOGUE.enabled(ServicesConfig("none", ["identity"])))
    small.ensure(empty)
    assert {"projects", "tasks"} <= tables(empty)
    assert not {"servers", "ports", "images", "resource_providers"} & tables(empty)


def test_a_service_that_is_enabled_later_gets_its_tables(empty):
    """And what is there stays."""
    CATALOGUE.schema(CATALOGUE.enabled(ServicesConfig("none", ["identity"]))).ensure(empty)
    with empty.engine.begin() as connection:
        connection.execute(text("INSERT INTO leases (name, owner, until) VALUES ('kept', 'me', 0)"))
    EVERYTHING.ensure(empty)
    assert differences(empty) == []
    with empty.engine.connect() as connection:
        assert connection.execute(text("SELECT name FROM leases")).scalars().all() == ["kept"]


def test_a_service_that_is_disabled_keeps_its_tables(empty):
    EVERYTHING.ensure(empty)
    before = versions(empty)
    CATALOGUE.schema(CATALOGUE.enabled(ServicesConfig("none", ["identity"]))).ensure(empty)
    assert versions(empty) == before
    assert "servers" in tables(empty)


def test_two_services_add_revisions_without_meeting(empty, tmp_path):
    """Each numbers its own; one that needs the other's comes after it."""
    EVERYTHING.ensure(empty)
    add = "op.create_table({!r}, sa.Column('id', sa.Integer(), primary_key=True))"
    rain = revision(tmp_path / "rain", "rain_0001", does=add.format("rain"))
    revision(rain, "rain_0002", before="rain_0001", does="op.add_column('rain', sa.Column('drops', sa.Integer()))")
    snow = revision(
        tmp_path / "snow",
        "snow_0001",
        depends_on="rain_0002",
        does="op.add_column('rain', sa.Column('flakes', sa.Integer()))",
    )
    wider = Schema({**BRANCHES, "snow": snow, "rain": rain}, [*BRANCHES, "snow", "rain"])
    for _ in range(2):
        wider.ensure(empty)
    with empty.engine.connect() as connection:
        columns = [column["name"] for column in inspect(connection).get_columns("rain")]
    assert columns == ["id", "drops", "flakes"]
    assert {"snow_0001", "compute_0001"} <= set(versions(empty))
    assert "rain_0002" not in versions(empty), "it is told by the one that depends on it"


def test_a_process_of_an_older_version_starts_on_tables_of_a_newer_one(empty):
    """A host's supervisor starts it again in the middle of an upgrade: it adds nothing and goes on."""
    EVERYTHING.ensure(empty)
    with empty.engine.begin() as connection:
        connection.execute(
            text("UPDATE alembic_version SET version_num = 'foundation_9999' WHERE version_num LIKE 'foundation%'")
        )
    before = versions(empty)
    EVERYTHING.ensure(empty)
    assert versions(empty) == before
    assert "foundation_9999" in before


OF_LATER_REVISIONS = ("events", "event_cursors", "deleted_projects", "agents", "own_endpoints")


def as_before_the_branches(database):
    """The tables of the one revision that there was, and its row."""
    EVERYTHING.ensure(database)
    with database.engine.begin() as connection:
        for table in OF_LATER_REVISIONS:
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("DELETE FROM alembic_version"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0001')"))


def test_a_database_from_before_the_branches_goes_on(empty):
    """One revision had made all tables; each branch's first one took its place, and what came later is added."""
    as_before_the_branches(empty)
    EVERYTHING.ensure(empty)
    assert versions(empty) == EVERYTHING.revisions.outermost(EVERYTHING.enabled)
    assert not differences(empty)


def test_a_database_from_before_the_branches_is_migrated(empty, tmp_path):
    as_before_the_branches(empty)
    rain = revision(tmp_path / "rain", "rain_0001", does="op.create_table('rain', sa.Column('id', sa.Integer()))")
    Schema({**BRANCHES, "rain": rain}, [*BRANCHES, "rain"]).ensure(empty)
    assert versions(empty) == sorted([*EVERYTHING.revisions.outermost(EVERYTHING.enabled), "rain_0001"])
