"""What the image service holds of a project: counted and deleted for one that is no more."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, func, select

from gureum.foundation.db.engine import Tx
from gureum.foundation.leftovers.projects import ProjectResources
from gureum.services.image.deps import ImageDeps
from gureum.services.image.images.model import Image, living
from gureum.services.image.images.operations import delete_image
from gureum.services.image.members.model import ImageMember

AT_ONCE = 50
SHOWN_TO_OTHERS = ("public", "community")


def resources(deps: ImageDeps) -> ProjectResources:
    """For the image service's manifest."""
    return ProjectResources(count, lambda tx, project_id: clean(deps, tx, project_id))


def count(tx: Tx, project_id: str) -> Mapping[str, int]:
    """Images that everybody may use are a kind of their own: whoever cleans should know."""
    theirs = (Image.owner == project_id, Image.deleted_at.is_(None))
    rows = tx.execute(select(Image.visibility, func.count()).where(*theirs).group_by(Image.visibility)).all()
    found: dict[str, int] = {}
    for visibility, number in rows:
        kind = f"{visibility} images" if visibility in SHOWN_TO_OTHERS else "images"
        found[kind] = found.get(kind, 0) + number
    return found


def clean(deps: ImageDeps, tx: Tx, project_id: str) -> None:
    """Delete images, protected ones too; their data goes by tasks of its own."""
    for image in tx.scalars(living().where(Image.owner == project_id).order_by(Image.id).limit(AT_ONCE)).all():
        image.protected = False
        delete_image(deps, tx, image)
    tx.execute(delete(ImageMember).where(ImageMember.member_id == project_id))
