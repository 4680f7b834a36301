"""The bus of one machine: a hub at a socket path, which the control plane runs, and the peers of other processes.

Every call of a peer goes through the hub, which knows who serves what; nothing is kept when a process dies.
Invariants: the lock beside the socket says which process is the hub, so a stale socket file misleads nobody; only the
socket's owner may connect (mode 0600); when a connection breaks, what waits on it fails at once, and the peer connects
and registers again by itself. When the hub is gone, a peer that may lead becomes the hub, with what it has registered
itself; which of several is the lock's choice. Next: `unix_link.py`, `socket_loop.py`.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from gureum.foundation.bus.envelope import (
    MAX_PAYLOAD_BYTES,
    Answer,
    Call,
    Notice,
    Outcome,
    Register,
    Unregister,
    check_size,
    encode,
    result_of,
)
from gureum.foundation.bus.in_process import InProcessBus
from gureum.foundation.bus.interface import BusError, Handler, Subscriber
from gureum.foundation.bus.routes import LocalListener, LocalTarget, Routes, Waiter
from gureum.foundation.bus.socket_loop import Connection, SocketLoop
from gureum.foundation.bus.unix_link import REGISTER_WITHIN_S, Link, short_address
from gureum.foundation.bus.workers import Workers
from gureum.foundation.log import request_id as current_request_id

_log = logging.getLogger(__name__)

_FIRST_DELAY_S = 0.05
_LONGEST_DELAY_S = 0.5


class HubTaken(BusError):
    """Another living process is the hub of this socket."""


class _HubLink(Link):
    """The hub's end: it keeps what its peer has registered, to take it back with the connection."""

    def __init__(self, connection: Connection, routes: Routes) -> None:
        super().__init__(connection, routes)
        self._names: set[str] = set()
        self._topics: set[str] = set()

    def registered(self, frame: Register | Unregister) -> None:
        if isinstance(frame, Register):
            for name in frame.names:
                self._routes.add_target(name, self)
            for topic in frame.topics:
                self._routes.add_listener(topic, self)
            self._names.update(frame.names)
            self._topics.update(frame.topics)
        else:
            self._forget(frame.names, frame.topics)
        self._connection.send(encode(Answer(frame.id, b"")))

    def lost(self) -> None:
        self._forget(tuple(self._names), tuple(self._topics))
        super().lost()

    def _forget(self, names: tuple[str, ...], topics: tuple[str, ...]) -> None:
        for name in names:
            self._routes.remove_target(name, self)
        for topic in topics:
            self._routes.remove_listener(topic, self)
        self._names.difference_update(names)
        self._topics.difference_update(topics)


class UnixHub(InProcessBus):
    """`Bus` of the process that all others connect to: the in-process bus, with peers in its tables."""

    def __init__(self, path: Path) -> None:
        """Own the socket from now on. Raise `HubTaken` when another process does, `OSError` when it cannot be made."""
        super().__init__()
        self._path = path
        self._lock_fd = _take_lock(path)
        self._loop = SocketLoop()
        try:
            self._loop.listen(_bind(path), self._accepted)
        except OSError:
            os.close(self._lock_fd)
            raise
        self._thread = threading.Thread(target=self._loop.run, name="bus-hub", daemon=True)
        self._thread.start()

    def connected(self) -> bool:
        """Return True while the hub's thread runs."""
        return super().connected() and self._thread.is_alive()

    def close(self) -> None:
        """Drop every peer and give the socket up; the peers look for the next hub."""
        if self._closed:
            return
        super().close()
        self._loop.stop()
        self._thread.join(5.0)
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._lock_fd)

    def _accepted(self, connection: Connection) -> None:
        connection.receiver = _HubLink(connection, self._routes)


def _take_lock(path: Path) -> int:
    """Return the locked file beside the socket. The kernel frees the lock however the process ends."""
    fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise HubTaken(f"another process is the hub at {path}") from None
    return fd


