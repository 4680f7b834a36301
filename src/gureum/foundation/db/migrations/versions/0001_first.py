"""The first tables."""  # noqa: INP001 - alembic reads the folder by its file names

from __future__ import annotations

from gureum.foundation.db.migrations.first import compute, foundation, identity, image, network, placement

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables, those that others refer to first."""
    for part in (foundation, identity, placement, image, network, compute):
        part.create()
