"""The four quotas of images: counted, compared, refused.

Limits come from identity's limits where there are some, else from `[image.quota]`; -1 is no limit. Totals are in MiB,
and a copy in each store counts.
Source: image API reference v2, "Quota usage"; image service administration guide, "Per-tenant quotas".
"""

from __future__ import annotations

import msgspec
from sqlalchemy import case, func, select

from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import TooLarge
from gureum.foundation.quota import UNLIMITED
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image
from gureum.services.image.locations.model import ImageLocation

MIB = 1 << 20
COUNT, SIZE, STAGED, UPLOADING = (
    "image_count_total",
    "image_size_total",
    "image_stage_total",
    "image_count_uploading",
)
_UNDER_WAY = ("saving", "uploading", "importing")


def limits_of(deps: ImageDeps, tx: Tx, project_id: str) -> dict[str, int]:
    defaults: dict[str, int] = msgspec.structs.asdict(deps.config.quota)
    return deps.limits(tx, project_id, defaults)


def used_bytes(tx: Tx, project_id: str) -> int:
    """Data in stores, each copy for itself."""
    statement = (
        select(func.coalesce(func.sum(Image.size_bytes), 0))
        .join(ImageLocation, ImageLocation.image_id == Image.id)
        .where(Image.owner == project_id, Image.deleted_at.is_(None))
    )
    return int(tx.scalar(statement) or 0)


def usage_of(tx: Tx, project_id: str) -> dict[str, int]:
    """What is used of each quota; totals in MiB, begun ones whole."""
    busy = (Image.status.in_(_UNDER_WAY)) | (Image.import_task_id.isnot(None))
    row = tx.execute(
        select(
            func.count(Image.id),
            func.coalesce(func.sum(case((busy, 1), else_=0)), 0),
            func.coalesce(func.sum(Image.staged_bytes), 0),
        ).where(Image.owner == project_id, Image.deleted_at.is_(None))
    ).one()
    return {
        COUNT: row[0],
        UPLOADING: int(row[1]),
        STAGED: _mib(int(row[2])),
        SIZE: _mib(used_bytes(tx, project_id)),
    }


def _mib(size: int) -> int:
    return -(-size // MIB)


def require_count(deps: ImageDeps, tx: Tx, project_id: str | None) -> None:
    """Room for one more image. Raises TooLarge."""
    _require_one_more(deps, tx, project_id, COUNT)


def require_upload(deps: ImageDeps, tx: Tx, project_id: str | None) -> None:
    """Room for one more upload or import at the same time. Raises TooLarge."""
    _require_one_more(deps, tx, project_id, UPLOADING)


def _require_one_more(deps: ImageDeps, tx: Tx, project_id: str | None, quota: str) -> None:
    if not project_id:
        return
    limit = limits_of(deps, tx, project_id).get(quota, UNLIMITED)
    if limit != UNLIMITED:
        used = usage_of(tx, project_id)[quota]
        if used + 1 > limit:
            raise TooLarge(_said(project_id, quota, limit, used, 1))


def room_bytes(deps: ImageDeps, tx: Tx, project_id: str | None, quota: str, *, copies: int = 1) -> int:
    """How large an image may still become: by the cloud's limit and the project's. Raises TooLarge for no room at all.

    `quota` is SIZE or STAGED; `copies` is how many stores it goes to.
    """
    most = deps.config.max_bytes
    if not project_id:
        return most
    limit = limits_of(deps, tx, project_id).get(quota, UNLIMITED)
    if limit == UNLIMITED:
        return most
    used = used_bytes(tx, project_id) if quota == SIZE else usage_of(tx, project_id)[STAGED] * MIB
    left = (limit * MIB - used) // max(copies, 1)
    if left <= 0:
        raise TooLarge(_said(project_id, quota, limit, _mib(used), 0))
    return min(most, left)


def _said(project_id: str, quota: str, limit: int, used: int, more: int) -> str:
    told = f"limit {limit}, current usage {used}, requested {more} more"
    return f"Project {project_id} is over a limit for [{quota}]: {told}"
