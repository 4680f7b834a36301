"""Bytes of an image from a file or a URL to a new file, hashed on the way. It trusts no length but the one it counts.

Holes stay holes: a piece of zeros is skipped, not written.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from gureum.foundation.fleet.failure import AgentFailure

if TYPE_CHECKING:
    from hashlib import _Hash

_PIECE = 1 << 20
_CONNECT_TIMEOUT_S = 30.0


class CheckFailed(Exception):
    """The image is not what was promised. The text is for operators."""


class Readable(Protocol):
    """What bytes come from: a file, an answer, a child's pipe. None at the end."""

    def read(self, most: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Sink:
    """Where the bytes go: a new file, a hash, and a question between pieces that raises to stop."""

    path: Path
    digest: _Hash
    cancelled: Callable[[], None]

    def take(self, stream: Readable, limit_bytes: int = 0) -> int:
        """Write all of `stream`; its size. Raises CheckFailed beyond `limit_bytes` (0: no limit), OSError."""
        size = 0
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            while piece := stream.read(_PIECE):
                self.cancelled()
                size += len(piece)
                if limit_bytes and size > limit_bytes:
                    raise CheckFailed(f"it has more than {limit_bytes} bytes")
                self.digest.update(piece)
                if piece.count(0) == len(piece):
                    target.seek(size)
                else:
                    target.write(piece)
            target.truncate(size)
        return size


def hash_file(path: Path, digest: _Hash, cancelled: Callable[[], None]) -> int:
    """Feed the file's bytes to `digest`; their number."""
    size = 0
    with path.open("rb", buffering=0) as stream:
        while piece := stream.read(_PIECE):
            cancelled()
            digest.update(piece)
            size += len(piece)
    return size


def copy_file(source: Path, sink: Sink) -> int:
    """Copy a file; its size."""
    with source.open("rb", buffering=0) as stream:
        return sink.take(stream)


def download(url: str, sink: Sink, *, limit_bytes: int) -> int:
    """GET the URL; the body's size. Raises AgentFailure when the other end does not answer with it."""
    # Only a host that fetches over HTTP pays the memory of the HTTP client.
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import HTTPHandler, HTTPSHandler, build_opener

    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"}:
        raise AgentFailure(f"image URL of scheme {parts.scheme!r}", retry=False)
    where = f"{parts.scheme}://{parts.netloc}{parts.path}"
    opener = build_opener(HTTPHandler, HTTPSHandler)
    try:
        with opener.open(url, timeout=_CONNECT_TIMEOUT_S) as answer:
            return sink.take(answer, limit_bytes)
    except HTTPError as error:
        gone = error.code in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
        raise AgentFailure(f"GET {where}: {error.code}", retry=not gone) from error
    except (HTTPException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ConnectionError):
            raise
        raise AgentFailure(f"GET {where}: {error}") from error
