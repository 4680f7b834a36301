"""Policy documents: opaque texts for remote services. Nothing in this cloud reads them."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Id, Json, Name, Row


class PolicyDocument(Row):
    __tablename__ = "policy_documents"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    type: Mapped[str] = mapped_column(Name)
    blob: Mapped[Any] = mapped_column(Json)
    extra: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
