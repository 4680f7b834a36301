"""What the image API's handlers stand on; `call.deps` of every image route."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gureum.drivers.image.interface import Converter, Fetcher
from gureum.drivers.image.stores import Stores
from gureum.foundation.db.engine import Database
from gureum.foundation.quota import NO_UNIFIED_LIMITS, UnifiedLimitsOf
from gureum.foundation.tasks.store import Tasks
from gureum.services.identity.facade import IdentityFacade
from gureum.services.image.cache.node import NodeCache
from gureum.services.image.config import ImageConfig
from gureum.services.image.protections import Protections


@dataclass(frozen=True)
class ImageDeps:
    """`fetcher` goes to outside places; `cache` is this node's image cache, None without one.

    `identity` knows the image services of other regions; without it there are none.
    """

    database: Database
    tasks: Tasks
    stores: Stores
    config: ImageConfig
    fetcher: Fetcher
    scratch: Path
    cache: NodeCache | None = None
    converter: Converter | None = None
    limits: UnifiedLimitsOf = lambda _project_id: NO_UNIFIED_LIMITS
    region: str = "RegionOne"
    identity: IdentityFacade | None = None

    @cached_property
    def protections(self) -> Protections:
        """The operator's rules about properties, compiled once."""
        return Protections.of(self.config.properties)
