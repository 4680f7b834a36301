"""Fetches a URL as a stream: every hop is checked, resolved, checked again and connected to by its address.

Not a general HTTP client: GET only, no proxies, no cookies, no compression, no credentials but the headers given.
Whoever waits for data can end it within a second (`look`), and who sends too slowly is left.
Read next: `guard.py`, `connection.py`.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

from gureum.drivers.image.errors import ImageStoreError, UrlRefused
from gureum.drivers.image.interface import Look, look_away
from gureum.drivers.image.pace import USUAL_RATE, MinimumRate
from gureum.drivers.image.web.connection import PinnedConnection, Waiting
from gureum.drivers.image.web.guard import Allowed, Resolve, Target, addresses, target_of

MAX_REDIRECTS = 5
_CHUNK_BYTES = 256 << 10
_MOVED = frozenset({301, 302, 303, 307, 308})


class FetchFailed(ImageStoreError):
    """The other side did not give the data."""


@dataclass(frozen=True)
class WebFetcher:
    """`idle_s`: how long the other side may say nothing. `resolve` stands in for the system's resolver in tests."""

    allowed: Allowed
    idle_s: float = 30.0
    resolve: Resolve | None = None
    minimum_rate: MinimumRate = USUAL_RATE

    def check(self, url: str) -> None:
        """Raises UrlRefused for a URL that its text alone forbids; asks no resolver."""
        target_of(url, self.allowed)

    def open(
        self, url: str, headers: Mapping[str, str] | None = None, *, look: Look = look_away, method: str = "GET"
    ) -> WebStream:
        """The data behind a URL. Raises UrlRefused, FetchFailed, TooSlow."""
        sent = dict(headers or {})
        for _hop in range(MAX_REDIRECTS + 1):
            target = target_of(url, self.allowed)
            connection, answer = self._ask(method, target, sent, look)
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
        self, method: str, target: Target, headers: Mapping[str, str], look: Look
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        waiting = Waiting(self.idle_s, self.minimum_rate, look)
        connection = PinnedConnection(target, addresses(target, self.allowed, self.resolve), waiting)
        try:
            connection.request(method, target.path, headers={"Accept-Encoding": "identity", **headers})
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise FetchFailed(f"the server at {target.host[:64]} does not answer: {error}") from error
        except BaseException:
            connection.close()
            raise


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
        """What came, at most a chunk. Raises FetchFailed when the data ends before its promised length, TooSlow."""
        try:
            chunk = self._answer.read1(_CHUNK_BYTES)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise FetchFailed(f"the data stopped coming: {error}") from error
        except BaseException:
            self.close()
            raise
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


__all__ = ["FetchFailed", "UrlRefused", "WebFetcher", "WebStream"]