def _bind(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_address(path) as address:
            listener.bind(address)
        # Nobody can connect before listen, so the mode is right from the first moment on.
        path.chmod(0o600)
        listener.listen(256)
    except OSError:
        listener.close()
        raise
    return listener


class _PeerLink(Link):
    """The peer's end."""

    def __init__(self, connection: Connection, routes: Routes, on_lost: Callable[[], None]) -> None:
        super().__init__(connection, routes)
        self._on_lost = on_lost

    def lost(self) -> None:
        self._on_lost()
        super().lost()


class UnixPeer:
    """`Bus` of a process that is not the hub. It starts, and goes on, without a hub: calls fail until there is one.

    One that `leads` becomes the hub itself when no living process is, and stays it.
    """

    def __init__(self, path: Path, *, leads: bool = False) -> None:
        self._path = path
        self._leads = leads
        self._hub: SocketLoop | None = None
        self._routes = Routes()
        self._workers = Workers("bus")
        self._ids = itertools.count(1)
        self._link: _PeerLink | None = None
        self._ready = False
        self._tried = threading.Event()
        self._closing = threading.Event()
        # Orders changes of the tables with what the hub is told about them.
        self._registering = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="bus-peer", daemon=True)
        self._thread.start()
        self._tried.wait(REGISTER_WITHIN_S)

    def call(self, name: str, method: str, payload: bytes, *, timeout_s: float, request_id: str = "") -> bytes:
        """Return the answer of whoever serves `name`; raise as `interface.py` says."""
        link, leading = self._link, self._hub is not None
        if self._closing.is_set() or (link is None and not leading):
            raise BusError("the bus is closed" if self._closing.is_set() else f"no hub answers at {self._path}")
        check_size(payload)
        rid = request_id or current_request_id.get()
        call = Call(next(self._ids), name, method, payload, timeout_s, rid)
        waiter = Waiter()
        if link is None:
            self._routes.route(call, waiter.put)
        else:
            link.deliver(call, waiter.put)
        return result_of(waiter.take(call))

    def serve(self, name: str, handler: Handler, *, threads: int = 4) -> Callable[[], None]:
        """Answer calls to `name`; on return the hub knows, if there is one."""
        target = LocalTarget(self._workers, handler, threads)
        with self._registering:
            first = self._routes.add_target(name, target)
            confirmed = self._tell_hub("register", names=(name,)) if first else None
        _await_hub(confirmed, name)

        def unserve() -> None:
            with self._registering:
                last = self._routes.remove_target(name, target)
                confirmed = self._tell_hub("unregister", names=(name,)) if last else None
            _await_hub(confirmed, name)

        return unserve

    def publish(self, topic: str, payload: bytes) -> None:
        """Tell every subscriber of `topic`: those here at once, those elsewhere through the hub."""
        if len(payload) > MAX_PAYLOAD_BYTES:
            _log.error("a notice of %s with %d bytes is too large and is lost", topic, len(payload))
            return
        notice = Notice(topic, payload)
        self._routes.notify(notice)
        link = self._link
        if link is not None:
            link.notify(notice)

    def subscribe(self, topic: str, subscriber: Subscriber) -> Callable[[], None]:
        """Hand every payload of `topic` to `subscriber`; on return the hub knows, if there is one."""
        listener = LocalListener(self._workers, subscriber)
        with self._registering:
            first = self._routes.add_listener(topic, listener)
            confirmed = self._tell_hub("register", topics=(topic,)) if first else None
        _await_hub(confirmed, topic)

        def unsubscribe() -> None:
            with self._registering:
                last = self._routes.remove_listener(topic, listener)
                confirmed = self._tell_hub("unregister", topics=(topic,)) if last else None
            _await_hub(confirmed, topic)

        return unsubscribe

    def connected(self) -> bool:
        """Return True while a hub holds this peer's registrations, or it is the hub."""
        return self._ready or self._hub is not None

    def close(self) -> None:
        """Leave the hub. Calls that wait fail."""
        self._closing.set()
        link, hub = self._link, self._hub
        if link is not None:
            link.abandon()
        if hub is not None:
            hub.stop()
        self._thread.join(5.0)
        self._workers.close()

    def _run(self) -> None:
        delay = _FIRST_DELAY_S
        while not self._closing.is_set():
            started = time.monotonic()
            loop = self._connect()
            if loop is not None:
                loop.run()
                if not self._closing.is_set():
                    _log.warning("the connection to the hub at %s is lost", self._path)
            elif self._leads and not self._closing.is_set():
                self._lead()
            self._tried.set()
            if time.monotonic() - started > 1.0:
                delay = _FIRST_DELAY_S
            self._closing.wait(delay * random.uniform(0.5, 1.0))  # noqa: S311 - spreads peers in time, hides nothing
            delay = min(2 * delay, _LONGEST_DELAY_S)

    def _connect(self) -> SocketLoop | None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with short_address(self._path) as address:
                sock.connect(address)
        except OSError:
            sock.close()
            return None
        loop = SocketLoop()
        connection = loop.add(sock)
        link = _PeerLink(connection, self._routes, self._lost)
        connection.receiver = link
        with self._registering:
            self._link = link
            link.register(self._routes.names(), self._routes.topics(), self._registered)
        if self._closing.is_set():
            link.abandon()
        return loop

    def _lead(self) -> None:
        """Be the hub until closed, if no other process is. Peers are entered in the table of this one's own."""
        try:
            lock_fd = _take_lock(self._path)
        except HubTaken:
            return
        try:
            loop = SocketLoop()
            loop.listen(_bind(self._path), self._accepted)
            self._hub = loop
            if self._closing.is_set():
                loop.stop()
            _log.info("this process is the hub at %s now", self._path)
            self._tried.set()
            loop.run()
            self._path.unlink(missing_ok=True)
        except OSError:
            _log.exception("this process cannot be the hub at %s", self._path)
        finally:
            self._hub = None
            os.close(lock_fd)

    def _accepted(self, connection: Connection) -> None:
        connection.receiver = _HubLink(connection, self._routes)

    def _registered(self, outcome: Outcome) -> None:
        if isinstance(outcome, Answer):
            self._ready = True
            self._tried.set()

    def _lost(self) -> None:
        self._ready = False
        self._link = None

    def _tell_hub(
        self, what: Literal["register", "unregister"], *, names: tuple[str, ...] = (), topics: tuple[str, ...] = ()
    ) -> Waiter | None:
        """Return what the hub's confirmation comes to. Under the lock, so that the hub hears changes in their order."""
        link = self._link
        if link is None:
            return None
        waiter = Waiter()
        if what == "register":
            link.register(names, topics, waiter.put)
        else:
            link.unregister(names, topics, waiter.put)
        return waiter


def _await_hub(confirmed: Waiter | None, what: str) -> None:
    """Wait until the hub knows. A lost connection is no error here: the next one registers everything."""
    if confirmed is not None and not confirmed.wait(REGISTER_WITHIN_S):
        _log.warning("the hub does not confirm a change of %s", what)
