"""Statements that are built once and run beside the ORM, for the few that every port costs.

Building a statement and keeping the ORM's books costs several times what the database takes for it. Invariant: rows
that the ORM still holds back are written first, so that such a statement sees all that its transaction did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CursorResult, Executable

from gureum.foundation.db.engine import Tx

Rows = CursorResult[*tuple[Any, ...]]


def run(tx: Tx, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Rows:
    """Execute on the transaction's connection; a sequence of parameters is one statement for all of them."""
    tx.flush()
    return tx.connection().execute(statement, parameters)
