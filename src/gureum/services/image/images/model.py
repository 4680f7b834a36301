"""The images table with its properties and tags, and the queries that say who sees which image.

Invariant: a deleted image leaves its row behind (status `deleted`, no data, no properties), so that its id is never
used again. Every query of tenants' images starts from `visible` or `listed`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Float, ForeignKey, Index, Select, String, Text, and_, or_, select
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.orm import Mapped, attribute_keyed_dict, mapped_column, relationship

from gureum.foundation import clock
from gureum.foundation.caller import Caller
from gureum.foundation.db.types import Id, Json, Name, Row
from gureum.services.image.members.model import ImageMember

HASH_ALGORITHM = "sha512"
"""What the cloud makes of data that it takes in; a location that a client adds may bring another."""


class ImageProperty(Row):
    """One property that the API does not know itself."""

    __tablename__ = "image_properties"
    __table_args__ = (Index("ix_image_properties_name", "name"),)

    image_id: Mapped[str] = mapped_column(Id, ForeignKey("images.id"), primary_key=True)
    name: Mapped[str] = mapped_column(Name, primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class ImageTag(Row):
    __tablename__ = "image_tags"
    __table_args__ = (Index("ix_image_tags_tag", "tag"),)

    image_id: Mapped[str] = mapped_column(Id, ForeignKey("images.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(Name, primary_key=True)


def _property(name: str, value: str) -> ImageProperty:
    return ImageProperty(name=name, value=value)


def _tag(tag: str) -> ImageTag:
    return ImageTag(tag=tag)


class Image(Row):
    """`status`: services/image/README.md draws the moves.

    `upload_id` names the one upload that may finish a `saving` or `uploading` image; `upload_seen_at` is its last sign
    of life in seconds since the epoch. `staged` is the data that waits for its import (`imports/staged.py`).
    `import_task_id` names the one import that may change the image's data; `importing_to` and `failed_import` are its
    progress as clients see it. `stores` names the stores of the image's locations (`locations/model.py`).
    """

    __tablename__ = "images"
    __table_args__ = (
        Index("ix_images_owner", "owner", "deleted_at"),
        Index("ix_images_list", "deleted_at", "created_at", "id"),
        Index("ix_images_status", "status"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str | None] = mapped_column(Name)
    owner: Mapped[str | None] = mapped_column(Name)
    status: Mapped[str] = mapped_column(String(16), default="queued")
    visibility: Mapped[str] = mapped_column(String(16), default="shared")
    hidden: Mapped[bool] = mapped_column(default=False)
    protected: Mapped[bool] = mapped_column(default=False)
    disk_format: Mapped[str | None] = mapped_column(String(20))
    container_format: Mapped[str | None] = mapped_column(String(20))
    min_disk_gib: Mapped[int] = mapped_column(default=0)
    min_ram_mib: Mapped[int] = mapped_column(default=0)
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    virtual_size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    md5: Mapped[str | None] = mapped_column(String(32))
    hash_algorithm: Mapped[str | None] = mapped_column(String(16))
    hash_value: Mapped[str | None] = mapped_column(String(128))
    stores: Mapped[str] = mapped_column(String(2048), default="")
    staged: Mapped[dict[str, Any] | None] = mapped_column(Json)
    staged_bytes: Mapped[int | None] = mapped_column(BigInteger)
    import_task_id: Mapped[str | None] = mapped_column(Id)
    importing_to: Mapped[str | None] = mapped_column(String(2048))
    failed_import: Mapped[str | None] = mapped_column(String(2048))
    upload_id: Mapped[str | None] = mapped_column(Id)
    upload_seen_at: Mapped[float] = mapped_column(Float(53), default=0.0)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    updated_at: Mapped[datetime] = mapped_column(default=clock.utcnow)
    deleted_at: Mapped[datetime | None]

    property_rows: Mapped[dict[str, ImageProperty]] = relationship(
        collection_class=attribute_keyed_dict("name"), cascade="all, delete-orphan", lazy="selectin"
    )
    properties: AssociationProxy[dict[str, str]] = association_proxy("property_rows", "value", creator=_property)
    tag_rows: Mapped[list[ImageTag]] = relationship(
        cascade="all, delete-orphan", lazy="selectin", order_by=ImageTag.tag
    )
    tags: AssociationProxy[list[str]] = association_proxy("tag_rows", "tag", creator=_tag)


def living() -> Select[Image]:
    """Images that are not deleted, of all projects: for the cloud's own work, never for a caller's."""
    return select(Image).where(Image.deleted_at.is_(None))


def visible(caller: Caller) -> Select[Image]:
    """Every image that the caller may name by its id: public, community, its project's, shared with its project.

    Administrators reach all.
    """
    if caller.is_admin:
        return living()
    if not caller.project_id:
        return living().where(_EVERYONES)
    return living().where(visible_to(caller.project_id))


_EVERYONES = or_(Image.visibility == "public", Image.visibility == "community")


def visible_to(project: Any) -> ColumnElement[bool]:
    """What a project may name; `project` is an id or a parameter's place."""
    shared = select(ImageMember.image_id).where(ImageMember.member_id == project)
    return or_(_EVERYONES, Image.owner == project, and_(Image.visibility == "shared", Image.id.in_(shared)))


def listed(
    caller: Caller, project: Any, *, visibility: str | None, member_status: str
) -> Iterator[ColumnElement[bool]]:
    """What lists show of the visible images: of other projects' shared ones those in `member_status` ("all": any),
    of their community images only what `visibility` asks for ("all" or "community").

    `project` is the id of the caller's project or a parameter's place.
    """
    yield Image.deleted_at.is_(None)
    if not caller.is_admin:
        yield visible_to(project) if caller.project_id else _EVERYONES
        if caller.project_id and member_status != "all":
            wanted = select(ImageMember.image_id).where(
                ImageMember.member_id == project, ImageMember.status == member_status
            )
            yield or_(Image.visibility != "shared", Image.owner == project, Image.id.in_(wanted))
    if visibility is None:
        others = Image.visibility != "community"
        yield or_(others, Image.owner == project) if caller.project_id else others
    elif visibility != "all":
        yield Image.visibility == visibility
