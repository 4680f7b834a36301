"""Quota classes by name. The class "default" is every project's default and stands in `foundation/quota.py`; others are
kept and shown, as the reference does, and limit nobody.
"""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation.db.types import Name, Row


class QuotaClassLimit(Row):
    __tablename__ = "quota_class_limits"

    class_name: Mapped[str] = mapped_column(Name, primary_key=True)
    resource: Mapped[str] = mapped_column(String(64), primary_key=True)
    limit: Mapped[int]
