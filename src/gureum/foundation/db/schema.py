"""Brings a database to this code's tables: made whole when it is empty, migrated when it is older.

The migrations live in `migrations/`; a habit test keeps them equal to the models. Alembic is loaded only when
there is something to migrate, so that a start costs nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row

log = logging.getLogger("gureum.db")

MIGRATIONS = Path(__file__).parent / "migrations"
_TURN = 0x67757265756D  # an advisory lock's number, any that nobody else uses


def head() -> str:
    """The newest revision: the file names are numbered."""
    return max(path.stem.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def ensure_schema(database: Database) -> None:
    """Safe to run from several processes at once: they take turns, and each change is one transaction.

    Raises DatabaseFailure.
    """
    with database.in_words(), _turn(database):
        with database.engine.connect() as connection:
            tables = inspect(connection).get_table_names()
            current = _current(connection) if "alembic_version" in tables else None
            connection.rollback()
            if current == head():
                return
            if current is None and "servers" not in tables:
                _create(connection)
                return
        migrate(database)


@contextmanager
def _turn(database: Database) -> Iterator[None]:
    """One process at a time. SQLite has one writer anyway; PostgreSQL would let two see an empty database."""
    if database.is_sqlite:
        yield
        return
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock(:turn)"), {"turn": _TURN})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:turn)"), {"turn": _TURN})


def _current(connection: Connection) -> str | None:
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _create(connection: Connection) -> None:
    with connection.begin():
        if inspect(connection).has_table("servers"):
            return  # another process was quicker, and all tables came with its transaction
        Row.metadata.create_all(connection, checkfirst=False)
        connection.execute(text("CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(text("DELETE FROM alembic_version"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": head()})
    log.info("made the tables of revision %s", head())


def migrate(database: Database) -> None:
    """Run the revisions that the database has not passed, in one transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    log.info("migrated to revision %s", head())
