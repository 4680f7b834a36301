"""Which flavors a caller may see and use. The invariant: a flavor granted to others is not found, whatever is asked."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select

from gureum.foundation.caller import Caller
from gureum.foundation.errors import NotFound
from gureum.foundation.http.call import Call
from gureum.services.compute.flavors.model import Flavor, FlavorAccess


def visible(caller: Caller) -> Select[Any]:
    """All for administrators; public ones and those granted to the project for others."""
    statement = select(Flavor)
    return statement if caller.is_admin else statement.where(open_to(caller))


def open_to(caller: Caller) -> ColumnElement[bool]:
    """Public, or granted to the caller's project."""
    granted = select(FlavorAccess.flavor_id).where(FlavorAccess.project_id == caller.project_id)
    return or_(Flavor.is_public, Flavor.id.in_(granted))


def find_flavor(call: Call[Any], flavor_id: str) -> Flavor:
    """Raises NotFound for a flavor that is not there or not for the caller."""
    row: Flavor | None = call.tx.scalar(visible(call.caller).where(Flavor.id == flavor_id))
    if row is None:
        raise NotFound(f"Flavor {flavor_id} could not be found.")
    return row
