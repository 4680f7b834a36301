"""The unified limits that services check against, remembered in the process. Not their routes (`api.py`).

The invariant is that of tokens: what was concluded before an event of `tokens/revocations.py` is not remembered after
it, so a changed limit is in force here at once and in every other process with its next reading of the events.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.prepared import Prepared, only
from gureum.foundation.quota import NO_UNIFIED_LIMITS, UNLIMITED, UnifiedLimit, UnifiedLimits
from gureum.services.identity.catalog.model import Service
from gureum.services.identity.limits.model import Limit, RegisteredLimit
from gureum.services.identity.limits.rules import STRICT_TWO_LEVEL
from gureum.services.identity.projects.model import Project
from gureum.services.identity.tokens import revocations
from gureum.services.identity.tokens.revocations import Revocations

REMEMBERED = 4_096
"""Projects of a service, of some 2 KiB each; those of services without registered limits take no place."""

_REGISTERED = Prepared(
    select(Service.type, RegisteredLimit.resource_name, RegisteredLimit.id, RegisteredLimit.default_limit)
    .join(Service, Service.id == RegisteredLimit.service_id)
    .where(RegisteredLimit.region.in_(bindparam("regions", expanding=True)))
    .order_by(RegisteredLimit.region, Service.id.desc())
)
_DOMAIN = Prepared(select(Project.domain_id).where(Project.id == bindparam("project")), only)
_LIMITS = Prepared(
    select(Limit.owner_id, Limit.registered_limit_id, Limit.resource_limit).where(
        Limit.owner_id.in_(bindparam("owners", expanding=True))
    )
)


@dataclass(frozen=True, slots=True)
class _Registered:
    id: str
    default: int


class LimitMemory:
    """One per process; thread safe. A limit of `region` goes before one of all regions."""

    def __init__(self, database: Database, events: Revocations, region: str, model: str) -> None:
        self._database = database
        self._regions = ("", region)
        self._strict = model == STRICT_TWO_LEVEL
        self._lock = threading.Lock()
        self._events = 0
        self._registered: dict[str, dict[str, _Registered]] | None = None
        self._limits: dict[tuple[str, str], UnifiedLimits] = {}
        events.listen(self._event)

    def _event(self, kind: str, _value: str) -> None:
        if kind == revocations.STALE_LIMITS:
            with self._lock:
                self._events += 1
                self._registered, self._limits = None, {}

    def of(self, service_type: str, project_id: str) -> UnifiedLimits:
        """What is said to a project of a service's resources; a project that nobody knows has the defaults.

        Reads, when it must, in a transaction of its own: what the caller's may see can be older than the last event.
        """
        known = self._registered
        if known is not None and service_type not in known:
            return NO_UNIFIED_LIMITS
        found = self._limits.get((service_type, project_id))
        return found if found is not None else self._read(service_type, project_id)

    def _read(self, service_type: str, project_id: str) -> UnifiedLimits:
        events = self._events
        with self._database.read() as tx:
            registered = self._registered
            if registered is None:
                registered = self._all_registered(tx)
            here = registered.get(service_type)
            limits = self._concluded(tx, here, project_id) if here else NO_UNIFIED_LIMITS
        with self._lock:
            if events == self._events:
                self._registered = registered
                if here:
                    self._remember((service_type, project_id), limits)
        return limits

    def _remember(self, key: tuple[str, str], limits: UnifiedLimits) -> None:
        if len(self._limits) >= REMEMBERED:
            for old in list(self._limits)[: REMEMBERED // 10]:
                del self._limits[old]
        self._limits[key] = limits

    def _all_registered(self, tx: Tx) -> dict[str, dict[str, _Registered]]:
        found: dict[str, dict[str, _Registered]] = {}
        for type_, resource, id_, default in _REGISTERED.all(tx, regions=self._regions):
            found.setdefault(type_, {})[resource] = _Registered(id_, default)
        return found

    def _concluded(self, tx: Tx, registered: dict[str, _Registered], project_id: str) -> UnifiedLimits:
        tree_id = _DOMAIN.first(tx, project=project_id) if self._strict else None
        set_: dict[tuple[str, str], int] = {
            (owner, id_): limit for owner, id_, limit in _LIMITS.all(tx, owners=(project_id, tree_id or project_id))
        }
        found = {}
        for name, one in registered.items():
            together = UNLIMITED if tree_id is None else set_.get((tree_id, one.id), one.default)
            found[name] = UnifiedLimit(one.default, set_.get((project_id, one.id)), together)
        return UnifiedLimits(found, tree_id)
