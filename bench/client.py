"""HTTP from outside: single calls over the standard library, steady load by wrk, or by threads where wrk is absent."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class BenchError(Exception):
    """The cloud answered with something that no figure can be made of."""


@dataclass(frozen=True)
class Request:
    """One request, sent again and again by `steady`."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests a second, and the median time of one in milliseconds."""

    per_s: float
    p50_ms: float


class Client:
    """One keep-alive connection with default headers. Not for several threads."""

    def __init__(self, port: int, headers: dict[str, str] | None = None) -> None:
        self.port = port
        self.headers = headers or {}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def again(self) -> Client:
        """The same client on a connection of its own."""
        return Client(self.port, self.headers)

    def send(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        headers = {**self.headers, **request.headers}
        self._connection.request(request.method, request.path, request.body or None, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of the answer. Raises BenchError for a status that is no success."""
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        status, _, content = self.send(Request(method, path, headers, data))
        if status >= 300:
            raise BenchError(f"{method} {path}: {status} {content[:300]!r}")
        return json.loads(content) if content else None

    def request(self, method: str, path: str, body: Any = None) -> Request:
        """A request with this client's headers, for `steady`."""
        data = b"" if body is None else json.dumps(body).encode()
        return Request(method, path, {**self.headers, "Content-Type": "application/json"}, data)

    def close(self) -> None:
        self._connection.close()


def spread(client: Client, work: Callable[[Client, int], None], count: int, connections: int = 8) -> None:
    """Do `work(client, i)` for i below count over several connections. The first failure is raised."""
    numbers = iter(range(count))
    lock = threading.Lock()
    failures: list[BaseException] = []

    def run() -> None:
        own = client.again()
        try:
            while not failures:
                with lock:
                    i = next(numbers, None)
                if i is None:
                    return
                work(own, i)
        except BaseException as error:
            failures.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=run) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def steady(port: int, request: Request, *, connections: int = 8, seconds: float = 4.0) -> Rate:
    """Send one request without pause for `seconds`. Raises BenchError when an answer is no success."""
    if shutil.which("wrk"):
        return _by_wrk(port, request, connections, seconds)
    return _by_threads(port, request, connections, seconds)


def _by_wrk(port: int, request: Request, connections: int, seconds: float) -> Rate:
    lines = [f"wrk.method = {_lua(request.method)}", f"wrk.body = {_lua(request.body.decode())}"]
    lines += [f"wrk.headers[ {_lua(name)} ] = {_lua(value)}" for name, value in request.headers.items()]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "request.lua")
        script.write_text("\n".join(lines))
        url = f"http://127.0.0.1:{port}{request.path}"
        argv = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "-s", str(script), url]
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise BenchError(f"{request.method} {request.path}: {said}")
    rate, median = re.search(r"Requests/sec:\s+([\d.]+)", said), re.search(r"50%\s+([\d.]+)(us|ms|s)\b", said)
    if rate is None or median is None:
        raise BenchError(f"wrk said nothing of use: {said}")
    return Rate(float(rate[1]), float(median[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[median[2]])


def _lua(text: str) -> str:
    return "[==[" + text + "]==]" if text else '""'


def _by_threads(port: int, request: Request, connections: int, seconds: float) -> Rate:
    times: list[float] = []
    began = time.perf_counter()

    def one(client: Client, _i: int) -> None:
        while (start := time.perf_counter()) < began + seconds:
            status, _, content = client.send(request)
            if status >= 300:
                raise BenchError(f"{request.method} {request.path}: {status} {content[:300]!r}")
            times.append(time.perf_counter() - start)

    spread(Client(port), one, connections, connections)
    elapsed = time.perf_counter() - began
    return Rate(len(times) / elapsed, sorted(times)[len(times) // 2] * 1000)
