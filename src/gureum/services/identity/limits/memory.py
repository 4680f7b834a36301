"""The unified limits that services check against, cached in the process. Not their routes (`api.py`).

The invariant is that of tokens: what was read before an event of `tokens/revocations.py` is not cached after
it, so a changed limit is in force here at once and in every other process with its next reading of the events.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct
from sqlalchemy import BindParameter, Select, bindparam, select, union_all

from gureum.foundation.cache import Cache
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.prepared import Prepared, only
from gureum.foundation.leftovers.model import DeletedProject
from gureum.foundation.quota import NO_UNIFIED_LIMITS, UNLIMITED, UnifiedLimit, UnifiedLimits
from gureum.services.identity.catalog.model import Service
from gureum.services.identity.limits.model import Limit, RegisteredLimit
from gureum.services.identity.limits.rules import STRICT_TWO_LEVEL
from gureum.services.identity.projects.model import Project
from gureum.services.identity.tokens import revocations
from gureum.services.identity.tokens.revocations import Revocations

CACHED_PROJECTS = 4_096
"""Projects of a service, of some 2 KiB each; those of services without registered limits take no place."""
_ALL = ""
"""The one key of the cache of registered limits."""


class _RegisteredRow(Struct, frozen=True, gc=False):
    type: str
    resource_name: str
    id: str
    default_limit: int


class _LimitRow(Struct, frozen=True, gc=False):
    owner_id: str
    registered_limit_id: str
    resource_limit: int


_REGISTERED = Prepared(
    select(Service.type, RegisteredLimit.resource_name, RegisteredLimit.id, RegisteredLimit.default_limit)
    .join(Service, Service.id == RegisteredLimit.service_id)
    .where(RegisteredLimit.region.in_(bindparam("regions", expanding=True)))
    .order_by(RegisteredLimit.region, Service.id.desc()),
    _RegisteredRow,
)
_DOMAIN: Prepared[str] = Prepared(select(Project.domain_id).where(Project.id == bindparam("project")), only)
_LIMITS = Prepared(
    select(Limit.owner_id, Limit.registered_limit_id, Limit.resource_limit).where(
        Limit.owner_id.in_(bindparam("owners", expanding=True))
    ),
    _LimitRow,
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
        self._registered: Cache[str, dict[str, dict[str, _Registered]]] = Cache(1)
        self._limits: Cache[tuple[str, str], UnifiedLimits] = Cache(CACHED_PROJECTS)
        events.listen(self._event)

    @staticmethod
    def projects_of_tree(tree_id: str | BindParameter[str]) -> Select[str]:
        """The ids of a domain's projects, for counting what a tree of projects uses. Deleted ones whose servers may run
        on are among them: otherwise deleting a project would free its part of the domain's limit.
        """
        living = select(Project.id).where(Project.domain_id == tree_id)
        deleted = select(DeletedProject.id).where(DeletedProject.domain_id == tree_id)
        return select(union_all(living, deleted).subquery().c.id)

    def _event(self, kind: str, _value: str) -> None:
        if kind == revocations.STALE_LIMITS:
            self._registered.clear()
            self._limits.clear()

    def limits(self, service_type: str, project_id: str) -> UnifiedLimits:
        """The limits of a service's resources for a project; an unknown project has the defaults.

        A cache miss reads in a transaction of its own: the caller's snapshot can be older than the last event.
        """
        known = self._registered.get(_ALL)
        if known is not None and service_type not in known:
            return NO_UNIFIED_LIMITS
        found = self._limits.get((service_type, project_id))
        return found if found is not None else self._read(service_type, project_id)

    def _read(self, service_type: str, project_id: str) -> UnifiedLimits:
        generation = self._limits.generation  # first: what is built on registered limits of before an event is stale
        registered = self._registered.load(_ALL, self._all_registered).get(service_type)
        if registered is None:
            return NO_UNIFIED_LIMITS
        with self._database.read() as tx:
            limits = self._concluded(tx, registered, project_id)
        self._limits.put((service_type, project_id), limits, generation)
        return limits

    def _all_registered(self) -> dict[str, dict[str, _Registered]]:
        """Service type -> resource -> its registered limit."""
        limits: dict[str, dict[str, _Registered]] = {}
        with self._database.read() as tx:
            rows = _REGISTERED.all(tx, regions=self._regions)
        for row in rows:
            limits.setdefault(row.type, {})[row.resource_name] = _Registered(row.id, row.default_limit)
        return limits

    def _concluded(self, tx: Tx, registered: dict[str, _Registered], project_id: str) -> UnifiedLimits:
        tree_id = _DOMAIN.first(tx, project=project_id) if self._strict else None
        set_ = {
            (row.owner_id, row.registered_limit_id): row.resource_limit
            for row in _LIMITS.all(tx, owners=(project_id, tree_id or project_id))
        }
        limits = {}
        for name, limit in registered.items():
            together = UNLIMITED if tree_id is None else set_.get((tree_id, limit.id), limit.default)
            limits[name] = UnifiedLimit(limit.default, set_.get((project_id, limit.id)), together)
        return UnifiedLimits(limits, tree_id)
