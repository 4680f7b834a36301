"""Extra specs of a flavor: what it asks of a host beyond sizes. Source: API reference, "Flavors extra-specs".

Values are free text here; what has a meaning (`trait:*`) is read where servers are placed.
"""

from __future__ import annotations

from gureum.foundation import clock
from gureum.foundation.errors import BadRequest, NotFound
from gureum.foundation.http.call import Call
from gureum.foundation.http.routes import Route
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.flavors import rules
from gureum.services.compute.flavors.model import Flavor
from gureum.services.compute.flavors.reach import find_flavor, load_flavor
from gureum.services.compute.flavors.views import FlavorRow

_PREFIX = "os_compute_api:os-flavor-extra-specs:"
INDEX = _PREFIX + "index"
READER = "rule:project_reader_or_admin"

RULES = (
    Rule(INDEX, READER, "List a flavor's extra specs"),
    Rule(_PREFIX + "show", READER, "Show one of a flavor's extra specs"),
    Rule(_PREFIX + "create", "rule:admin", "Add extra specs to a flavor"),
    Rule(_PREFIX + "update", "rule:admin", "Change one of a flavor's extra specs"),
    Rule(_PREFIX + "delete", "rule:admin", "Remove one of a flavor's extra specs"),
)


Specs = dict[str, str | int | float]


def index(call: Call[ComputeDeps], flavor_id: str) -> dict[str, str]:
    return find_flavor(call, flavor_id).extra_specs


def show(call: Call[ComputeDeps], flavor_id: str, key: str) -> dict[str, str]:
    return {key: _held(find_flavor(call, flavor_id), key)}


def create(call: Call[ComputeDeps], body: Specs, flavor_id: str) -> dict[str, str]:
    specs = rules.checked_specs(body)
    _set(load_flavor(call, flavor_id), specs)
    return specs


def update(call: Call[ComputeDeps], body: Specs, flavor_id: str, key: str) -> dict[str, str]:
    if list(body) != [key]:
        raise BadRequest("Request body and URI mismatch")
    specs = rules.checked_specs(body)
    _set(load_flavor(call, flavor_id), specs)
    return specs


def delete(call: Call[ComputeDeps], flavor_id: str, key: str) -> None:
    row = load_flavor(call, flavor_id)
    _held(row, key)
    row.extra_specs = {name: value for name, value in row.extra_specs.items() if name != key}
    row.updated_at = clock.utcnow()


def _held(row: FlavorRow | Flavor, key: str) -> str:
    if key not in row.extra_specs:
        raise NotFound(f"Flavor {row.id} has no extra specs with key {key}.")
    return row.extra_specs[key]


def _set(row: Flavor, specs: dict[str, str]) -> None:
    row.extra_specs = {**row.extra_specs, **specs}
    row.updated_at = clock.utcnow()


_ALL = "/v2.1/flavors/{flavor_id}/os-extra_specs"
_ONE = _ALL + "/{key}"
ROUTES = (
    Route("GET", _ALL, index, INDEX, envelope="extra_specs"),
    Route("POST", _ALL, create, _PREFIX + "create", body=Specs, envelope="extra_specs"),
    Route("GET", _ONE, show, _PREFIX + "show"),
    Route("PUT", _ONE, update, _PREFIX + "update", body=Specs),
    Route("DELETE", _ONE, delete, _PREFIX + "delete"),
)
