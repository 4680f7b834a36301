"""What roles mount of the network service: the API, its rules, the writer's thread, and the facade for siblings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

from gureum.drivers.network.interface import NetworkDriver
from gureum.foundation.config import NetworkConfig
from gureum.foundation.db.engine import Database
from gureum.foundation.http.routes import Api
from gureum.foundation.quota import NO_UNIFIED_LIMITS
from gureum.foundation.service import ServiceParts
from gureum.foundation.tasks.store import Tasks
from gureum.services.identity.facade import IdentityFacade
from gureum.services.network.catalog import api as catalog
from gureum.services.network.changes import Changes
from gureum.services.network.context import Listener, NetworkContext
from gureum.services.network.dialect import error_body
from gureum.services.network.facade import NetworkFacade
from gureum.services.network.floating_ips import api as floating_ips
from gureum.services.network.networks import api as networks
from gureum.services.network.ports import api as ports
from gureum.services.network.quotas import api as quotas
from gureum.services.network.quotas.rules import SERVICE
from gureum.services.network.routers import api as routers
from gureum.services.network.security_groups import api as security_groups
from gureum.services.network.subnets import api as subnets
from gureum.services.network.tags import api as tags
from gureum.services.network.writer import NetworkWriter


@dataclass(frozen=True, slots=True)
class NetworkDeps:
    """What a role gives the network service. `identity` keeps the unified limits; without it there are none.

    `changes` is what wakes the network writer; a role with several processes passes wake-ups on.
    """

    database: Database
    tasks: Tasks
    driver: NetworkDriver
    identity: IdentityFacade | None
    config: NetworkConfig
    changes: Changes = field(default_factory=Changes)


NOUNS = (networks, subnets, ports, routers, security_groups, floating_ips, quotas, tags, catalog)


def parts(deps: NetworkDeps) -> tuple[ServiceParts, NetworkFacade]:
    """The mountable parts and the facade. The writer starts with the process's workers."""
    limits = partial(deps.identity.limits, SERVICE) if deps.identity else lambda _project_id: NO_UNIFIED_LIMITS
    ctx = NetworkContext(deps.config, deps.driver, deps.changes, Listener(), limits)
    if deps.identity is not None:
        ctx = replace(ctx, project_ids=deps.identity.project_ids, project_created_at=deps.identity.project_created_at)
    writer = NetworkWriter(deps.database, ctx, lambda: deps.tasks.owner)
    routes = tuple(route for noun in NOUNS for route in noun.ROUTES)
    rules = tuple(rule for noun in NOUNS for rule in noun.RULES)
    api = Api("network", "/network", error_body, routes, deps=ctx)
    found = ServiceParts(name="network", apis=(api,), rules=rules, on_start=(writer.start,), on_stop=(writer.stop,))
    return found, NetworkFacade(ctx)
