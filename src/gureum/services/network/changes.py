"""The log of things whose row changed and that the network writer has not yet brought to the engine.

A change names a thing only; what the engine should hold is read from the rows when the change is applied, so
a thing that is gone by then is removed. Invariant: the change commits with the row's, and the writer deletes
exactly the entries that it read: a change made meanwhile is another entry and is not lost.
Read next: `writer.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from gureum.drivers.network.interface import Kind
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import insert_into
from gureum.foundation.db.types import Id, Row

_WAKES = "network writer wakes"


class NetworkChange(Row):
    __tablename__ = "network_changes"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(16))
    resource_id: Mapped[str] = mapped_column(Id)


_INSERT = insert_into(NetworkChange, "number")


class Changes:
    """Marks things as changed; wakes the writer after the commit.

    `event` wakes the writer of this process, for whatever reason; `entries` is set when the log may hold new ones.
    `announce` tells the other processes, and is called unless the writer here holds the lease (`written_here`).
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.entries = threading.Event()
        self.announce: Callable[[], None] = lambda: None
        self.written_here = False

    def mark(self, tx: Tx, kind: Kind, ids: Iterable[str]) -> None:
        """The rows of these things change in this transaction."""
        entries = [{"kind": kind, "resource_id": resource_id} for resource_id in ids]
        if not entries:
            return
        _INSERT.run_many(tx, entries)
        if not tx.info.get(_WAKES):
            tx.info[_WAKES] = True
            tx.on_commit(self._wake)

    def _wake(self) -> None:
        self.wake()
        if not self.written_here:
            self.announce()

    def wake(self) -> None:
        """Entries were committed, here or elsewhere: the writer of this process is to look."""
        self.entries.set()
        self.event.set()
