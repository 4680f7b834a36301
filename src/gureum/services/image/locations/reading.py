"""Reading an image's data from the best of its places, the next one when that has lost it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gureum.drivers.image.errors import BlobNotFound
from gureum.drivers.image.stores import Stores
from gureum.foundation.db.engine import Tx
from gureum.services.image.images.model import Image
from gureum.services.image.locations.model import locations_of

log = logging.getLogger("gureum.image")


def by_weight(stores: Stores, rows: Sequence[Any]) -> list[Any]:
    """Rows of configured stores, those of the heaviest store first."""
    rank = {name: index for index, name in enumerate(stores.ordered({row.store for row in rows}))}
    return sorted((row for row in rows if stores.get(row.store)), key=lambda row: (rank[row.store], row.position))


def open_data(stores: Stores, tx: Tx, image: Image, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
    """Chunks of the data. Raises BlobNotFound when no place has it."""
    for row in by_weight(stores, locations_of(tx, image.id)):
        try:
            return stores.engine(row.store).open(row.location, offset, length)
        except BlobNotFound:
            log.error("image %s: its data at %s in %s is missing", image.id, row.location, row.store)  # noqa: TRY400
    raise BlobNotFound(image.id)


def local_path(stores: Stores, image_id: str, places: Sequence[Any]) -> Path | None:
    """The data as a file of this machine, None without one; `places` have the columns of locations.

    Raises BlobNotFound when no place has the data.
    """
    rows = by_weight(stores, places)
    lost = 0
    for row in rows:
        try:
            path = stores.engine(row.store).local_path(row.location)
        except BlobNotFound:
            log.error("image %s: its data at %s in %s is missing", image_id, row.location, row.store)  # noqa: TRY400
            lost += 1
            continue
        if path is not None:
            return path
    if lost == len(rows):
        raise BlobNotFound(image_id)
    return None
