"""The notices of a project that is no more."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, func, select

from gureum.foundation.db.engine import Tx
from gureum.foundation.leftovers.projects import ProjectResources
from tests.sixth_service.notices.model import Notice


def count(tx: Tx, project_id: str) -> Mapping[str, int]:
    number = tx.scalar(select(func.count()).select_from(Notice).where(Notice.project_id == project_id))
    return {"notices": number} if number else {}


def clean(tx: Tx, project_id: str) -> None:
    tx.execute(delete(Notice).where(Notice.project_id == project_id))


RESOURCES = ProjectResources(count, clean)
