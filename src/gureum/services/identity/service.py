"""What roles mount: identity's routes, rules, and the threads that follow revocations."""

from __future__ import annotations

from pathlib import Path

from gureum.foundation.config import AuthConfig, IdentityConfig
from gureum.foundation.db.engine import Database
from gureum.foundation.http.routes import Api
from gureum.foundation.service import ServiceParts
from gureum.foundation.tasks.lifecycle import Reconciler
from gureum.services.identity import discovery
from gureum.services.identity.deps import IdentityDeps
from gureum.services.identity.dialect import error_body
from gureum.services.identity.expired import purge
from gureum.services.identity.facade import IdentityFacade
from gureum.services.identity.limits.memory import LimitMemory
from gureum.services.identity.nouns import NOUNS
from gureum.services.identity.tokens.fernet import SealingKeys, TokenKeys
from gureum.services.identity.tokens.issuing import Tokens
from gureum.services.identity.tokens.passwords import Passwords
from gureum.services.identity.tokens.receipts import Receipts

SECRETS = "credential-keys"


def parts(
    database: Database, config: AuthConfig, keys: Path, options: IdentityConfig | None = None, region: str = "RegionOne"
) -> tuple[ServiceParts, IdentityFacade]:
    """Identity over `database`, its token keys in the folder `keys`, those of stored secrets beside it.

    `region` is where the services are whose limits it keeps.
    """
    options = options or IdentityConfig()
    token_keys = TokenKeys(keys)
    tokens = Tokens(database, token_keys, config.token_lifetime_s, options)
    passwords = Passwords(config)
    limits = LimitMemory(database, tokens.revocations, region, options.limit_model)
    secrets = SealingKeys(keys.with_name(SECRETS))
    facade = IdentityFacade(tokens, passwords, limits, secrets)
    receipts = Receipts(token_keys, options.receipt_lifetime_s)
    deps = IdentityDeps(database, tokens, passwords, secrets, options, receipts)
    routes = tuple(route for noun in NOUNS for route in noun.ROUTES)
    rules = tuple(rule for noun in NOUNS for rule in noun.RULES)
    api = Api("identity", "/identity", error_body, (*discovery.ROUTES, *routes), deps, vary="X-Auth-Token")
    reconcilers = (
        Reconciler("purge-revocations", 600.0, facade.purge_revocations),
        Reconciler("purge-expired", 3600.0, lambda: purge(database)),
    )
    service = ServiceParts("identity", apis=(api,), rules=rules, reconcilers=reconcilers, on_api_start=(facade.start,))
    return service, facade
