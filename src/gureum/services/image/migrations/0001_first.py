"""The tables of the image service. Written by tools/first-revision from the models; not edited by hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "image_0001"
down_revision = None
branch_labels = ("image",)
depends_on = None
replaces = "0001"


def upgrade() -> None:
    """Make the tables, those that others refer to first."""
    _image_cache()
    _image_tasks()
    _images()
    _metadef_namespaces()
    _metadef_resource_types()
    _image_locations()
    _image_members()
    _image_properties()
    _image_tags()
    _metadef_associations()
    _metadef_objects()
    _metadef_properties()
    _metadef_tags()


def _image_cache() -> None:
    op.create_table(
        "image_cache",
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("location", sa.String(length=255), nullable=True),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("modified_at", sa.Float(precision=53), nullable=False),
        sa.Column("accessed_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("image_id", "node", name=op.f("pk_image_cache")),
    )


def _image_tasks() -> None:
    op.create_table(
        "image_tasks",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("image_id", sa.String(length=36), nullable=True),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=True),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_tasks")),
    )
    op.create_index("ix_image_tasks_expiry", "image_tasks", ["expires_at"], unique=False)
    op.create_index("ix_image_tasks_image", "image_tasks", ["image_id"], unique=False)
    op.create_index("ix_image_tasks_list", "image_tasks", ["created_at", "id"], unique=False)


def _images() -> None:
    op.create_table(
        "images",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("owner", sa.String(length=255), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("visibility", sa.String(length=16), nullable=False),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("disk_format", sa.String(length=20), nullable=True),
        sa.Column("container_format", sa.String(length=20), nullable=True),
        sa.Column("min_disk_gib", sa.Integer(), nullable=False),
        sa.Column("min_ram_mib", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("virtual_size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("md5", sa.String(length=32), nullable=True),
        sa.Column("hash_algorithm", sa.String(length=16), nullable=True),
        sa.Column("hash_value", sa.String(length=128), nullable=True),
        sa.Column("stores", sa.String(length=2048), nullable=False),
        sa.Column("staged", sa.Text(), nullable=True),
        sa.Column("staged_bytes", sa.BigInteger(), nullable=True),
        sa.Column("import_task_id", sa.String(length=36), nullable=True),
        sa.Column("importing_to", sa.String(length=2048), nullable=True),
        sa.Column("failed_import", sa.String(length=2048), nullable=True),
        sa.Column("upload_id", sa.String(length=36), nullable=True),
        sa.Column("upload_seen_at", sa.Float(precision=53), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
    )
    op.create_index("ix_images_list", "images", ["deleted_at", "created_at", "id"], unique=False)
    op.create_index("ix_images_owner", "images", ["owner", "deleted_at"], unique=False)
    op.create_index("ix_images_status", "images", ["status"], unique=False)


def _metadef_namespaces() -> None:
    op.create_table(
        "metadef_namespaces",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("namespace", sa.String(length=80), nullable=False),
        sa.Column("display_name", sa.String(length=80), nullable=True),
        sa.Column("description", sa.String(length=500), nullable=True),
        sa.Column("visibility", sa.String(length=16), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metadef_namespaces")),
        sa.UniqueConstraint("namespace", name=op.f("uq_metadef_namespaces_namespace")),
    )
    op.create_index("ix_metadef_namespaces_list", "metadef_namespaces", ["created_at", "id"], unique=False)


def _metadef_resource_types() -> None:
    op.create_table(
        "metadef_resource_types",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_metadef_resource_types")),
    )


def _image_locations() -> None:
    op.create_table(
        "image_locations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("store", sa.String(length=255), nullable=False),
        sa.Column("location", sa.String(length=2048), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_image_locations_image_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image_locations")),
    )
    op.create_index("ix_image_locations_image", "image_locations", ["image_id", "position"], unique=False)


def _image_members() -> None:
    op.create_table(
        "image_members",
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("member_id", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_image_members_image_id")),
        sa.PrimaryKeyConstraint("image_id", "member_id", name=op.f("pk_image_members")),
    )
    op.create_index(op.f("ix_image_members_member_id"), "image_members", ["member_id"], unique=False)


def _image_properties() -> None:
    op.create_table(
        "image_properties",
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_image_properties_image_id")),
        sa.PrimaryKeyConstraint("image_id", "name", name=op.f("pk_image_properties")),
    )
    op.create_index("ix_image_properties_name", "image_properties", ["name"], unique=False)


def _image_tags() -> None:
    op.create_table(
        "image_tags",
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("tag", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_image_tags_image_id")),
        sa.PrimaryKeyConstraint("image_id", "tag", name=op.f("pk_image_tags")),
    )
    op.create_index("ix_image_tags_tag", "image_tags", ["tag"], unique=False)


def _metadef_associations() -> None:
    op.create_table(
        "metadef_associations",
        sa.Column("namespace_id", sa.String(length=36), nullable=False),
        sa.Column("resource_type", sa.String(length=80), nullable=False),
        sa.Column("prefix", sa.String(length=80), nullable=True),
        sa.Column("properties_target", sa.String(length=80), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["metadef_namespaces.id"], name=op.f("fk_metadef_associations_namespace_id")
        ),
        sa.ForeignKeyConstraint(
            ["resource_type"], ["metadef_resource_types.name"], name=op.f("fk_metadef_associations_resource_type")
        ),
        sa.PrimaryKeyConstraint("namespace_id", "resource_type", name=op.f("pk_metadef_associations")),
    )


def _metadef_objects() -> None:
    op.create_table(
        "metadef_objects",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("namespace_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("properties", sa.Text(), nullable=False),
        sa.Column("required", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["metadef_namespaces.id"], name=op.f("fk_metadef_objects_namespace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metadef_objects")),
        sa.UniqueConstraint("namespace_id", "name", name=op.f("uq_metadef_objects_namespace_id_name")),
    )


def _metadef_properties() -> None:
    op.create_table(
        "metadef_properties",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("namespace_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["metadef_namespaces.id"], name=op.f("fk_metadef_properties_namespace_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metadef_properties")),
        sa.UniqueConstraint("namespace_id", "name", name=op.f("uq_metadef_properties_namespace_id_name")),
    )


def _metadef_tags() -> None:
    op.create_table(
        "metadef_tags",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("namespace_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["namespace_id"], ["metadef_namespaces.id"], name=op.f("fk_metadef_tags_namespace_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metadef_tags")),
        sa.UniqueConstraint("namespace_id", "name", name=op.f("uq_metadef_tags_namespace_id_name")),
    )
