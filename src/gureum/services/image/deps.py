"""What the image API's handlers stand on; `call.deps` of every image route."""

from __future__ import annotations

from dataclasses import dataclass

from gureum.drivers.image.interface import ImageStore
from gureum.foundation.config import ImageConfig
from gureum.foundation.db.engine import Database
from gureum.foundation.tasks.store import Tasks


@dataclass(frozen=True)
class ImageDeps:
    database: Database
    tasks: Tasks
    store: ImageStore
    config: ImageConfig
