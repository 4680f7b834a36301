"""A policy document bound to an endpoint, to a service, or to a service in a region: one for each of them."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Id, Name, Row


class PolicyAssociation(Row):
    """Either `endpoint_id`, or `service_id` with or without `region_id`; what is not used is empty."""

    __tablename__ = "policy_associations"

    endpoint_id: Mapped[str] = mapped_column(Id, primary_key=True, default="")
    service_id: Mapped[str] = mapped_column(Id, primary_key=True, default="")
    region_id: Mapped[str] = mapped_column(Name, primary_key=True, default="")
    policy_id: Mapped[str] = mapped_column(ForeignKey("policy_documents.id", ondelete="CASCADE"), index=True)
