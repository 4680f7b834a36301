"""The tables of the placement service. Written by tools/first-revision from the models; not edited by hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "placement_0001"
down_revision = None
branch_labels = ("placement",)
depends_on = None
replaces = "0001"


def upgrade() -> None:
    """Make the tables, those that others refer to first."""
    _consumers()
    _providers()
    _resource_classes()
    _traits()
    _allocations()
    _provider_aggregates()
    _provider_inventories()
    _provider_traits()


def _consumers() -> None:
    op.create_table(
        "consumers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=255), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consumers")),
    )
    op.create_index(op.f("ix_consumers_project_id"), "consumers", ["project_id"], unique=False)


def _providers() -> None:
    op.create_table(
        "providers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("parent_id", sa.String(length=36), nullable=True),
        sa.Column("root_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["providers.id"], name=op.f("fk_providers_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_providers")),
        sa.UniqueConstraint("name", name=op.f("uq_providers_name")),
    )
    op.create_index("ix_providers_age", "providers", ["created_at", "id"], unique=False)
    op.create_index(op.f("ix_providers_root_id"), "providers", ["root_id"], unique=False)


def _resource_classes() -> None:
    op.create_table(
        "resource_classes",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_resource_classes")),
    )


def _traits() -> None:
    op.create_table(
        "traits",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_traits")),
    )


def _allocations() -> None:
    op.create_table(
        "allocations",
        sa.Column("consumer_id", sa.String(length=36), nullable=False),
        sa.Column("provider_id", sa.String(length=36), nullable=False),
        sa.Column("resource_class", sa.String(length=255), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consumer_id"], ["consumers.id"], name=op.f("fk_allocations_consumer_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_allocations_provider_id")),
        sa.PrimaryKeyConstraint("consumer_id", "provider_id", "resource_class", name=op.f("pk_allocations")),
    )
    op.create_index("ix_allocations_provider_id", "allocations", ["provider_id"], unique=False)


def _provider_aggregates() -> None:
    op.create_table(
        "provider_aggregates",
        sa.Column("provider_id", sa.String(length=36), nullable=False),
        sa.Column("aggregate_id", sa.String(length=36), nullable=False),
        sa.Column("shown", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["providers.id"], name=op.f("fk_provider_aggregates_provider_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("provider_id", "aggregate_id", name=op.f("pk_provider_aggregates")),
    )
    op.create_index(op.f("ix_provider_aggregates_aggregate_id"), "provider_aggregates", ["aggregate_id"], unique=False)


def _provider_inventories() -> None:
    op.create_table(
        "provider_inventories",
        sa.Column("provider_id", sa.String(length=36), nullable=False),
        sa.Column("resource_class", sa.String(length=255), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("reserved", sa.Integer(), nullable=False),
        sa.Column("min_unit", sa.Integer(), nullable=False),
        sa.Column("max_unit", sa.Integer(), nullable=False),
        sa.Column("step_size", sa.Integer(), nullable=False),
        sa.Column("allocation_ratio", sa.Double(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["providers.id"], name=op.f("fk_provider_inventories_provider_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("provider_id", "resource_class", name=op.f("pk_provider_inventories")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_provider_inventories_class", "provider_inventories", ["resource_class", "provider_id"], unique=False
    )


def _provider_traits() -> None:
    op.create_table(
        "provider_traits",
        sa.Column("provider_id", sa.String(length=36), nullable=False),
        sa.Column("trait", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["providers.id"], name=op.f("fk_provider_traits_provider_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("provider_id", "trait", name=op.f("pk_provider_traits")),
    )
    op.create_index("ix_provider_traits_trait", "provider_traits", ["trait"], unique=False)
