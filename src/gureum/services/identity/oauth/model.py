"""Consumers (programs), request tokens (a user is asked) and access tokens (a user said yes). Secrets are sealed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Id, Json, Name, Row


class Consumer(Row):
    __tablename__ = "oauth_consumers"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    description: Mapped[str | None] = mapped_column(Text)
    sealed: Mapped[str] = mapped_column(Text)


class RequestToken(Row):
    """`user_id`, `role_ids` and `verifier` are set when a user authorizes it. It is spent by its access token."""

    __tablename__ = "oauth_request_tokens"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    sealed: Mapped[str] = mapped_column(Text)
    consumer_id: Mapped[str] = mapped_column(ForeignKey("oauth_consumers.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    role_ids: Mapped[list[str]] = mapped_column(Json, default=list)
    verifier: Mapped[str | None] = mapped_column(Name)
    expires_at: Mapped[datetime]


class AccessToken(Row):
    __tablename__ = "oauth_access_tokens"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    sealed: Mapped[str] = mapped_column(Text)
    consumer_id: Mapped[str] = mapped_column(ForeignKey("oauth_consumers.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    role_ids: Mapped[list[str]] = mapped_column(Json)
    expires_at: Mapped[datetime]
