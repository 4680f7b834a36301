"""HTTP from outside: single calls over the standard library, and load by a process of its own (`load.py`)."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CLONE = Path(__file__).resolve().parents[1]
CONNECTIONS = 8
BUSY = 0.8
"""Above this share of a processor the client itself may be what limits a rate; the figure's note says so."""


class BenchError(Exception):
    """The cloud answered with something that no figure can be made of."""


@dataclass(frozen=True)
class Request:
    """One request, encoded once however often it is sent."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def encoded(self, port: int) -> bytes:
        """The bytes on the wire (RFC 9112)."""
        headers = {"Host": f"127.0.0.1:{port}", **self.headers}
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(len(self.body))
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


@dataclass(frozen=True, slots=True)
class Rate:
    """What a load saw: requests a second, times of one in milliseconds, the share of a processor the client took.

    `count` holds the warm-up too, for dividing what the server used meanwhile. `began` is on the monotonic clock.
    """

    per_s: float
    p50_ms: float
    p99_ms: float
    busy: float
    count: int
    began: float = 0.0

    def client_note(self) -> str:
        """A word where the client may have been the limit, else nothing."""
        return f"client used {self.busy:.0%} of a processor: it may be the limit" if self.busy > BUSY else ""


class Client:
    """One keep-alive connection with default headers. Not for several threads."""

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self.port = port
        self.headers = headers or {}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def send(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        try:
            answer = self._sent(request)
        except http.client.RemoteDisconnected:  # it rested too long: a question is asked again on a new connection
            if request.method != "GET":
                raise
            self._connection.close()
            answer = self._sent(request)
        content = answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def _sent(self, request: Request) -> http.client.HTTPResponse:
        headers = {**self.headers, **request.headers}
        self._connection.request(request.method, request.path, request.body or None, headers)
        return self._connection.getresponse()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of the answer. Raises BenchError for a status that is no success."""
        status, _, content = self.send(self.request(method, path, body))
        if status >= 300:
            raise BenchError(f"{method} {path}: {status} {content[:300]!r}")
        return json.loads(content) if content else None

    def request(self, method: str, path: str, body: Any = None) -> Request:
        """A request with this client's headers, for `steady` and `once`."""
        data = b"" if body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if data else {}
        return Request(method, path, {**self.headers, **kind}, data)

    def close(self) -> None:
        self._connection.close()


def steady(
    port: int, request: Request, *, connections: int = CONNECTIONS, seconds: float = 4.0, warm_s: float = 0.3
) -> Rate:
    """Send one request without pause for `seconds`. Raises BenchError when an answer is no success."""
    return _load(port, [request], connections=connections, seconds=seconds, warm_s=warm_s)


def once(port: int, requests: Sequence[Request], *, connections: int = CONNECTIONS) -> Rate:
    """Send each request once. Raises BenchError when an answer is no success."""
    return _load(port, requests, connections=connections, seconds=0.0, warm_s=0.0)


def _load(port: int, requests: Sequence[Request], **order: float) -> Rate:
    texts = [request.encoded(port).decode("latin-1") for request in requests]
    argv = [sys.executable, "-S", "-m", "bench.load"]
    environment = {**os.environ, "PYTHONPATH": str(CLONE)}
    done = subprocess.run(
        argv,
        input=json.dumps({"port": port, "requests": texts, **order}),
        capture_output=True,
        text=True,
        check=False,
        cwd=CLONE,
        env=environment,
    )
    said = json.loads(done.stdout or "{}")
    if "count" not in said:
        what = f"{requests[0].method} {requests[0].path}"
        raise BenchError(f"{what}: {said.get('error') or done.stderr[-1000:]}")
    return Rate(
        per_s=said["count"] / said["elapsed_s"],
        p50_ms=said["p50_s"] * 1000,
        p99_ms=said["p99_s"] * 1000,
        busy=said["cpu_s"] / said["elapsed_s"],
        count=said["count"] + said["warmed"],
        began=said["began"],
    )
