"""The manifest of the network service: its API, the network writer, and the facade for siblings."""

from __future__ import annotations

from gureum.drivers.network.interface import NetworkDriver
from gureum.foundation.bus.typed import Nothing, Topic
from gureum.foundation.db.engine import Tx
from gureum.foundation.http.collections import links
from gureum.foundation.http.routes import Api
from gureum.foundation.service import CatalogEntry, Mounted, Room, Service, Start, Where
from gureum.services.identity.facade import IdentityFacade
from gureum.services.network import leftovers
from gureum.services.network.bootstrap import bootstrap
from gureum.services.network.catalog import api as catalog
from gureum.services.network.changes import Changes
from gureum.services.network.config import FirstNetworkConfig, NetworkConfig
from gureum.services.network.context import NetworkContext
from gureum.services.network.dialect import error_body
from gureum.services.network.facade import NetworkFacade
from gureum.services.network.floating_ips import api as floating_ips
from gureum.services.network.networks import api as networks
from gureum.services.network.ports import api as ports
from gureum.services.network.quotas import api as quotas
from gureum.services.network.quotas.rules import QUOTAS
from gureum.services.network.routers import api as routers
from gureum.services.network.security_groups import api as security_groups
from gureum.services.network.subnets import api as subnets
from gureum.services.network.tags import api as tags
from gureum.services.network.writer import NetworkWriter

NOUNS = (networks, subnets, ports, routers, security_groups, floating_ips, quotas, tags, catalog)
CHANGED = Topic("network.changed", Nothing)
"""Some process committed changes for the network writer, whose lease it does not hold."""


def build(room: Room) -> Mounted:
    identity = room.facade(IdentityFacade)
    changes = Changes()
    changes.announce = lambda: CHANGED.publish(room.bus, Nothing())
    ctx = NetworkContext(
        room.config(NetworkConfig),
        room.driver(NetworkDriver),
        changes,
        room.events,
        QUOTAS.following(identity.unified),
        identity.project_ids,
        identity.project_created_at,
    )
    first = room.config(FirstNetworkConfig)

    def prepare(tx: Tx) -> None:
        bootstrap(tx, ctx, first.external_cidr, identity.project_id(tx, "admin") or "")

    routes = tuple(route for noun in NOUNS for route in noun.ROUTES)
    return Mounted(
        NetworkFacade(ctx),
        apis=(Api("network", "/network", error_body, routes, ctx, beside_lists=links.NAMED_LINKS),),
        background=(NetworkWriter(room.database, ctx, lambda: room.tasks.owner),),
        starts=(Start(Where.WORKER, lambda: CHANGED.subscribe(room.bus, lambda _: changes.wake())),),
        resources=leftovers.resources(ctx),
        bootstrap=prepare,
    )


SERVICE = Service(
    "network",
    build,
    config=(NetworkConfig, FirstNetworkConfig),
    rules=tuple(rule for noun in NOUNS for rule in noun.RULES),
    catalog=CatalogEntry("network", "neutron", "/network"),
    offers=NetworkFacade,
    needs=(IdentityFacade,),
    drivers=(NetworkDriver,),
)
