"""Frames over connected sockets: one thread reads many of them, and no writer ever waits for a slow reader.

A frame is its length in four bytes, most significant first, and its body (`envelope.py`). Invariant: `send` returns at
once. It writes from the calling thread while the kernel takes the bytes and leaves the rest to the loop, up to a bound;
beyond that it says False and sends nothing. Only the loop closes sockets, so that no thread writes to a number that
has passed to another file. Linux only (epoll, eventfd). Next: `unix_socket.py`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from gureum.foundation.bus.envelope import MAX_FRAME_BYTES

_log = logging.getLogger(__name__)

_LENGTH = struct.Struct(">I")
_READ_BYTES = 256 << 10
_BACKLOG_BYTES = 4 * MAX_FRAME_BYTES
_ACCEPT_PAUSE_S = 0.2
"""Out of file descriptors, the listener stays ready: without a pause the loop would spin and flood the log."""


class FrameError(Exception):
    """The other end does not speak this protocol; its connection is to be closed."""


class FrameReader:
    """Cut a stream of bytes into frame bodies."""

    def __init__(self) -> None:
        self._partial = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the bodies that this chunk completes; raise `FrameError` for one that is too long."""
        data: bytes | bytearray = chunk
        if self._partial:
            self._partial += chunk
            data = self._partial
        bodies: list[bytes] = []
        start, end = 0, len(data)
        while end - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data, start)
            if length > MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {length} bytes")
            if end - start - _LENGTH.size < length:
                break
            start += _LENGTH.size
            with memoryview(data) as view:
                bodies.append(bytes(view[start : start + length]))
            start += length
        if data is self._partial:
            del self._partial[:start]
        else:
            self._partial += chunk[start:]
        return bodies


class Receiver(Protocol):
    """What a connection reports to; all calls come from the loop's thread."""

    def received(self, body: bytes) -> None:
        """Take one frame's body; raise `FrameError` to have the connection closed."""
        ...

    def lost(self) -> None: ...


class Connection:
    """One socket of a loop."""

    def __init__(self, loop: SocketLoop, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.receiver: Receiver | None = None
        self._loop = loop
        self._reader = FrameReader()
        self._lock = threading.Lock()
        self._backlog: deque[memoryview] = deque()
        self._backlog_bytes = 0
        self._open = True

    def send(self, body: bytes) -> bool:
        """Send or queue a frame. False: the connection is closed, or its reader is too far behind."""
        data = _LENGTH.pack(len(body)) + body
        with self._lock:
            if not self._open or self._backlog_bytes + len(data) > _BACKLOG_BYTES:
                return False
            sent = 0
            if not self._backlog:
                try:
                    sent = self.sock.send(data)
                except BlockingIOError:
                    pass
                except OSError:
                    self._abandon()
                    return False
            if sent < len(data):
                self._backlog.append(memoryview(data)[sent:])
                self._backlog_bytes += len(data) - sent
                self._loop.watch(self, writable=True)
            return True

    def abandon(self) -> None:
        """Break the connection from any thread; the loop notices and closes it."""
        with self._lock:
            if self._open:
                self._abandon()

    def _abandon(self) -> None:
        self._open = False
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def handle(self, events: int) -> bool:
        """Do what epoll says is possible. False: the connection is over. Loop thread only."""
        try:
            if events & select.EPOLLOUT:
                self._flush()
            if events & ~select.EPOLLOUT:
                return self._read()
        except BlockingIOError:
            return True
        except OSError:
            return False
        except FrameError as error:
            _log.warning("a bus connection is closed: %s", error)
            return False
        return True

    def _read(self) -> bool:
        chunk = self.sock.recv(_READ_BYTES)
        if not chunk:
            return False
        receiver = self.receiver
        for body in self._reader.feed(chunk):
            if receiver is not None:
                receiver.received(body)
        return True

    def _flush(self) -> None:
        with self._lock:
            while self._backlog:
                part = self._backlog[0]
                sent = self.sock.send(part)
                self._backlog_bytes -= sent
                if sent < len(part):
                    self._backlog[0] = part[sent:]
                    return
                self._backlog.popleft()
            self._loop.watch(self, writable=False)

    def close(self) -> None:
        """Close the socket. Loop thread only, after the loop has forgotten it."""
        with self._lock:
            self._open = False
            self._backlog.clear()
            self.sock.close()
        if self.receiver is not None:
            self.receiver.lost()


class SocketLoop:
    """An epoll set and the calling thread of `run`."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        self._listener: socket.socket | None = None
        self._on_accept: Callable[[Connection], None] | None = None
        self._stopping = False
        self._wake_lock = threading.Lock()

    def listen(self, listener: socket.socket, on_accept: Callable[[Connection], None]) -> None:
        """Accept connections and hand each to `on_accept`, which sets its receiver."""
        listener.setblocking(False)
        self._listener = listener
        self._on_accept = on_accept
        self._epoll.register(listener.fileno(), select.EPOLLIN)

    def add(self, sock: socket.socket) -> Connection:
        """Take a connected socket. Its receiver must be set before `run` or within `on_accept`."""
        connection = Connection(self, sock)
        self._connections[sock.fileno()] = connection
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        return connection

    def watch(self, connection: Connection, *, writable: bool) -> None:
        """Ask to be told when the socket takes more bytes. Called under the connection's lock, while it is open."""
        events = select.EPOLLIN | select.EPOLLOUT if writable else select.EPOLLIN
        self._epoll.modify(connection.sock.fileno(), events)

    def run(self) -> None:
        """Serve until `stop`, or, without a listener, until the last connection is lost; close everything."""
        try:
            while not self._stopping and (self._listener is not None or self._connections):
                for fd, events in self._epoll.poll():
                    self._handle(fd, events)
        finally:
            for fd in list(self._connections):
                self._drop(fd)
            if self._listener is not None:
                self._listener.close()
            self._epoll.close()
            with self._wake_lock:
                self._stopping = True
                os.close(self._wake)
                self._wake = -1

    def stop(self) -> None:
        """End `run` soon, from any thread."""
        with self._wake_lock:
            self._stopping = True
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    def _handle(self, fd: int, events: int) -> None:
        connection = self._connections.get(fd)
        if connection is not None:
            try:
                alive = connection.handle(events)
            except Exception:
                _log.exception("a bus connection failed")
                alive = False
            if not alive:
                self._drop(fd)
        elif self._listener is not None and fd == self._listener.fileno():
            self._accept(self._listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError:
            _log.exception("the bus cannot accept a connection")
            time.sleep(_ACCEPT_PAUSE_S)
            return
        if self._on_accept is not None:
            self._on_accept(self.add(sock))

    def _drop(self, fd: int) -> None:
        connection = self._connections.pop(fd)
        with contextlib.suppress(OSError):
            self._epoll.unregister(fd)
        connection.close()
