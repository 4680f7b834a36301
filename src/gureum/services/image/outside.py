"""What the image service reaches outside of the database: stores, web places, this node's cache, a converter."""

from __future__ import annotations

from dataclasses import dataclass

from gureum.drivers.image.interface import Converter, Fetcher
from gureum.drivers.image.stores import Stores
from gureum.services.image.cache.node import NodeCache


@dataclass(frozen=True)
class ImageOutside:
    """`fetcher` goes to outside places; `cache` is this node's image cache, None without one."""

    stores: Stores
    fetcher: Fetcher
    cache: NodeCache | None = None
    converter: Converter | None = None
