"""New keys while the cloud runs: those of tokens, and those that seal stored secrets.

Processes look at the folders every other second. The next key lies there, staged, before anything is sealed with it, so
whoever has not looked yet can open everything. Secrets are sealed anew at each rotation, and the keys of the last two
rotations stay: nothing is ever sealed with a key that is gone. A rotation that is broken off is simply run again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation.db.engine import Database, Tx
from gureum.services.identity.credentials.model import Credential
from gureum.services.identity.domain_configs.model import DomainConfig
from gureum.services.identity.oauth.model import AccessToken, Consumer, RequestToken
from gureum.services.identity.tokens.fernet import SealingKeys

Sealed = Credential | Consumer | RequestToken | AccessToken | DomainConfig
Key = InstrumentedAttribute[str]
SEALED: tuple[tuple[type[Sealed], Key], ...] = (
    (Credential, Credential.id),
    (Consumer, Consumer.id),
    (RequestToken, RequestToken.id),
    (AccessToken, AccessToken.id),
    (DomainConfig, DomainConfig.domain_id),
)
"""Models with a column `sealed`, and their keys."""
BATCH = 500


def rotate_token_keys(folder: Path) -> None:
    """Tokens of before stay good: their key goes after two more rotations, which lie further apart than tokens live."""
    SealingKeys(folder).rotate()


def rotate_secret_keys(database: Database, folder: Path) -> int:
    """Returns how many secrets were sealed anew."""
    keys = SealingKeys(folder)
    keys.rotate()
    return sum(_seal_anew(database, keys, model, key) for model, key in SEALED)


def _seal_anew(database: Database, keys: SealingKeys, model: type[Sealed], key: Key) -> int:
    count, last = 0, ""
    while True:
        ids = database.write(_batch(keys, model, key, last))
        if not ids:
            return count
        count, last = count + len(ids), ids[-1]


def _batch(keys: SealingKeys, model: type[Sealed], key: Key, last: str) -> Callable[[Tx], list[str]]:
    """One transaction over the next rows by their keys."""

    def seal(tx: Tx) -> list[str]:
        statement = select(model).where(key > last).order_by(key).limit(BATCH)
        rows = cast("Sequence[Sealed]", tx.scalars(statement).all())
        for row in rows:
            if row.sealed is not None:
                row.sealed = keys.seal_text(keys.open_text(row.sealed))
        return [str(getattr(row, key.key)) for row in rows]

    return seal
