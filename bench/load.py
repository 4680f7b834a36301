"""The load: a process of its own that sends prepared requests over keep-alive connections and reads the answers.

`python -S -m bench.load` reads one JSON order from its input and writes one JSON report. It encodes nothing and decodes
no body, imports only the standard library, and tells how much processor it used: `client.py` shows that share beside
each rate, so that a reader sees that the client was not what held the server up.
Invariant: one request at a time on a connection; an answer that is no success ends the run with its text.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections.abc import Callable

ROOM = 1 << 18


class LoadError(Exception):
    """The server closed a connection or answered with no success."""


class Connection:
    """One keep-alive connection. `sent_at` is when the request went out that is being answered."""

    __slots__ = ("head", "left", "sent_at", "sock", "status")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.head = b""
        self.left = -1
        self.status = 0
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.head, self.left = b"", -1
        self.sent_at = time.monotonic()
        self.sock.sendall(request)

    def take(self, data: bytes) -> bool:
        """Whether the answer is complete. The head is kept, the body only counted (kept with the head when small)."""
        if self.left < 0:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return False
            self.status = int(self.head[9:12])
            self.left = content_length(self.head[:end]) - (len(self.head) - end - 4)
        else:
            self.left -= len(data)
            if self.status >= 300:
                self.head += data
        return self.left <= 0


def connect(port: int) -> Connection:
    """A connection to a port of this machine."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=120)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Connection(sock)


def content_length(head: bytes) -> int:
    """Of an answer's head, in bytes. Raises LoadError for a body without one: it could not be told from the next."""
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        if b"\r\ntransfer-encoding:" in lower:
            raise LoadError("an answer in chunks cannot be measured")
        return 0
    end = lower.find(b"\r\n", at + 2)
    return int(lower[at + 17 : end if end > 0 else None])


def drive(
    connections: list[Connection], next_request: Callable[[], bytes | None], count: Callable[[float], None]
) -> None:
    """Keep every connection busy until there is no next request and all answers are in."""
    poll = select.epoll()
    by_descriptor = {connection.sock.fileno(): connection for connection in connections}
    busy = 0
    for descriptor, connection in by_descriptor.items():
        if (request := next_request()) is None:
            break
        poll.register(descriptor, select.EPOLLIN)
        connection.send(request)
        busy += 1
    while busy:
        for descriptor, _ in poll.poll():
            connection = by_descriptor[descriptor]
            data = connection.sock.recv(ROOM)
            if not data:
                raise LoadError("the server closed a connection")
            if not connection.take(data):
                continue
            count(time.monotonic() - connection.sent_at)
            if not 200 <= connection.status < 300:
                raise LoadError(connection.head[:1000].decode("latin-1"))
            if (request := next_request()) is None:
                poll.unregister(descriptor)
                busy -= 1
            else:
                connection.send(request)
    poll.close()


def steady(connections: list[Connection], request: bytes, seconds: float) -> list[float]:
    """The same request again and again; how long each answer took, in seconds."""
    times: list[float] = []
    until = time.monotonic() + seconds
    drive(connections, lambda: request if time.monotonic() < until else None, times.append)
    return times


def once(connections: list[Connection], requests: list[bytes]) -> list[float]:
    """Each request once."""
    times: list[float] = []
    left = iter(requests)
    drive(connections, lambda: next(left, None), times.append)
    return times


def carry_out(order: dict[str, object]) -> dict[str, object]:
    """`order`: port, connections, requests (latin-1 text), seconds and warm_s (0: each request once)."""
    requests = [text.encode("latin-1") for text in order["requests"]]  # type: ignore[attr-defined]
    connections = [connect(int(str(order["port"]))) for _ in range(int(str(order["connections"])))]
    seconds, warm_s = float(str(order["seconds"])), float(str(order["warm_s"]))
    warmed = len(steady(connections, requests[0], warm_s)) if warm_s else 0
    cpu, began = time.process_time(), time.monotonic()
    times = steady(connections, requests[0], seconds) if seconds else once(connections, requests)
    ended = time.monotonic()
    times.sort()
    return {
        "count": len(times),
        "warmed": warmed,
        "began": began,
        "elapsed_s": ended - began,
        "p50_s": times[len(times) // 2],
        "p99_s": times[len(times) * 99 // 100],
        "cpu_s": time.process_time() - cpu,
    }


def main() -> int:
    try:
        report = carry_out(json.load(sys.stdin))
    except (LoadError, OSError) as error:
        report = {"error": str(error) or type(error).__name__}
    json.dump(report, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
