"""`Events.emit`: tells an event inside the caller's transaction, and writes it for durable subscribers.

Invariant: the row of an event commits with what it tells of, or not at all. Which kinds are written is decided at
start: those that a durable subscriber reads and those that `[events] record` names; others cost nothing. The wake-up of
the reader follows the commit; losing it costs a second. Read next: `reader.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from sqlalchemy import bindparam, insert, select

from gureum.foundation import clock, log
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, insert_into, only, table_of
from gureum.foundation.events.event import Durable, Event, InTransaction, Subscription
from gureum.foundation.events.model import EventCursor, EventRow, current_xact

EVERY_KIND = "*"
LONGEST_NAME = 50
_WOKEN = "readers of events wake"
Handler = Callable[[Tx, Any], None]


class SubscriptionError(Exception):
    """A subscription that cannot work: a mistake in a manifest."""


class Events:
    """One per process. `announce` is told after a commit that there is something to read."""

    def __init__(self, record: Iterable[str] = ()) -> None:
        self.durable: dict[str, Durable] = {}
        self.announce: Callable[[], None] = lambda: None
        self._record = frozenset(record)
        self._handlers: dict[type[Event], tuple[Handler, ...]] = {}
        self._written: set[type[Event]] = set()
        self._types: dict[str, type[Event]] = {}

    def subscribe(self, subscriptions: Iterable[Subscription]) -> None:
        """Add subscriptions. Raises SubscriptionError. All are there before the first event."""
        for subscription in subscriptions:
            if isinstance(subscription, InTransaction):
                self._know(subscription.event)
                handlers = self._handlers.get(subscription.event, ())
                self._handlers[subscription.event] = (*handlers, subscription.handle)
            else:
                self._add_durable(subscription)

    def _add_durable(self, subscriber: Durable) -> None:
        if subscriber.name in self.durable or not 0 < len(subscriber.name) <= LONGEST_NAME:
            raise SubscriptionError(f"the durable subscriber {subscriber.name!r} needs a name of its own, not too long")
        for kind in subscriber.events:
            self._know(kind)
            if not kind.DURABLE:
                raise SubscriptionError(f"{subscriber.name} reads {kind.__name__}, which is never written")
            self._written.add(kind)
        self.durable[subscriber.name] = subscriber

    def _know(self, kind: type[Event]) -> None:
        other = self._types.setdefault(kind.KIND, kind)
        if not kind.KIND or other is not kind:
            raise SubscriptionError(f"{kind.__name__} and {other.__name__} have the kind {kind.KIND!r}")

    def is_written(self, kind: type[Event]) -> bool:
        """Whether events of this type get a row."""
        return kind in self._written or (kind.DURABLE and (kind.KIND in self._record or EVERY_KIND in self._record))

    def hears(self, kind: type[Event]) -> bool:
        """Whether anybody is told of events of this type, for an emitter that would have to read what it tells."""
        return kind in self._handlers or self.is_written(kind)

    def emit(self, tx: Tx, event: Event) -> None:
        """This happened: it is true when the transaction commits. Raises what subscribers in the transaction raise."""
        kind = type(event)
        for handle in self._handlers.get(kind, ()):
            handle(tx, event)
        if self.is_written(kind):
            self._write(tx, event)

    def _write(self, tx: Tx, event: Event) -> None:
        _INSERT.run(
            tx,
            new_kind=event.KIND,
            new_content=_encode(event).decode(),
            new_project=getattr(event, "project_id", None),
            new_request=log.request_id.get(),
            new_at=clock.utcnow(),
        )
        if type(event) in self._written and not tx.info.get(_WOKEN):
            tx.info[_WOKEN] = True
            tx.on_commit(self.announce)

    def bootstrap(self, tx: Tx) -> None:
        """Give each durable subscriber a cursor; a new one begins with the oldest event that is kept."""
        known = set(_NAMES.all(tx))
        begin = {"xact": 0, "number": 0, "moved_at": clock.now()}
        _BEGIN.run_many(tx, [{"name": name, **begin} for name in self.durable if name not in known])


_encode = msgspec.json.Encoder().encode
_INSERT = Prepared(
    insert(table_of(EventRow)).values(
        xact=current_xact(),
        kind=bindparam("new_kind"),
        content=bindparam("new_content"),
        project_id=bindparam("new_project"),
        request_id=bindparam("new_request"),
        at=bindparam("new_at"),
    )
)
_NAMES = Prepared(select(EventCursor.name), make=only)
_BEGIN = insert_into(EventCursor)
