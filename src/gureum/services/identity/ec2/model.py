"""Signatures that were used: none is good twice while its time still counts. The keys are `credentials`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Row


class UsedSignature(Row):
    """`digest` is the SHA-256 of access key and signature."""

    __tablename__ = "used_signatures"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
