"""Every write of a request is rolled back after the handler answered, so that each persona finds the same cloud.

Nothing that runs after a commit runs. A request of several transactions does not see what its earlier ones wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from gureum.foundation.db.engine import Database


@dataclass
class Writes:
    """How many transactions began to write."""

    count: int = 0


@contextmanager
def rolled_back(database: Database) -> Iterator[Writes]:
    """Inside of the block, whatever `database` writes is undone, and counted."""
    writes = Writes()

    def write_once(work, turn):
        writes.count += 1
        with turn, database._transaction(database._writes) as tx:
            result = work(tx)
            tx.flush()
            return result, []

    with patch.object(database, "_write_once", write_once):
        yield writes
