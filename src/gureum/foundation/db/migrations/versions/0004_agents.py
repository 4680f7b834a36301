"""The directory of hosts: a row for each agent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "foundation_0004"
down_revision = "foundation_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; the next heartbeats fill it."""
    op.create_table(
        "agents",
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("started_at", sa.Float(precision=53), nullable=False),
        sa.Column("seen_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("kind", "host", name=op.f("pk_agents")),
    )
