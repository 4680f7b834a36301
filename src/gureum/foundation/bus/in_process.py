"""The bus inside one process: a table of names, a table of topics and a few threads.

Nothing is encoded and no thread belongs to a name, so that a thousand simulated hosts cost a dictionary entry each.
A call crosses to a worker thread, since only so can its time run out. Next: `unix_socket.py`, the same tables with
sockets between them.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable

from gureum.foundation.bus.envelope import MAX_PAYLOAD_BYTES, Call, Notice, check_size, result_of
from gureum.foundation.bus.interface import BusError, Handler, Subscriber
from gureum.foundation.bus.routes import LocalListener, LocalTarget, Routes, Waiter
from gureum.foundation.bus.workers import Workers
from gureum.foundation.log import request_id as current_request_id

_log = logging.getLogger(__name__)


class InProcessBus:
    """`Bus` for callers and callees of one process."""

    def __init__(self, *, worker_limit: int = 64) -> None:
        self._routes = Routes()
        self._workers = Workers("bus", limit=worker_limit)
        self._ids = itertools.count(1)
        self._closed = False

    def call(self, name: str, method: str, payload: bytes, *, timeout_s: float, request_id: str = "") -> bytes:
        """Return the answer of whoever serves `name`; raise as `interface.py` says."""
        if self._closed:
            raise BusError("the bus is closed")
        check_size(payload)
        rid = request_id or current_request_id.get()
        call = Call(next(self._ids), name, method, payload, timeout_s, rid)
        waiter = Waiter()
        self._routes.route(call, waiter.put)
        return result_of(waiter.take(call))

    def serve(self, name: str, handler: Handler, *, threads: int = 4) -> Callable[[], None]:
        """Answer calls to `name` until the returned function is called."""
        target = LocalTarget(self._workers, handler, threads)
        self._routes.add_target(name, target)

        def unserve() -> None:
            self._routes.remove_target(name, target)

        return unserve

    def publish(self, topic: str, payload: bytes) -> None:
        """Tell every subscriber of `topic`. A payload that no transport carries is lost."""
        if len(payload) > MAX_PAYLOAD_BYTES:
            _log.error("a notice of %s with %d bytes is too large and is lost", topic, len(payload))
            return
        self._routes.notify(Notice(topic, payload))

    def subscribe(self, topic: str, subscriber: Subscriber) -> Callable[[], None]:
        """Hand every payload of `topic` to `subscriber` until the returned function is called."""
        listener = LocalListener(self._workers, subscriber)
        self._routes.add_listener(topic, listener)

        def unsubscribe() -> None:
            self._routes.remove_listener(topic, listener)

        return unsubscribe

    def connected(self) -> bool:
        """Return True until closed."""
        return not self._closed

    def close(self) -> None:
        """Refuse further calls; those under way end by themselves."""
        self._closed = True
        self._workers.close()
