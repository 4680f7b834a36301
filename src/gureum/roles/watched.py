"""/healthz and /metrics of a process that answers no other requests: a small listener on a thread of its own.

It serves whoever watches, on loopback or in the operators' network; it is no part of the API and knows no caller.
Invariant: what is watched cannot be held up by it, and a part that hangs is told as broken after `ANSWER_S`, with one
thread in it however often somebody asks. Read next: `health.py` for the processes that have an API.
"""

from __future__ import annotations

import errno
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gureum.foundation.config import ConfigError, WorkerConfig
from gureum.foundation.connections import AT_WORK, SILENT, Connections, Limit
from gureum.roles.health import METRICS_TYPE

_log = logging.getLogger("gureum.roles.watched")

ANSWER_S = 3.0
MOST_WATCHERS = 32
_CLIENT_S = 10.0
_LAST_PORT = 65535


class Health:
    """What must work for the process to be of use, by name."""

    def __init__(self, parts: Mapping[str, Callable[[], bool]], answer_s: float = ANSWER_S) -> None:
        self._checks = {name: _Check(name, works) for name, works in parts.items()}
        self._answer_s = answer_s

    def broken(self) -> list[str]:
        """The names of what does not work, or does not say so in time."""
        for check in self._checks.values():
            check.begin()
        return [name for name, check in self._checks.items() if not check.works_within(self._answer_s)]


class _Check:
    """One question at a time: those who come while it is asked share its answer."""

    def __init__(self, name: str, works: Callable[[], bool]) -> None:
        self._name, self._works = name, works
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._ended.set()
        self._answer = False

    def begin(self) -> None:
        with self._lock:
            if not self._ended.is_set():
                return
            self._ended.clear()
        threading.Thread(target=self._ask, name=f"health-{self._name}", daemon=True).start()

    def works_within(self, seconds: float) -> bool:
        return self._ended.wait(seconds) and self._answer

    def _ask(self) -> None:
        answer = False
        try:
            answer = self._works()
        except Exception:
            _log.exception("%s does not work", self._name)
        finally:
            self._answer = answer
            self._ended.set()


class Listener(ThreadingHTTPServer):
    """Answers until it is closed; `port` is the one that it got."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, place: tuple[str, int], health: Health, measure: Callable[[], bytes]) -> None:
        """Raises OSError when somebody else listens there."""
        self.address_family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        self._lock = threading.Lock()
        self._open: Connections[object] = Connections([Limit(MOST_WATCHERS)], self._rank)
        self._at_work: set[object] = set()
        super().__init__(place, _Handler)
        self.health, self.measure = health, measure
        self._thread = threading.Thread(target=self.serve_forever, name="watched", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def server_bind(self) -> None:
        """Without asking who the machine is, which may take a name server's time."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:
        """On a thread of its own; of too many, the oldest that has not asked yet makes room."""
        with self._lock:
            admitted = self._open.admit(request, (), _cut)
        if admitted:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.remove(request)
            self._at_work.discard(request)
        super().shutdown_request(request)

    def asks(self, request: object) -> None:
        """Its request is here."""
        with self._lock:
            self._at_work.add(request)

    def _rank(self, request: object) -> int:
        return AT_WORK if request in self._at_work else SILENT

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the class's own names
        """A watcher that went away is nothing to tell."""
        _log.debug("a watcher was not answered", exc_info=True)


def _cut(request: Any) -> None:
    """Its thread wakes up and ends."""
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    timeout = _CLIENT_S

    def do_GET(self) -> None:
        self.server.asks(self.connection)
        path = self.path.partition("?")[0]
        if path == "/healthz":
            broken = self.server.health.broken()
            said = {"status": "broken", "broken": broken} if broken else {"status": "ok"}
            self._answer(503 if broken else 200, json.dumps(said).encode(), "application/json")
        elif path == "/metrics":
            self._answer(200, self.server.measure(), METRICS_TYPE)
        else:
            self._answer(404, b"There are /healthz and /metrics.\n", "text/plain; charset=utf-8")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def version_string(self) -> str:
        return "gureum"

    def log_message(self, *_words: object) -> None:
        """Being watched is not told."""


@contextmanager
def watched(section: WorkerConfig, health: Health, measure: Callable[[], bytes]) -> Iterator[Listener | None]:
    """Answer for the length of the block, where a port is named. Raises ConfigError when every one is taken."""
    if not section.port:
        yield None
        return
    listener = _first_free(section, health, measure)
    _log.info("health and counts are told on %s port %d", section.listen, listener.port)
    try:
        yield listener
    finally:
        listener.close()


def _first_free(section: WorkerConfig, health: Health, measure: Callable[[], bytes]) -> Listener:
    last = min(section.port + section.ports - 1, _LAST_PORT)
    for port in range(section.port, last + 1):
        try:
            return Listener((section.listen, port), health, measure)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(f"[worker] listen: {section.listen} port {port}: {error.strerror}") from error
    raise ConfigError(f"[worker] port: those from {section.port} to {last} are in use")
