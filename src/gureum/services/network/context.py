"""What every part of the network service works with. Not the deps that a role hands in (`service.py`).

Read next: `changes.py`, which carries each change to the network writer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gureum.drivers.network.interface import NetworkDriver
from gureum.foundation import clock
from gureum.foundation.cache import Cache
from gureum.foundation.db.engine import Tx
from gureum.foundation.events.outbox import Events
from gureum.foundation.quota import Quotas
from gureum.services.network.changes import Changes
from gureum.services.network.config import NetworkConfig

CACHED_CURSORS = 16_384
_START = clock.utcnow()


@dataclass(frozen=True, slots=True)
class NetworkContext:
    """Handed to every operation as `ctx`; handlers find it in `call.deps`."""

    config: NetworkConfig
    driver: NetworkDriver
    changes: Changes
    events: Events
    quotas: Quotas
    project_ids: Callable[[Tx], Sequence[str]] = lambda _tx: ()
    """Every project of the cloud."""
    project_created_at: Callable[[Tx, str], datetime | None] = lambda _tx, _project_id: _START
    """When a project was made; None for one that is not there."""
    cursors: Cache[str, str] = field(default_factory=lambda: Cache(CACHED_CURSORS))
    """Subnet id -> where the search for a free address begins: a hint of this process, right or wrong."""
