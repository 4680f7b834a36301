"""The bus of many machines, over RabbitMQ.

One thread and one connection for a process, made again for ever with back-off; whatever was served and subscribed is
then registered again. Invariant: without a broker, calls fail at once and notices reach this process only. What goes
over the wire is told in `amqp_session.py`. Import this module only where the configuration asks for a broker: the
client library weighs several megabytes.
"""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
import uuid
from collections.abc import Callable

from gureum.foundation.bus.amqp_session import AmqpSession, Served
from gureum.foundation.bus.envelope import MAX_PAYLOAD_BYTES, Call, Failure, Notice, check_size, result_of
from gureum.foundation.bus.interface import BusError, CallTimeout, Handler, Subscriber
from gureum.foundation.bus.routes import LocalListener, LocalTarget, Routes, Waiter
from gureum.foundation.bus.workers import Workers
from gureum.foundation.log import request_id as current_request_id

_log = logging.getLogger(__name__)

_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 5.0
_FIRST_TRY_S = 5.0
_REGISTER_WITHIN_S = 5.0
_COMPLAIN_EVERY_S = 60.0


class AmqpBus:
    """`Bus` over a broker. It starts, and goes on, without one."""

    def __init__(self, url: str) -> None:
        """Connect to `amqp://user:password@host:port/vhost`; wait a few seconds for the first attempt to end."""
        self._url = url
        self._origin = uuid.uuid4().hex
        self._routes = Routes()
        self._workers = Workers("bus")
        self._ids = itertools.count(1)
        self._served: set[Served] = set()
        self._session: AmqpSession | None = None
        self._tried = threading.Event()
        self._closing = threading.Event()
        # Orders changes of what is served with what a new session is told about it.
        self._registering = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="bus-amqp", daemon=True)
        self._thread.start()
        self._tried.wait(_FIRST_TRY_S)

    def call(self, name: str, method: str, payload: bytes, *, timeout_s: float, request_id: str = "") -> bytes:
        """Return the answer of whoever serves `name`; raise as `interface.py` says."""
        session = self._session
        check_size(payload)
        rid = request_id or current_request_id.get()
        call = Call(next(self._ids), name, method, payload, timeout_s, rid)
        waiter = Waiter()
        if session is None or not session.post(lambda: session.send_call(call, waiter.put)):
            raise BusError("the bus is closed" if self._closing.is_set() else "the broker cannot be reached")
        try:
            return result_of(waiter.take(call))
        except CallTimeout:
            session.post(lambda: session.forget_call(call.id))
            raise

    def serve(self, name: str, handler: Handler, *, threads: int = 4) -> Callable[[], None]:
        """Answer calls to `name`; on return the broker knows, if there is one."""
        served = Served(name, LocalTarget(self._workers, handler, threads), threads)
        with self._registering:
            self._served.add(served)
            session = self._session
        self._on_session(session, lambda one: one.start(served))

        def unserve() -> None:
            with self._registering:
                self._served.discard(served)
                session = self._session
            self._on_session(session, lambda one: one.stop(served))

        return unserve

    def publish(self, topic: str, payload: bytes) -> None:
        """Tell every subscriber of `topic`: those here at once, those elsewhere through the broker."""
        if len(payload) > MAX_PAYLOAD_BYTES:
            _log.error("a notice of %s with %d bytes is too large and is lost", topic, len(payload))
            return
        self._routes.notify(Notice(topic, payload))
        session = self._session
        if session is not None:
            session.post(lambda: session.send_notice(topic, payload))

    def subscribe(self, topic: str, subscriber: Subscriber) -> Callable[[], None]:
        """Hand every payload of `topic` to `subscriber`; on return the broker knows, if there is one."""
        listener = LocalListener(self._workers, subscriber)
        with self._registering:
            session = self._session if self._routes.add_listener(topic, listener) else None
        self._on_session(session, lambda one: one.bind(topic))

        def unsubscribe() -> None:
            with self._registering:
                session = self._session if self._routes.remove_listener(topic, listener) else None
            self._on_session(session, lambda one: one.unbind(topic))

        return unsubscribe

    def connected(self) -> bool:
        """Return True while a broker holds this process's registrations."""
        return self._session is not None

    def close(self) -> None:
        """Leave the broker. Calls that wait fail."""
        self._closing.set()
        session = self._session
        if session is not None:
            session.post(lambda: None)
        self._thread.join(5.0)
        self._workers.close()

    def _on_session(self, session: AmqpSession | None, command: Callable[[AmqpSession], None]) -> None:
        """Run a registration on the session's thread and wait for it. A lost session is made good by the next."""
        if session is None:
            return
        waiter = Waiter()

        def run() -> None:
            try:
                command(session)
            finally:
                waiter.put(Failure(0, "error", "done"))

        if session.post(run) and not waiter.wait(_REGISTER_WITHIN_S):
            _log.warning("the broker does not confirm a registration")

    def _run(self) -> None:
        delay = _FIRST_DELAY_S
        complained = 0.0
        while not self._closing.is_set():
            started = time.monotonic()
            session: AmqpSession | None = None
            why = "the bus is closed"
            try:
                session = AmqpSession(self._url, self._routes, self._origin)
                self._register(session)
                _log.info("connected to the broker")
                complained = 0.0
                self._tried.set()
                session.run(self._closing)
            except Exception as error:  # the client library raises many kinds, some of them by accident
                why = f"the broker was lost: {type(error).__name__}: {error}"
                if time.monotonic() - complained > _COMPLAIN_EVERY_S:
                    complained = time.monotonic()
                    _log.warning("no connection to the broker: %s: %s", type(error).__name__, error)
            self._session = None
            if session is not None:
                session.end(why)
            self._tried.set()
            if time.monotonic() - started > _LONGEST_DELAY_S:
                delay = _FIRST_DELAY_S
            self._closing.wait(delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads processes in time, hides nothing
            delay = min(2 * delay, _LONGEST_DELAY_S)

    def _register(self, session: AmqpSession) -> None:
        """Tell a new session what this process serves and wants; from here on, changes are told to it."""
        with self._registering:
            served = list(self._served)
            topics = self._routes.topics()
            for one in served:
                session.start(one)
            for topic in topics:
                session.bind(topic)
            self._session = session
