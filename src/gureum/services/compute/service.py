"""What roles mount of compute: the API, its rules, the servers' lifecycle, and the purge of what is gone.

The thread that writes heartbeats (`HostRegistry.flush`) belongs to the role, which knows where they come from.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

from sqlalchemy import delete, select

from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.http.microversions import Versions
from gureum.foundation.http.routes import Api, Route
from gureum.foundation.service import ServiceParts
from gureum.foundation.tasks.lifecycle import Reconciler
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.dialect import error_body
from gureum.services.compute.discovery.api import MAXIMUM, MINIMUM
from gureum.services.compute.nouns import NOUNS
from gureum.services.compute.servers.groups import ServerGroupMember
from gureum.services.compute.servers.lifecycle import ServerLifecycle
from gureum.services.compute.servers.model import Server, ServerAction
from gureum.services.compute.servers.ports import on_addresses_changed, on_ports_changed
from gureum.services.compute.servers.reach import looked_up_first
from gureum.services.compute.servers.snapshot_lifecycle import SnapshotLifecycle

KEEP_DELETED = timedelta(days=1)
PURGE_EVERY_S = 3600.0
PURGE_AT_ONCE = 500


def parts(deps: ComputeDeps, lifecycle: ServerLifecycle) -> ServiceParts:
    """Compute over its dependencies. Ports that come up, and addresses that change, wake the tasks of their servers."""
    deps.network.set_port_listener(partial(on_ports_changed, deps.tasks), partial(on_addresses_changed, deps.tasks))

    snapshots = SnapshotLifecycle(deps.database, deps.hosts, deps.image, lifecycle.host_timeout_s)

    def purge() -> None:
        purge_deleted(deps.database)

    api = Api(
        "compute",
        "/compute",
        error_body,
        _routes(),
        deps,
        versions=Versions("compute", MINIMUM, MAXIMUM, "X-OpenStack-Nova-API-Version", unversioned="v2"),
        strict_slash=True,
        project_in_path=frozenset({"v2.1", "v2"}),
        request_id_header="X-Compute-Request-Id",
    )
    return ServiceParts(
        "compute",
        apis=(api,),
        rules=tuple(rule for noun in NOUNS for rule in noun.RULES),
        lifecycles=(lifecycle.lifecycle(), snapshots.lifecycle()),
        reconcilers=(Reconciler("purge-deleted-servers", PURGE_EVERY_S, purge),),
    )


def _routes() -> tuple[Route, ...]:
    """Every noun's routes, and under /v2 the same at the first microversion, for clients from before microversions."""
    routes = tuple(looked_up_first(route) for noun in NOUNS for route in noun.ROUTES)
    first = (route for route in routes if route.path.startswith("/v2.1/") and (route.since or MINIMUM) <= MINIMUM)
    return *routes, *(replace(route, path=route.path.replace("/v2.1/", "/v2/", 1)) for route in first)


def purge_deleted(database: Database) -> int:
    """Forget servers that were deleted longer than a day ago; returns how many."""
    gone = 0
    while purged := database.write(_purge_some):
        gone += purged
    return gone


def _purge_some(tx: Tx) -> int:
    limit = clock.utcnow() - KEEP_DELETED
    old = list(tx.scalars(select(Server.id).where(Server.deleted_at < limit).limit(PURGE_AT_ONCE)))
    if old:
        tx.execute(delete(ServerAction).where(ServerAction.server_id.in_(old)))
        tx.execute(delete(ServerGroupMember).where(ServerGroupMember.server_id.in_(old)))
        tx.execute(delete(Server).where(Server.id.in_(old)))
    return len(old)
