"""What is over is removed after a while: trusts, OAuth tokens, spent signatures. Nothing here decides what is good."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete

from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.services.identity.ec2.model import UsedSignature
from gureum.services.identity.oauth.model import AccessToken, RequestToken
from gureum.services.identity.trusts.model import Trust

KEPT = timedelta(days=30)
"""How long a trust that is over is still shown to its sides."""


def purge(database: Database) -> None:
    def remove(tx: Tx) -> None:
        now = clock.utcnow()
        for model in (UsedSignature, RequestToken, AccessToken):
            tx.execute(delete(model).where(model.expires_at < now))
        tx.execute(delete(Trust).where(Trust.expires_at < now - KEPT))

    database.write(remove)
