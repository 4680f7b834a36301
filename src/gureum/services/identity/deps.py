"""What identity's handlers stand on; `call.deps` of every identity route."""

from __future__ import annotations

from dataclasses import dataclass

from gureum.foundation.db.engine import Database
from gureum.foundation.events.outbox import Events
from gureum.services.identity.config import IdentityConfig
from gureum.services.identity.tokens.fernet import SealingKeys
from gureum.services.identity.tokens.issuing import Tokens
from gureum.services.identity.tokens.passwords import Passwords
from gureum.services.identity.tokens.receipts import Receipts


@dataclass(frozen=True)
class IdentityDeps:
    database: Database
    tokens: Tokens
    passwords: Passwords
    secrets: SealingKeys
    options: IdentityConfig
    receipts: Receipts
    events: Events
