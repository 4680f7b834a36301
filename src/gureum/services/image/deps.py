"""What the image API's handlers stand on; `call.deps` of every image route."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gureum.drivers.image.interface import Converter, Fetcher, ImageStore
from gureum.drivers.image.stores import Stores
from gureum.foundation.config import ImageConfig
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.tasks.store import Tasks
from gureum.services.image.protections import Protections

Limits = Callable[[Tx, str, dict[str, int]], dict[str, int]]
"""(transaction, project id, defaults) -> the limits in force."""


@dataclass(frozen=True)
class ImageDeps:
    """`fetcher` goes to outside places; `cache` is the store of the image cache, None without one."""

    database: Database
    tasks: Tasks
    stores: Stores
    config: ImageConfig
    fetcher: Fetcher
    scratch: Path
    cache: ImageStore | None = None
    converter: Converter | None = None
    limits: Limits = lambda _tx, _project_id, defaults: defaults
    region: str = "RegionOne"

    @cached_property
    def protections(self) -> Protections:
        """The operator's rules about properties, compiled once."""
        return Protections.of(self.config.properties)
