"""An ASGI application on a real socket of the loopback, its event loop on a thread of the test's process."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

from gureum.foundation.http.edge import ConnectionLimits
from gureum.foundation.http.serve import Server


class RunningServer:
    """`address` is where it listens, `edge` what its connections share."""

    def __init__(self, app, limits: ConnectionLimits) -> None:
        ready = threading.Event()
        self.server = Server(app, "127.0.0.1", 0, ready.set, limits)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        assert ready.wait(10)
        self.address = self.server.servers[0].sockets[0].getsockname()
        self.edge = self.server.config.http_protocol_class.edge

    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def loop_s(self) -> float:
        """Processor time that the event loop's thread has taken so far."""
        return time.clock_gettime(time.pthread_getcpuclockid(self.thread.ident))

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(15)

    def connect(self, source: str = "127.0.0.1", *, receive_bytes: int = 0) -> socket.socket:
        connection = socket.socket()
        connection.settimeout(10)
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.bind((source, 0))
        connection.connect(self.address)
        return connection

    def exchange(self, *pieces: bytes) -> bytes:
        """What comes after these pieces until the server ends the connection."""
        with self.connect() as connection:
            for piece in pieces:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(piece)
            return rest_of(connection)


def rest_of(connection: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    text = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(1 << 16):
            text += piece
    return text


def statuses(text: bytes) -> list[int]:
    """The statuses of all answers in the text."""
    return [int(part[:3]) for part in text.split(b"HTTP/1.1 ")[1:]]


def closing(head: bytes) -> bytes:
    """The head with a wish to close the connection after the answer."""
    return head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


@contextlib.contextmanager
def served(app, limits: ConnectionLimits | None = None) -> Iterator[RunningServer]:
    server = RunningServer(app, limits or ConnectionLimits())
    try:
        yield server
    finally:
        server.stop()
