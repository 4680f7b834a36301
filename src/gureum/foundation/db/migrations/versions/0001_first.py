"""The first tables."""

revision = "0001"
down_revision = None
