"""The one way in which building the guest image fails."""

from __future__ import annotations


class GuestImageError(Exception):
    """The guest image cannot be built; the text says why and, where known, the remedy."""
