"""What an image store is: a place that takes streams of bytes, keeps them whole, and gives them back.

It is not a catalogue: which blob belongs to which image is a row in the image service's database.
Invariant: a blob is readable only after `commit` returned, and then always whole; a writer that is aborted, dropped
or killed leaves nothing that `open`, `size` or `locations` can see.
Read next: `fake.py` (in memory), `file/store.py` (a folder), `rbd/store.py` (a Ceph pool),
tests/contracts/test_image_store.py (all).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Chunk = bytes | bytearray | memoryview
Look = Callable[[], None]
"""Called about once a second, or more often, while something outside is waited for; what it raises ends the waiting."""


def look_away() -> None:
    """Nobody wants to end it."""


@dataclass(frozen=True)
class StoredBlob:
    """A committed blob: `location` is opaque outside its store and never given twice; `size` is in bytes."""

    location: str
    size: int


class ImageWriter(Protocol):
    """One blob on its way in. Used by one thread at a time; either committed or aborted."""

    def write(self, chunk: Chunk) -> None:
        """Append bytes. The store keeps no reference to `chunk`. Raises StoreFull or ImageStoreError."""

    def commit(self) -> StoredBlob:
        """Make the blob durable and readable. A second call, or one after abort, raises ImageStoreError."""

    def abort(self) -> None:
        """Drop what was written. Safe to repeat, and a no-op after commit."""


class ImageStore(Protocol):
    """Eight verbs over blobs. Threads may share a store. A malformed location behaves like one that never existed."""

    name: str

    def create(self, image_id: str) -> ImageWriter:
        """Begin a blob for this image. Two writers for one image do not touch each other.

        Raises ImageStoreError for an id that is not 1 to 128 letters, digits, '.', '_' or '-'.
        """

    def open(self, location: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `offset`, at most `length` of them, in chunks of up to 1 MiB.

        A deletion during reading does not disturb the reader. An offset past the end gives nothing.
        Raises BlobNotFound at the call itself, ValueError for a negative offset or length.
        """

    def size(self, location: str) -> int:
        """Bytes in the blob. Raises BlobNotFound."""

    def delete(self, location: str) -> None:
        """Remove the blob; one that is gone already is no error."""

    def locations(self) -> Iterator[str]:
        """Every committed blob, in no order, for reconcilers."""

    def local_path(self, location: str) -> Path | None:
        """The blob as a file of this machine (for sendfile and one-machine hosts), None if it is not one.

        Raises BlobNotFound.
        """

    def direct_url(self, location: str) -> str:
        """Where hosts that the store lets in read the blob by themselves, as a URL; "" where they cannot.

        Made from the location alone: nobody is asked whether the blob is there.
        """

    def sweep(self, older_than_s: float) -> int:
        """Remove what killed writers left behind and nobody touched for this long; living writers are spared.

        Gives how many leftovers went.
        """


class Stream(Protocol):
    """Data on its way in from an outside place. `size` in bytes where it was promised."""

    size: int | None

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None:
        """Let go of the other side. Safe to repeat."""


class Fetcher(Protocol):
    """Gets data from outside places, and goes nowhere that the operator does not allow."""

    def check(self, url: str) -> None:
        """Raises ImageStoreError, with a text for who sent the URL, for what its text alone forbids."""

    def open(self, url: str, headers: Mapping[str, str] | None = None, *, look: Look = look_away) -> Stream:
        """The data. Raises ImageStoreError for a place that is forbidden, does not answer or is too slow."""


class Converter(Protocol):
    """Turns an inspected image into another format, within limits of time, memory and space."""

    def convert(
        self, source: Path, source_format: str, target: Path, target_format: str, *, look: Look = look_away
    ) -> None:
        """Both formats are QEMU's names and are never guessed. Raises ImageStoreError."""
