"""What the image API's handlers stand on; `call.deps` of every image route."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import msgspec

from gureum.drivers.image.interface import Converter, Fetcher
from gureum.drivers.image.stores import Stores
from gureum.foundation.db.engine import Database
from gureum.foundation.events.outbox import Events
from gureum.foundation.quota import Quotas
from gureum.foundation.tasks.store import Tasks
from gureum.services.identity.facade import IdentityFacade
from gureum.services.image.cache.node import NodeCache
from gureum.services.image.config import ImageConfig
from gureum.services.image.protections import Protections
from gureum.services.image.usage.quotas import QUOTAS


@dataclass(frozen=True)
class ImageDeps:
    """`fetcher` goes to outside places; `cache` is this node's image cache, None without one.

    `identity` has the unified limits and knows the image services of other regions; without it there are none.
    """

    database: Database
    tasks: Tasks
    stores: Stores
    config: ImageConfig
    fetcher: Fetcher
    scratch: Path
    cache: NodeCache | None = None
    converter: Converter | None = None
    region: str = "RegionOne"
    identity: IdentityFacade | None = None
    events: Events = field(default_factory=Events)

    @cached_property
    def protections(self) -> Protections:
        """The operator's rules about properties, compiled once."""
        return Protections.of(self.config.properties)

    @cached_property
    def quotas(self) -> Quotas:
        defaults = msgspec.structs.asdict(self.config.quota)
        return QUOTAS.following(self.identity.unified if self.identity else None, defaults=defaults)
