"""Reading an image's data from the best of its places, the next one when that has lost it."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from gureum.drivers.image.errors import BlobNotFound, ImageStoreError
from gureum.drivers.image.stores import Stores
from gureum.foundation.errors import Unavailable

log = logging.getLogger("gureum.image")

ASKED_AT_ONCE = 8
"""Outside places that requests ask at the same time; fewer than the API has threads for what may wait."""
ASKED_BY_A_PROJECT = 4
_asking: Counter[str] = Counter()
_lock = threading.Lock()


@contextmanager
def asking_outside(project_id: str) -> Iterator[None]:
    """For a request that waits for a place outside of the cloud.

    Raises Unavailable when too many do already, of all projects or of this one.
    """
    with _lock:
        if _asking.total() >= ASKED_AT_ONCE or _asking[project_id] >= ASKED_BY_A_PROJECT:
            message = "Too many images are awaited from outside places. Try again."
            raise Unavailable(message, headers={"Retry-After": "5"})
        _asking[project_id] += 1
    try:
        yield
    finally:
        with _lock:
            _asking[project_id] -= 1
            if not _asking[project_id]:
                del _asking[project_id]


class StoredAt(Protocol):
    """Where a copy of an image's data lies."""

    @property
    def store(self) -> str: ...

    @property
    def location(self) -> str: ...

    @property
    def position(self) -> int: ...


S = TypeVar("S", bound=StoredAt)


def by_weight(stores: Stores, rows: Sequence[S]) -> list[S]:
    """Rows of configured stores, those of the heaviest store first."""
    rank = {name: index for index, name in enumerate(stores.ordered({row.store for row in rows}))}
    return sorted((row for row in rows if stores.get(row.store)), key=lambda row: (rank[row.store], row.position))


@dataclass(frozen=True, slots=True)
class Opened:
    """Chunks of the data; `outside` when they come from a place that is not the cloud's."""

    chunks: Iterator[bytes]
    outside: bool


def open_data(
    stores: Stores, image_id: str, rows: Sequence[StoredAt], offset: int = 0, length: int | None = None
) -> Opened:
    """The data from the best of its places. Call it outside of transactions: a place may take long to answer.

    Raises BlobNotFound when no place has it, ImageStoreError when one is silent.
    """
    silent: ImageStoreError | None = None
    for row in by_weight(stores, rows):
        store = stores.get(row.store)
        assert store is not None
        try:
            return Opened(store.engine.open(row.location, offset, length), store.kind == "web")
        except BlobNotFound:
            log.error("image %s: its data at %s in %s is missing", image_id, row.location, row.store)  # noqa: TRY400
        except ImageStoreError as error:
            log.error("image %s: the store %s does not give its data: %s", image_id, row.store, error)  # noqa: TRY400
            silent = error
    raise silent or BlobNotFound(image_id)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host takes data: a file of this machine, or a URL that it opens with a key of its own, or neither."""

    path: Path | None = None
    url: str = ""


def place_for_hosts(stores: Stores, image_id: str, places: Sequence[StoredAt]) -> Place:
    """The best place; `places` have the columns of locations. Waits for no store that is not on this machine.

    Raises BlobNotFound when no place has the data.
    """
    rows = by_weight(stores, places)
    lost = 0
    for row in rows:
        if url := stores.engine(row.store).direct_url(row.location):
            return Place(url=url)
        try:
            path = stores.engine(row.store).local_path(row.location)
        except BlobNotFound:
            log.error("image %s: its data at %s in %s is missing", image_id, row.location, row.store)  # noqa: TRY400
            lost += 1
            continue
        if path is not None:
            return Place(path)
    if lost == len(rows):
        raise BlobNotFound(image_id)
    return Place()
