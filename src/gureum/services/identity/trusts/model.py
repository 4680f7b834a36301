"""Trusts. They never change but for the count of uses; what is deleted takes what was redelegated from it along."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.types import Id, Json, Row


class Trust(Row):
    """`redelegation_count` is how often it may still be passed on; `remaining_uses` None is without end."""

    __tablename__ = "trusts"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    trustor_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    trustee_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    impersonation: Mapped[bool]
    role_ids: Mapped[list[str]] = mapped_column(Json)
    expires_at: Mapped[datetime | None]
    remaining_uses: Mapped[int | None]
    redelegation_count: Mapped[int] = mapped_column(default=0)
    redelegated_trust_id: Mapped[str | None] = mapped_column(ForeignKey("trusts.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)

    def is_over(self) -> bool:
        """Whether its time or its uses are spent."""
        spent = self.remaining_uses is not None and self.remaining_uses <= 0
        return spent or (self.expires_at is not None and self.expires_at <= clock.utcnow())


def chain_of(tx: Tx, trust: Trust) -> list[Trust]:
    """The trust and those that it was redelegated from, the nearest first."""
    found = [trust]
    while (parent_id := found[-1].redelegated_trust_id) is not None:
        parent = tx.get(Trust, parent_id)
        if parent is None:
            break
        found.append(parent)
    return found
