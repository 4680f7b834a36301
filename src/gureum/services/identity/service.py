"""The manifest of identity: accounts, projects, roles, tokens, the service catalog, unified limits."""

from __future__ import annotations

from functools import partial

from gureum.foundation.db.engine import Tx
from gureum.foundation.events.event import Durable, InTransaction
from gureum.foundation.http.collections import links
from gureum.foundation.http.routes import Api
from gureum.foundation.leftovers.projects import DeletedProjects
from gureum.foundation.schedule import Periodic
from gureum.foundation.service import CatalogEntry, Mounted, Room, Service, Start, Where
from gureum.foundation.tasks.lifecycle import Reconciler
from gureum.services.identity import discovery
from gureum.services.identity.bootstrap import Bootstrap
from gureum.services.identity.config import AuthConfig, FirstUsersConfig, IdentityConfig
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.dialect import error_body
from gureum.services.identity.events import ProjectDeleted
from gureum.services.identity.expired import purge
from gureum.services.identity.facade import IdentityFacade
from gureum.services.identity.limits.memory import LimitMemory
from gureum.services.identity.nouns import NOUNS
from gureum.services.identity.tokens.fernet import SealingKeys, TokenKeys
from gureum.services.identity.tokens.issuing import Tokens
from gureum.services.identity.tokens.passwords import Passwords
from gureum.services.identity.tokens.receipts import Receipts
from gureum.services.identity.tokens.revocations import READ_EVERY_S

SECRETS = "credential-keys"
"""The folder of the keys that seal stored secrets, beside that of the token keys."""


def build(room: Room) -> Mounted:
    auth, options, first = room.config(AuthConfig), room.config(IdentityConfig), room.config(FirstUsersConfig)
    keys = room.path(auth.keys)
    token_keys, secrets = TokenKeys(keys), SealingKeys(keys.with_name(SECRETS))
    tokens = Tokens(room.database, token_keys, auth.token_lifetime_s, options)
    passwords = Passwords(auth)
    limits = LimitMemory(room.database, tokens.revocations, room.region, options.limit_model)
    facade = IdentityFacade(tokens, passwords, limits, secrets)
    receipts = Receipts(token_keys, options.receipt_lifetime_s)
    deps = IdentityDeps(room.database, tokens, passwords, secrets, options, receipts, room.events)
    routes = (*discovery.ROUTES, *(route for noun in NOUNS for route in noun.ROUTES))
    api = Api("identity", "/identity", error_body, routes, deps, vary="X-Auth-Token", beside_lists=links.OWN_LINKS)
    wanted = Bootstrap(
        first.admin_password, first.demo_password, room.region, room.public_url, room.catalog, room.alone
    )
    return Mounted(
        facade,
        apis=(api,),
        reconcilers=(
            Reconciler("purge-revocations", 600.0, facade.purge_revocations),
            Reconciler("purge-expired", 3600.0, lambda: purge(room.database)),
        ),
        subscriptions=(
            InTransaction(ProjectDeleted, partial(_remember, room.deleted_projects)),
            Durable("leftovers", (ProjectDeleted,), partial(_review, room.deleted_projects)),
        ),
        starts=(Start(Where.API, facade.read_revocations),),
        api_periodic=(Periodic("revocations", READ_EVERY_S, facade.read_revocations),),
        authentication=facade.authentication,
        bootstrap=lambda tx: facade.bootstrap(tx, wanted),
    )


def _remember(deleted: DeletedProjects, tx: Tx, event: ProjectDeleted) -> None:
    deleted.remember(tx, event.id, event.name, event.domain_id)


def _review(deleted: DeletedProjects, tx: Tx, event: ProjectDeleted) -> None:
    deleted.review(tx, event.id)


SERVICE = Service(
    "identity",
    build,
    config=(AuthConfig, IdentityConfig, FirstUsersConfig),
    rules=tuple(rule for noun in NOUNS for rule in noun.RULES),
    catalog=CatalogEntry("identity", "keystone", "/identity"),
    offers=IdentityFacade,
)
