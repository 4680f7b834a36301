"""What other services may ask of notices."""

from __future__ import annotations

from sqlalchemy import func, or_, select

from gureum.foundation.db.engine import Tx
from tests.sixth_service.notices.model import Notice


class NoticesFacade:
    def count(self, tx: Tx, project_id: str) -> int:
        """How many notices a project sees."""
        seen = or_(Notice.project_id == project_id, Notice.project_id.is_(None))
        return tx.scalar(select(func.count()).select_from(Notice).where(seen)) or 0
