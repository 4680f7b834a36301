"""What a service declares: its events, and what it subscribes to.

A service tells what happened as an `Event`, in the transaction that makes it true (`outbox.py`). Another service
subscribes in its manifest (`Mounted.subscriptions`) in one of two ways:

- `InTransaction`: the handler runs inside the emitter's transaction. For what must be true at the same moment. What it
  raises fails the emitter's request.
- `Durable`: the handler runs later, in a worker process, in a transaction of its own that also moves the subscriber's
  cursor (`reader.py`). It survives kills and never skips an event. It may see an event again only after an operator's
  `replay`, or when it made effects outside of its transaction before a crash: such a handler is idempotent.

An event's fields are plain values. A field that is added later has a default, because older rows lack it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import msgspec

from gureum.foundation.db.engine import Tx

E = TypeVar("E", bound="Event")


class Event(msgspec.Struct, frozen=True):
    """Something that happened. `KIND` names it for ever, such as "project.deleted".

    Events that are not `DURABLE` reach only subscribers in the transaction and are never written.
    """

    KIND: ClassVar[str] = ""
    DURABLE: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class InTransaction(Generic[E]):
    """Call `handle(tx, event)` inside the transaction that emits the event. It makes no call to the outside."""

    event: type[E]
    handle: Callable[[Tx, E], None]


@dataclass(frozen=True, slots=True)
class Durable:
    """Call `handle(tx, event)` for each event of these types, in order, behind the cursor `name`.

    `name` is unique in the cloud and at most 50 characters long; under another name the subscriber begins anew, with
    the oldest event that is kept.
    """

    name: str
    events: tuple[type[Event], ...]
    handle: Callable[[Tx, Any], None]


Subscription: TypeAlias = InTransaction[Any] | Durable
