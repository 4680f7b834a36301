"""A live copy of one OVSDB database, and the only thread that touches it.

ovsdbapp's connection thread owns the copy (RFC 7047, monitor) and runs the transactions; everyone else reads under
its lock. Not aware of what the rows mean: `Listener` is told of them. Invariant: after a reconnect the listener sees
`loaded` before any later change, so that what it keeps can be rebuilt rather than patched.
Read next: `northbound.py`, `southbound.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ovs.db.idl import Idl
from ovsdbapp.backend.ovs_idl.connection import Connection, OvsdbIdl
from ovsdbapp.backend.ovs_idl.idlutils import get_schema_helper
from ovsdbapp.backend.ovs_idl.transaction import Transaction
from ovsdbapp.exceptions import TimeoutException

from gureum.drivers.network.interface import NetworkDriverError
from gureum.drivers.network.ovn import json_parser

LOG = logging.getLogger(__name__)

RECONNECT_MAX_MS = 1000


class Listener(Protocol):
    """Told of the copy's changes in the connection thread, with the lock held: it must be quick and not block."""

    def loaded(self, tables: Mapping[str, Any]) -> None:
        """The copy was filled afresh: at the start and after each reconnect."""
        ...

    def changed(self, event: str, row: Any) -> None:
        """A row came ("create"), changed ("update") or went ("delete")."""
        ...


class _Copy(OvsdbIdl):  # type: ignore[misc]  # the library has no types
    listener: Listener

    def run(self) -> bool:
        was_complete = self.state == Idl.IDL_S_MONITORING
        changed = super().run()
        if self.state == Idl.IDL_S_MONITORING and not was_complete:
            self.listener.loaded(self.tables)
        return bool(changed)

    def cooperative_yield(self) -> None:
        """Called for each row, and asleep for each: Python's threads take turns without it."""

    def notify(self, event: str, row: Any, updates: Any = None) -> None:  # noqa: ARG002  # the library's signature
        # Rows of the first dump come one by one before the copy is complete; `loaded` follows them.
        if self.state == Idl.IDL_S_MONITORING and row._table.name in self.tables:  # noqa: SLF001  # its only accessor
            self.listener.changed(event, row)


class _Change:
    """ovsdbapp's command: `work` composes the transaction, again from the start if the server asks to try again."""

    def __init__(self, work: Callable[[Any], None]) -> None:
        self._work = work
        self.result: None = None
        self.abandoned = False

    def run_idl(self, txn: Any) -> None:
        if self.abandoned:
            raise NetworkDriverError("given up before it could start")
        self._work(txn)

    def post_commit(self, txn: Any) -> None:
        """Nothing to fetch: the copy already shows what was written."""


class Replica:
    """An open database. Raises NetworkDriverError if it cannot be reached within `timeout_s`."""

    def __init__(
        self,
        remote: str,
        database: str,
        columns: Mapping[str, Sequence[str]],
        listener: Listener,
        timeout_s: float,
    ) -> None:
        self.remote = remote
        json_parser.install()
        try:
            schema = get_schema_helper(remote, database)
            for table, names in columns.items():
                schema.register_columns(table, list(names))
            self.idl = _Copy(remote, schema)
            self.idl.listener = listener
            # The library's eight seconds would be the outage after every restart of the database.
            self.idl._session.reconnect.set_backoff(100, RECONNECT_MAX_MS)  # noqa: SLF001  # its only accessor
            self._connection = Connection(self.idl, timeout_s)
            self._connection.start()
        except Exception as error:
            raise NetworkDriverError(f"{database} at {remote} cannot be reached: {error}") from error

    @property
    def lock(self) -> AbstractContextManager[bool]:
        """Hold it while reading the copy or what a listener made of it."""
        lock: AbstractContextManager[bool] = self._connection.lock
        return lock

    @property
    def tables(self) -> Mapping[str, Any]:
        tables: Mapping[str, Any] = self.idl.tables
        return tables

    def transact(self, work: Callable[[Any], None]) -> None:
        """Run `work(txn)` in the connection thread and commit what it wrote, as one transaction.

        `work` may run more than once and must leave no trace but in the transaction. Raises NetworkDriverError when the
        database refuses, when it cannot be reached in time, or when `work` raises.
        """
        change = _Change(work)
        transaction = Transaction(self, self._connection, check_error=True, log_errors=False)
        transaction.add(change)
        try:
            transaction.commit()
        except NetworkDriverError:
            raise
        except TimeoutException as error:  # whose own text cannot be relied on
            change.abandoned = True
            raise NetworkDriverError(f"{self.remote} did not take the change in time") from error
        except Exception as error:
            change.abandoned = True
            raise NetworkDriverError(f"{self.remote} did not take the change: {error}") from error

    def close(self) -> None:
        """Stop the thread and close the connection."""
        self._connection.stop(self._connection.timeout)
