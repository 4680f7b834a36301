"""An image store of outside locations: its blobs are URLs that others keep. Read only, and never deleted from.

Invariant: a location is a URL that the guard lets pass, each time that it is read.
Read next: `fetch.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from gureum.drivers.image.errors import BlobNotFound, ImageStoreError, UrlRefused
from gureum.drivers.image.interface import ImageWriter
from gureum.drivers.image.web.fetch import FetchFailed, WebFetcher, WebStream


class WebImageStore:
    """See ImageStore; `create` is refused."""

    name = "web"

    def __init__(self, fetcher: WebFetcher) -> None:
        self._fetcher = fetcher

    def create(self, image_id: str) -> ImageWriter:
        """Nothing is written to other people's places."""
        return _refuse(image_id)

    def open(self, location: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """See ImageStore.open. A server that does not know ranges is read from the start."""
        if offset < 0 or (length is not None and length < 0):
            raise ValueError("offset and length cannot be negative")
        wanted = {"Range": f"bytes={offset}-"} if offset else {}
        stream = self._stream(location, wanted)
        return _Piece(stream, 0 if stream.partial else offset, length)

    def size(self, location: str) -> int:
        """See ImageStore.size. Raises ImageStoreError where the server does not tell."""
        try:
            size = self._fetcher.size(location)
        except (UrlRefused, FetchFailed) as error:
            raise BlobNotFound(location) from error
        if size is None:
            raise ImageStoreError("the server does not tell the size")
        return size

    def delete(self, location: str) -> None:
        """The data is not ours: forgetting the location is all."""

    def locations(self) -> Iterator[str]:
        """Nobody else's data is ours to reconcile."""
        return iter(())

    def local_path(self, location: str) -> Path | None:  # noqa: ARG002 - the interface's name
        """No file of this machine."""
        return None

    def direct_url(self, location: str) -> str:  # noqa: ARG002 - the interface's name
        """Hosts never go to outside places."""
        return ""

    def sweep(self, older_than_s: float) -> int:  # noqa: ARG002 - the interface's name
        """Nothing is left behind where nothing is written."""
        return 0

    def _stream(self, location: str, headers: dict[str, str]) -> WebStream:
        try:
            return self._fetcher.open(location, headers)
        except (UrlRefused, FetchFailed) as error:
            raise BlobNotFound(location) from error


def _refuse(image_id: str) -> NoReturn:
    raise ImageStoreError(f"the web store takes no data, not that of image {image_id} either")


class _Piece:
    """`length` bytes of a stream after the first `skip`. Closes the stream at its end, also when it was never begun."""

    def __init__(self, stream: WebStream, skip: int, length: int | None) -> None:
        self._stream, self._skip, self._left = stream, skip, length

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while self._left != 0:
            whole = next(self._stream)
            chunk, self._skip = whole[self._skip :], max(self._skip - len(whole), 0)
            if self._left is not None:
                chunk = chunk[: self._left]
                self._left -= len(chunk)
            if chunk:
                return chunk
        self.close()
        raise StopIteration

    def close(self) -> None:
        self._stream.close()

    def __del__(self) -> None:
        self.close()
