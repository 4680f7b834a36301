"""Which flavors a caller may see and use. Invariant: no request finds a flavor that is granted only to others."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, or_, select

from gureum.foundation.errors import NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import Own, of_project
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.flavors.model import Flavor, FlavorAccess
from gureum.services.compute.flavors.views import FlavorRow


def open_to(project: Any) -> ColumnElement[bool]:
    """Public, or granted to a project; `project` is its id or a parameter's place."""
    granted = select(FlavorAccess.flavor_id).where(FlavorAccess.project_id == project)
    return or_(Flavor.is_public, Flavor.id.in_(granted))


REACH = of_project(open_to)


_FLAVORS = Own(Flavor, open_to, lambda flavor_id: NotFound(f"Flavor {flavor_id} could not be found."), record=FlavorRow)


def find_flavor(call: Call[ComputeDeps], flavor_id: str) -> FlavorRow:
    """What is shown of a flavor. Raises NotFound for one that is not there or not for the caller."""
    return _FLAVORS.find(call.tx, call.caller, flavor_id)


def load_flavor(call: Call[ComputeDeps], flavor_id: str) -> Flavor:
    """A flavor to be changed. Raises NotFound as `find_flavor` does."""
    return _FLAVORS.load(call.tx, call.caller, flavor_id)
