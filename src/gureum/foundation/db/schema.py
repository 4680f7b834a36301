"""Brings a database to this code's tables: made whole when it is empty, migrated when it is older.

Each service has a branch of revisions in its folder, the foundation has one here; a revision may depend on one of
another branch (`depends_on`). Only the branches of enabled services are run: those of others stay where they are. A
habit test keeps revisions and models equal. Alembic is loaded only when there is something to migrate, so that a start
costs nothing. Read next: `revisions.py`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, inspect, text

from gureum.foundation.db.engine import Database
from gureum.foundation.db.revisions import Revisions
from gureum.foundation.db.turns import unlock
from gureum.foundation.db.types import Row

log = logging.getLogger("gureum.db")

FOUNDATION = "foundation"
MIGRATIONS = Path(__file__).parent / "migrations"
_TURN = 0x67757265756D  # an advisory lock's number, any that nobody else uses


class Schema:
    """The tables of a cloud. `branches` has the folder of every service's revisions, `enabled` whose are to be there.

    `tables` are those of the enabled services' models and of the foundation's; all that are known by default.
    """

    def __init__(
        self, branches: Mapping[str, Path], enabled: Collection[str], tables: Collection[Table] | None = None
    ) -> None:
        self.revisions = Revisions({FOUNDATION: MIGRATIONS / "versions", **branches})
        self.enabled = (FOUNDATION, *enabled)
        self.tables = list(Row.metadata.sorted_tables if tables is None else tables)

    def ensure(self, database: Database) -> None:
        """Safe to run from several processes at once: they take turns, and each change is one transaction.

        Raises DatabaseFailure.
        """
        with database.in_words(), _turn(database):
            with database.engine.connect() as connection:
                passed = self._passed(connection)
                connection.rollback()
                if passed is None:
                    self._create(connection)
                    return
            if not self.revisions.heads(self.enabled) <= passed:
                self.migrate(database)

    def migrate(self, database: Database) -> None:
        """Run the revisions of the enabled branches that the database has not passed, in one transaction."""
        from alembic.config import Config
        from alembic.runtime.environment import EnvironmentContext
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("path_separator", "os")
        config.set_main_option("version_locations", os.pathsep.join(str(folder) for folder in self.revisions.folders))
        script = ScriptDirectory.from_config(config)
        targets = tuple(self.revisions.outermost(self.enabled))

        def steps(current: Any, _context: Any) -> Any:
            return script._upgrade_revs(targets, current)  # type: ignore[arg-type]  # noqa: SLF001 alembic's documented way

        with database.engine.connect() as connection:
            self._rename(connection)
            config.attributes["connection"] = connection
            with EnvironmentContext(config, script, fn=steps):
                script.run_env()
        log.info("migrated to %s", ", ".join(targets))

    def _passed(self, connection: Connection) -> set[str] | None:
        """Every revision that the database has been through; None when it was never made."""
        if "alembic_version" not in inspect(connection).get_table_names():
            return None
        rows = connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
        return self.revisions.passed({str(row) for row in rows})

    def _create(self, connection: Connection) -> None:
        with connection.begin():
            if inspect(connection).has_table("alembic_version"):
                return  # another process was quicker, and all tables came with its transaction
            Row.metadata.create_all(connection, tables=self.tables, checkfirst=False)
            connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
            heads = self.revisions.outermost(self.enabled)
            for head in heads:
                connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": head})
        log.info("made the tables of %s", ", ".join(heads))

    def _rename(self, connection: Connection) -> None:
        """A row of a revision that others have taken the place of becomes rows of theirs."""
        if not inspect(connection).has_table("alembic_version"):
            connection.rollback()
            return
        for row in list(connection.execute(text("SELECT version_num FROM alembic_version")).scalars()):
            if replacing := self.revisions.replacing(str(row)):
                connection.execute(text("DELETE FROM alembic_version WHERE version_num = :row"), {"row": row})
                for revision in replacing:
                    connection.execute(text("INSERT INTO alembic_version VALUES (:one)"), {"one": revision})
        connection.commit()


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
            unlock(connection, _TURN)
