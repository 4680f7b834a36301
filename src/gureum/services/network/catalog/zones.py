"""Availability zones of networks and routers: one, since every host carries every network and router."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from gureum.foundation.errors import NotFound
from gureum.services.network import errors

NAMES = ["nova"]
Hints = Annotated[list[Annotated[str, Meta(max_length=255)]], Meta(max_length=64)]


def check(hints: Sequence[str]) -> None:
    """Raises BadRequest for a hint twice, NotFound for one that names no zone."""
    if len(set(hints)) != len(hints):
        raise errors.invalid("availability_zone_hints names a zone twice")
    for hint in hints:
        if hint not in NAMES:
            raise NotFound(f"AvailabilityZone {hint[:64]} could not be found.", code="AvailabilityZoneNotFound")
