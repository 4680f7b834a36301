"""Whether a project may have one more image, or more data. Every check runs in the transaction that adds it.

Totals are soft limits, as documented: data of unknown size is taken while the use, in whole MiB, is not over the limit,
and may go over it. Only one operation at a time does: while another is under way, what is left is the most.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import TooLarge
from gureum.foundation.quota import UNLIMITED, Level, Overrun, Projects
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image
from gureum.services.image.usage.quotas import COUNT, MIB, UPLOADING, whole_mib


@dataclass(frozen=True, slots=True)
class Coming:
    """Data that an image is going to hold: in `copies` stores, of `size_bytes` where that is known."""

    image_id: str
    size_bytes: int | None = None
    copies: int = 1


def require_count(deps: ImageDeps, tx: Tx, project_id: str | None) -> None:
    """Room for one more image. Raises TooLarge."""
    if project_id:
        deps.quotas.require(tx, project_id, {COUNT: 1})


def require_upload(deps: ImageDeps, tx: Tx, project_id: str | None) -> None:
    """Room for one more upload or import at the same time. Raises TooLarge."""
    if project_id:
        deps.quotas.require(tx, project_id, {UPLOADING: 1})


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


def room_bytes(deps: ImageDeps, tx: Tx, project_id: str | None, quota: str, coming: Coming) -> int:
    """How large the image may become, by the cloud's limit and the project's. Raises TooLarge.

    `quota` is SIZE or STAGED.
    """
    most = deps.config.max_bytes
    for level in deps.quotas.levels(tx, project_id, (quota,)) if project_id else ():
        if level.limits[quota] != UNLIMITED:
            most = min(most, _left_bytes(deps, tx, level, quota, coming))
    if (coming.size_bytes or 0) > most:
        raise TooLarge(f"The image is larger than the {most} bytes that are allowed.")
    return most


def _left_bytes(deps: ImageDeps, tx: Tx, level: Level, quota: str, coming: Coming) -> int:
    """How large the image may become by the limit of one level. Raises TooLarge."""
    limit, used = level.limits[quota], level.used[quota]
    left = limit * MIB - used
    more = (coming.size_bytes or 0) * coming.copies
    others = coming.size_bytes is None and _others_under_way(tx, level.projects, coming.image_id)
    if used // MIB + more // MIB > limit or (others and left <= 0):
        amounts = (limit, whole_mib(used), whole_mib(more))
        holder = level.projects
        raise deps.quotas.refusal([Overrun(quota, *amounts, of_tree=holder.are_a_tree, holder=holder.id)])
    return left // coming.copies if others else deps.config.max_bytes


def _others_under_way(tx: Tx, projects: Projects, image_id: str) -> bool:
    """Whether data of another image is on its way."""
    moving = Image.upload_id.isnot(None) | Image.import_task_id.isnot(None)
    images = (projects.hold(Image.owner), moving, Image.deleted_at.is_(None), Image.id != image_id)
    return tx.scalar(select(Image.id).where(*images).limit(1)) is not None
