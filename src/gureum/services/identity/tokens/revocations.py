"""Revocations: rows that every process reads within a second, and what they mean for a token.

A row either revokes tokens (of an audit id, a chain, or issued before a moment to a user, project, domain or
application credential), or only says that what was remembered of a user, of everything or of limits is stale.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Float, Index, String, and_, delete, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.engine import Database, Tx
from gureum.foundation.db.types import Name, Row
from gureum.services.identity.tokens.fernet import TokenPayload

AUDIT, CHAIN, USER, PROJECT, DOMAIN, CREDENTIAL = "audit", "chain", "user", "project", "domain", "credential"
STALE_USER, STALE_ALL, STALE_LIMITS = "stale_user", "stale_all", "stale_limits"
READ_EVERY_S = 0.5
EXPIRED_WINDOW_S = 172_800.0
"""How long after its end a token may still be shown to those who ask for expired ones; its revocations live as long."""


class Revocation(Row):
    __tablename__ = "revocations"
    __table_args__ = (Index("ix_revocations_created_at", "created_at"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(16))
    value: Mapped[str] = mapped_column(Name)
    before: Mapped[float] = mapped_column(Float(53))
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)


class Revocations:
    """The rows in memory. Who listens is told `(kind, value)` of each: caches learn which memory is stale."""

    def __init__(self, database: Database, lifetime_s: float) -> None:
        self._database = database
        self._lifetime_s = lifetime_s
        self._lock = threading.Lock()
        self._seen: set[int] = set()
        self._highest = 0
        self._before: dict[tuple[str, str], float] = {}
        self._listeners: list[Callable[[str, str], None]] = []

    def listen(self, callback: Callable[[str, str], None]) -> None:
        self._listeners.append(callback)

    def add(self, tx: Tx, kind: str, value: str) -> None:
        """Record an event in the caller's transaction; this process knows it right after the commit.

        `before` is now: tokens made later in this same instant stay valid.
        """
        moment = clock.now()
        tx.add(Revocation(kind=kind, value=value, before=moment))
        tx.on_commit(lambda: self._apply(kind, value, moment))

    def _apply(self, kind: str, value: str, before: float) -> None:
        with self._lock:
            key = (kind, value)
            self._before[key] = max(before, self._before.get(key, 0.0))
        for listener in self._listeners:
            listener(kind, value)

    def read(self) -> None:
        """Take in rows that other processes wrote. A few ids back too: a lower id may commit after a higher one."""
        with self._database.read() as tx:
            columns = (Revocation.id, Revocation.kind, Revocation.value, Revocation.before)
            rows = tx.execute(select(*columns).where(Revocation.id > self._highest - 200).order_by(Revocation.id)).all()
        for id_, kind, value, before in rows:
            if id_ not in self._seen:
                self._seen.add(id_)
                self._apply(kind, value, before)
                self._highest = max(self._highest, id_)
        if len(self._seen) > 2000:
            self._seen = {id_ for id_ in self._seen if id_ > self._highest - 400}

    def revokes(self, payload: TokenPayload) -> bool:
        """Whether some row revokes this token."""
        before = self._before
        if (AUDIT, payload.audit_ids[0]) in before or (CHAIN, payload.audit_ids[-1]) in before:
            return True
        for kind, value in (
            (USER, payload.user_id),
            (PROJECT, payload.project_id),
            (DOMAIN, payload.domain_id),
            (CREDENTIAL, payload.application_credential_id),
        ):
            if value is not None and payload.issued_at <= before.get((kind, value), 0.0):
                return True
        return False

    def revokes_user(self, user_id: str, issued_at: float) -> bool:
        """Whether some row revokes what was issued to, or through, this user."""
        return issued_at <= self._before.get((USER, user_id), 0.0)

    def purge(self) -> None:
        """Forget rows older than any token that they could concern."""
        now = clock.utcnow()
        edge = now - timedelta(seconds=self._lifetime_s + EXPIRED_WINDOW_S + 3600)
        stale = (
            Revocation.kind.in_((STALE_USER, STALE_ALL, STALE_LIMITS)),
            Revocation.created_at < now - timedelta(hours=1),
        )
        gone = delete(Revocation).where(or_(Revocation.created_at < edge, and_(*stale)))
        self._database.write(lambda tx: tx.execute(gone))
        with self._lock:
            old = clock.now() - self._lifetime_s - EXPIRED_WINDOW_S - 3600
            self._before = {key: moment for key, moment in self._before.items() if moment > old}
