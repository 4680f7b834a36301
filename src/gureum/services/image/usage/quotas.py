"""The four quotas of images: counted, compared, refused.

Limits come from identity's unified limits where there are some, else from `[image.quota]`; -1 is no limit. With two
strict levels a domain's limit holds for all its projects together. Totals are in MiB, and a copy in each store counts.
Totals are soft limits, as documented: data of unknown size is taken while the use, in whole MiB, is not over the limit,
and may go over it. Only one operation at a time does: while another is under way, what is left is the most.
Source: image API reference v2, "Quota usage"; image service administration guide, "Per-tenant quotas".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from sqlalchemy import ColumnElement, case, func, select

from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import TooLarge
from gureum.foundation.quota import UNLIMITED, in_force
from gureum.services.identity.facade import projects_inside
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


def limits_of(deps: ImageDeps, project_id: str) -> dict[str, int]:
    defaults: dict[str, int] = msgspec.structs.asdict(deps.config.quota)
    return in_force(defaults, deps.limits(project_id).by_resource)


def of_project(project_id: str) -> ColumnElement[bool]:
    """What is counted for a project."""
    return Image.owner == project_id


def of_tree(domain_id: str) -> ColumnElement[bool]:
    """What is counted for all projects of a domain together."""
    return Image.owner.in_(projects_inside(domain_id))


def used_bytes(tx: Tx, counted: ColumnElement[bool]) -> int:
    """Data in stores, each copy for itself."""
    statement = (
        select(func.coalesce(func.sum(Image.size_bytes), 0))
        .join(ImageLocation, ImageLocation.image_id == Image.id)
        .where(counted, Image.deleted_at.is_(None))
    )
    return int(tx.scalar(statement) or 0)


def staged_bytes(tx: Tx, counted: ColumnElement[bool]) -> int:
    """Data on the stage."""
    statement = select(func.coalesce(func.sum(Image.staged_bytes), 0)).where(counted, Image.deleted_at.is_(None))
    return int(tx.scalar(statement) or 0)


def usage_of(tx: Tx, counted: ColumnElement[bool]) -> dict[str, int]:
    """What is used of each quota; totals in MiB, begun ones whole."""
    busy = (Image.status.in_(_UNDER_WAY)) | (Image.import_task_id.isnot(None))
    row = tx.execute(
        select(
            func.count(Image.id),
            func.coalesce(func.sum(case((busy, 1), else_=0)), 0),
        ).where(counted, Image.deleted_at.is_(None))
    ).one()
    return {
        COUNT: row[0],
        UPLOADING: int(row[1]),
        STAGED: _mib(staged_bytes(tx, counted)),
        SIZE: _mib(used_bytes(tx, counted)),
    }


def _mib(size: int) -> int:
    return -(-size // MIB)


def require_count(deps: ImageDeps, tx: Tx, project_id: str | None) -> None:
    """Room for one more image. Raises TooLarge."""
    _require_one_more(deps, tx, project_id, COUNT)


def require_upload(deps: ImageDeps, tx: Tx, project_id: str | None) -> None:
    """Room for one more upload or import at the same time. Raises TooLarge."""
    _require_one_more(deps, tx, project_id, UPLOADING)


def require_stream(deps: ImageDeps, tx: Tx, project_id: str | None) -> None:
    """Room for one more upload by a client at the same time, whatever the quotas are. Raises TooLarge.

    A server's image is uploaded by the cloud itself, under the image's own id.
    """
    under_way = (Image.upload_id.isnot(None), Image.upload_id != Image.id, Image.deleted_at.is_(None))
    if project_id:
        limit = deps.config.uploads_of_project
        count = tx.scalar(select(func.count()).where(Image.owner == project_id, *under_way)) or 0
        if count >= limit:
            raise TooLarge(f"Project {project_id} has {count} uploads under way: no more than {limit} are allowed.")


def _require_one_more(deps: ImageDeps, tx: Tx, project_id: str | None, quota: str) -> None:
    for whose, limit, counted in _bounds(deps, project_id, quota):
        used = usage_of(tx, counted)[quota]
        if used + 1 > limit:
            raise TooLarge(_said(whose, quota, limit, used, 1))


def _bounds(deps: ImageDeps, project_id: str | None, quota: str) -> Iterator[tuple[str, int, ColumnElement[bool]]]:
    """(whose, limit, what counts against it) for the project and for the tree that it is in."""
    if not project_id:
        return
    limit = limits_of(deps, project_id).get(quota, UNLIMITED)
    if limit != UNLIMITED:
        yield f"Project {project_id}", limit, of_project(project_id)
    unified = deps.limits(project_id)
    limit = unified.tree().get(quota, UNLIMITED)
    if limit != UNLIMITED and unified.tree_id is not None:
        yield f"Domain {unified.tree_id} with all its projects", limit, of_tree(unified.tree_id)


@dataclass(frozen=True, slots=True)
class Coming:
    """Data that an image is going to hold: in `copies` stores, of `size_bytes` where that is known."""

    image_id: str
    size_bytes: int | None = None
    copies: int = 1


def room_bytes(deps: ImageDeps, tx: Tx, project_id: str | None, quota: str, coming: Coming) -> int:
    """How large the image may become, by the cloud's limit and the project's. Raises TooLarge.

    `quota` is SIZE or STAGED.
    """
    most = deps.config.max_bytes
    for whose, limit, counted in _bounds(deps, project_id, quota):
        used = used_bytes(tx, counted) if quota == SIZE else staged_bytes(tx, counted)
        left = limit * MIB - used
        more = (coming.size_bytes or 0) * coming.copies
        others = coming.size_bytes is None and _others_under_way(tx, counted, coming.image_id)
        if used // MIB + more // MIB > limit or (others and left <= 0):
            raise TooLarge(_said(whose, quota, limit, _mib(used), _mib(more)))
        if others:
            most = min(most, left // coming.copies)
    if (coming.size_bytes or 0) > most:
        raise TooLarge(f"The image is larger than the {most} bytes that are allowed.")
    return most


def _others_under_way(tx: Tx, counted: ColumnElement[bool], image_id: str) -> bool:
    """Whether data of another image is on its way."""
    moving = Image.upload_id.isnot(None) | Image.import_task_id.isnot(None)
    statement = select(Image.id).where(counted, moving, Image.deleted_at.is_(None), Image.id != image_id)
    return tx.scalar(statement.limit(1)) is not None


def _said(whose: str, quota: str, limit: int, used: int, more: int) -> str:
    told = f"limit {limit}, current usage {used}, requested {more} more"
    return f"{whose} is over a limit for [{quota}]: {told}"
