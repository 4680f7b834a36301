"""Alembic's entry: runs the numbered revisions on the connection that `schema.py` hands over, all in one transaction.

SQLite keeps a table's foreign keys in force while it is copied to a new shape, which would empty the tables that
refer to it: they are off while the revisions run, and looked at again before the commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from sqlalchemy import Connection


@contextmanager
def foreign_keys_off(connection: Connection) -> Iterator[None]:
    """Outside of any transaction, where SQLite listens to it. Nothing to do on PostgreSQL."""
    driver = connection.connection.dbapi_connection
    if connection.dialect.name != "sqlite" or driver is None:
        yield
        return
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


def refuse_broken_references(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        raise RuntimeError(f"the migration would leave references to nothing: {broken[:5]}")


def migrate(connection: Connection) -> None:
    """From whatever revision the database has to the one that was asked for, or nothing at all."""
    context.configure(connection=connection, render_as_batch=True, transactional_ddl=True)
    with foreign_keys_off(connection), context.begin_transaction():
        context.run_migrations()
        refuse_broken_references(connection)


migrate(context.config.attributes["connection"])
