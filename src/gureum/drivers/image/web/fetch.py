"""Fetches a URL as a stream: every hop is checked, resolved, checked again and connected to by its address.

Not a general HTTP client: GET only, no proxies, no cookies, no compression, no credentials but the headers given.
Read next: `guard.py`.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

from gureum.drivers.image.errors import ImageStoreError, UrlRefused
from gureum.drivers.image.web.guard import Allowed, Resolve, Target, addresses, target_of

MAX_REDIRECTS = 5
_CHUNK_BYTES = 1 << 20
_CONNECT_S = 10.0
_MOVED = frozenset({301, 302, 303, 307, 308})


class FetchFailed(ImageStoreError):
    """The other side did not give the data."""


@dataclass(frozen=True)
class WebFetcher:
    """`idle_s`: how long the other side may say nothing. `resolve` stands in for the system's resolver in tests."""

    allowed: Allowed
    idle_s: float = 30.0
    resolve: Resolve | None = None

    def check(self, url: str) -> None:
        """Raises UrlRefused for a URL that its text alone forbids; asks no resolver."""
        target_of(url, self.allowed)

    def open(self, url: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> WebStream:
        """The data behind a URL. Raises UrlRefused, FetchFailed."""
        sent = dict(headers or {})
        for _hop in range(MAX_REDIRECTS + 1):
            target = target_of(url, self.allowed)
            connection, answer = self._ask(method, target, sent)
            if answer.status not in _MOVED:
                return _stream(connection, answer, head=method == "HEAD")
            place = answer.headers.get("location", "")
            connection.close()
            if not place:
                raise FetchFailed("the server redirects to nowhere")
            following = urljoin(url, place)
            if _origin(target_of(following, self.allowed)) != _origin(target):
                sent.pop("X-Auth-Token", None)
            url = following
        raise FetchFailed(f"more than {MAX_REDIRECTS} redirects")

    def size(self, url: str) -> int | None:
        """What the server says of the data's size, without the data. Raises UrlRefused, FetchFailed."""
        for method in ("HEAD", "GET"):
            try:
                stream = self.open(url, method=method)
            except FetchFailed:
                if method == "GET":
                    raise
                continue
            stream.close()
            if stream.size is not None:
                return stream.size
        return None

    def _ask(
        self, method: str, target: Target, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = _Pinned(target, addresses(target, self.allowed, self.resolve), self.idle_s)
        try:
            connection.request(method, target.path, headers={"Accept-Encoding": "identity", **headers})
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise FetchFailed(f"the server at {target.host[:64]} does not answer: {error}") from error


def _origin(target: Target) -> tuple[str, str, int]:
    return (target.scheme, target.host, target.port)


def _stream(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, *, head: bool) -> WebStream:
    if answer.status not in (200, 206):
        connection.close()
        raise FetchFailed(f"the server answers {answer.status}")
    size = answer.length
    if head:
        told = answer.headers.get("content-length", "")
        size = int(told) if told.isascii() and told.isdigit() else None
    return WebStream(connection, answer, size)


class WebStream:
    """Chunks of the data. `size` is what the server promised, None without a promise. Closed by its end or `close`."""

    def __init__(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, size: int | None
    ) -> None:
        self._connection = connection
        self._answer = answer
        self.partial = answer.status == 206
        self.size = size
        self._left = size

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """Raises FetchFailed when the data ends before its promised length."""
        try:
            chunk = self._answer.read(_CHUNK_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise FetchFailed(f"the data stopped coming: {error}") from error
        if chunk:
            if self._left is not None:
                self._left -= len(chunk)
            return chunk
        self.close()
        if self._left:
            raise FetchFailed("the data ended before its length")
        raise StopIteration

    def close(self) -> None:
        self._answer.close()
        self._connection.close()


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was checked; the name serves the Host header and the certificate."""

    def __init__(self, target: Target, checked: list[str], idle_s: float) -> None:
        super().__init__(target.host, target.port, timeout=idle_s)
        if target.scheme == "https":
            self.default_port = 443
        self._target = target
        self._checked = checked

    def connect(self) -> None:
        self.sock = self._reach()
        self.sock.settimeout(self.timeout)
        if self._target.scheme == "https":
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self._target.host)

    def _reach(self) -> socket.socket:
        problem: OSError = OSError("no address")
        for address in self._checked:
            try:
                return socket.create_connection((address, self._target.port), timeout=_CONNECT_S)
            except OSError as error:
                problem = error
        raise problem


__all__ = ["FetchFailed", "UrlRefused", "WebFetcher", "WebStream"]
