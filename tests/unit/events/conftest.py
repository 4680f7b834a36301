"""An outbox on either database."""

from __future__ import annotations

import pytest

from gureum.foundation.db.engine import Database
from gureum.foundation.db.types import Row


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def store(request, tmp_path):
    """A database with all tables and no row."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/events.sqlite"
    else:
        url = request.getfixturevalue("postgresql_server").new_database()
    database = Database(url)
    Row.metadata.create_all(database.engine)
    yield database
    database.close()
