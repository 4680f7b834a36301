"""Availability zones of networks and routers: one, since every host carries every network and router."""

from __future__ import annotations

from collections.abc import Sequence

from gureum.foundation.errors import NotFound

NAMES = ["nova"]


def check(hints: Sequence[str]) -> None:
    """Raises NotFound for a hint that names no zone."""
    for hint in hints:
        if hint not in NAMES:
            raise NotFound(f"AvailabilityZone {hint[:64]} could not be found.", code="AvailabilityZoneNotFound")
