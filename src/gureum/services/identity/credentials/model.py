"""Credentials: a secret text of any kind that belongs to a user, and to a project where the kind wants one.

The invariant: the secret is sealed with keys that are not in the database.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Json, Name, Row


class Credential(Row):
    """`access_digest` is the SHA-256 of the access key of the type ec2, so that a signature finds its secret.

    The `id` of that type is the digest of the first access key; it stays when the key is replaced.
    `used_counter` is the time step of the last pass code that the type totp let in: none is good twice.
    """

    __tablename__ = "credentials"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    type: Mapped[str] = mapped_column(Name)
    sealed: Mapped[str] = mapped_column(Text)
    access_digest: Mapped[str | None] = mapped_column(String(64), unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    used_counter: Mapped[int | None] = mapped_column(BigInteger)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
