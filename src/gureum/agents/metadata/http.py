"""Just enough HTTP/1.1 for metadata: one request on one connection, small, in bounded time.

It is no general server: it knows GET, HEAD and POST with a Content-Length, and closes after each answer. Headers
are read for the length of a body alone, so nothing in them can say who asks (CVE-2013-6419).
Source: RFC 9112.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote

HEAD_LIMIT_BYTES = 16 << 10
BODY_LIMIT_BYTES = 64 << 10
REQUEST_TIMEOUT_S = 10.0

_LINGER_S = 1.0


class BadRequest(Exception):
    """The request is refused before it is read to its end."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is decoded and without its query."""

    method: str
    path: str
    body: bytes = b""


def read_request(connection: socket.socket, timeout_s: float = REQUEST_TIMEOUT_S) -> Request | None:
    """The connection's request; None when the peer left without one. Raises BadRequest, OSError."""
    deadline = time.monotonic() + timeout_s
    received = bytearray()
    while (end := received.find(b"\r\n\r\n")) < 0:
        if len(received) > HEAD_LIMIT_BYTES:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        piece = _receive(connection, deadline)
        if not piece:
            return None
        received += piece
    method, path, length = _parse(bytes(received[:end]))
    begin = end + 4
    while len(received) < begin + length:
        piece = _receive(connection, deadline)
        if not piece:
            return None
        received += piece
    return Request(method, path, bytes(received[begin : begin + length]))


def answer_bytes(status: HTTPStatus, body: bytes = b"", content_type: str = "", *, head: bool = False) -> bytes:
    """A whole answer that ends the connection."""
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Length: {len(body)}", "Connection: close"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if head else body)


def hang_up(connection: socket.socket) -> None:
    """End our side, then let the peer read: closing on unread bytes would reset the answer away. Raises OSError."""
    connection.shutdown(socket.SHUT_WR)
    deadline = time.monotonic() + _LINGER_S
    while (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            if not connection.recv(HEAD_LIMIT_BYTES):
                return
        except TimeoutError:
            return


def _receive(connection: socket.socket, deadline: float) -> bytes:
    left = deadline - time.monotonic()
    if left <= 0:
        raise BadRequest(HTTPStatus.REQUEST_TIMEOUT)
    connection.settimeout(left)
    try:
        return connection.recv(HEAD_LIMIT_BYTES)
    except TimeoutError as error:
        raise BadRequest(HTTPStatus.REQUEST_TIMEOUT) from error


def _parse(head: bytes) -> tuple[str, str, int]:
    first, *fields = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    method, target, _version = words
    path = target
    if target.startswith("http://"):
        path = "/" + target[len("http://") :].partition("/")[2]
    path = unquote(path.partition("?")[0])
    length = 0
    for field in fields:
        name, _, value = field.partition(":")
        lowered = name.strip().lower()
        if lowered == "transfer-encoding":
            raise BadRequest(HTTPStatus.LENGTH_REQUIRED)
        if lowered == "content-length":
            length = _length(value.strip())
    return method, path, length


def _length(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(HTTPStatus.BAD_REQUEST)
    if len(text) > 9 or int(text) > BODY_LIMIT_BYTES:
        raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return int(text)
