"""Routes of flavors, and the flavors that every cloud begins with. Source: compute API reference, "Flavors".

Extra specs stand in `extra_specs.py`, access of projects in `access.py`.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import select, true
from sqlalchemy.orm import InstrumentedAttribute

from gureum.foundation import clock, ids
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import BadRequest, Conflict
from gureum.foundation.http import filters
from gureum.foundation.http.call import Call
from gureum.foundation.http.collections import PARAMETERS, Collection, Condition, Page, Reach, Special, Viewer, links
from gureum.foundation.http.routes import Route
from gureum.foundation.http.versioned import Since
from gureum.foundation.http.views import Listed
from gureum.foundation.policy import Rule
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.flavors import access, extra_specs, rules
from gureum.services.compute.flavors.model import Flavor
from gureum.services.compute.flavors.reach import REACH, find_flavor, load_flavor, open_to
from gureum.services.compute.flavors.views import FlavorName, FlavorRow, FlavorView, name_of, view_of
from gureum.services.compute.pages import CLOSED, PAGES, check_paging
from gureum.services.compute.words import Flag

READ = "os_compute_api:flavors"
MANAGE = "os_compute_api:os-flavor-manage:"

RULES = (
    Rule(READ, "@", "List and show flavors", unbounded="`reach.open_to` is part of each query"),
    Rule(MANAGE + "create", "rule:admin", "Create a flavor"),
    Rule(MANAGE + "update", "rule:admin", "Change a flavor's description"),
    Rule(MANAGE + "delete", "rule:admin", "Delete a flavor"),
    *extra_specs.RULES,
    *access.RULES,
)

Amount = Annotated[int, Meta(ge=0, le=rules.MOST)] | Annotated[str, Meta(pattern=r"^[0-9]{1,10}\Z")]
_RENAMED = {"ephemeral": "OS-FLV-EXT-DATA:ephemeral", "is_public": "os-flavor-access:is_public"}
Description = Annotated[str, Meta(max_length=65535)]


class NewFlavor(Struct, forbid_unknown_fields=True, kw_only=True, rename=_RENAMED):
    """`ram` and `swap` in MiB, `disk` and `ephemeral` in GiB."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    ram: Amount
    vcpus: Amount
    disk: Amount
    id: Annotated[str, Meta(max_length=255, pattern=r"^[a-zA-Z0-9. _\-]*\Z")] | int | None = None
    swap: Amount = 0
    ephemeral: Amount = 0
    rxtx_factor: float | Annotated[str, Meta(pattern=r"^[0-9]{1,40}(\.[0-9]{1,40})?\Z")] = 1.0
    is_public: Flag = True
    description: Annotated[Description | None, Since(2, 55)] = None


class Change(Struct, forbid_unknown_fields=True):
    description: Description | UnsetType | None = UNSET


def _wanted(call: Call[ComputeDeps]) -> bool | None:
    """Which flavors an administrator asks for: public ones by default, None with `is_public=none` for both kinds."""
    is_public = call.param("is_public")
    if is_public is None:
        return True
    return None if is_public.lower() == "none" else _public(is_public)


def _shown(call: Call[ComputeDeps], viewer: Viewer) -> list[Condition]:
    if not call.caller.is_admin:
        return [Flavor.disabled.is_(False)]
    is_public = _wanted(call)
    if is_public is None:
        return []
    return [open_to(viewer.project_id) if is_public else Flavor.is_public.is_(False)]


def _at_least(name: str, column: InstrumentedAttribute[int]) -> Special:
    """A filter by the least amount; one without a value says nothing."""

    def condition(_call: Call[ComputeDeps], values: list[str]) -> Condition:
        return column >= _amount(name, values[-1]) if values[-1] else true()

    return condition


def _public(text: str) -> bool:
    try:
        return filters.boolean("is_public", text)
    except BadRequest as error:
        raise BadRequest(f"Invalid is_public filter [{text[:64]}]") from error


def _amount(name: str, text: str) -> int:
    try:
        return filters.integer(name, text, minimum=-rules.MOST)
    except BadRequest as error:
        raise BadRequest(f"Invalid {name} filter [{text[:64]}]") from error


FLAVORS = Collection(
    name="flavors",
    model=Flavor,
    reach=Reach(
        REACH.conditions,
        lambda call: (call.caller.is_admin, call.caller.is_admin and _wanted(call)),
        frozenset({"is_public"}),
    ),
    shown=_shown,
    special={"minRam": _at_least("minRam", Flavor.ram_mib), "minDisk": _at_least("minDisk", Flavor.root_gib)},
    sort_keys={
        "created_at": Flavor.created_at,
        "description": Flavor.description,
        "disabled": Flavor.disabled,
        "ephemeral_gb": Flavor.ephemeral_gib,
        "flavorid": Flavor.id,
        "id": Flavor.id,
        "is_public": Flavor.is_public,
        "memory_mb": Flavor.ram_mib,
        "name": Flavor.name,
        "root_gb": Flavor.root_gib,
        "rxtx_factor": Flavor.rxtx_factor,
        "swap": Flavor.swap_mib,
        "updated_at": Flavor.updated_at,
        "vcpus": Flavor.vcpus,
    },
    pages=PAGES,
    links=links.next_in("flavors_links"),
    record=FlavorRow,
)


def _page(call: Call[ComputeDeps]) -> Page[FlavorRow]:
    check_paging(call, "flavorid")
    return FLAVORS.page(call)


def index(call: Call[ComputeDeps]) -> Listed[FlavorName]:
    page = _page(call)
    return FLAVORS.listed(call, page, [name_of(call, row) for row in page.rows])


def detail(call: Call[ComputeDeps]) -> Listed[FlavorView]:
    page = _page(call)
    specs = _specs_shown(call)
    return FLAVORS.listed(call, page, [view_of(call, row, specs=specs) for row in page.rows])


def show(call: Call[ComputeDeps], flavor_id: str) -> FlavorView:
    return view_of(call, find_flavor(call, flavor_id), specs=_specs_shown(call))


def create(call: Call[ComputeDeps], body: NewFlavor) -> FlavorView:
    name, chosen = rules.checked_name(body.name), rules.checked_id(body.id)
    if call.tx.scalar(select(Flavor.id).where(Flavor.name == name)) is not None:
        raise Conflict(f"Flavor with name {name} already exists.")
    if chosen is not None and call.tx.get(Flavor, chosen) is not None:
        raise Conflict(f"Flavor with ID {chosen} already exists.")
    row = Flavor(
        id=chosen or ids.new_uuid(),
        name=name,
        vcpus=rules.number("vcpus", body.vcpus, 1),
        ram_mib=rules.number("ram", body.ram, 1),
        root_gib=rules.number("disk", body.disk),
        ephemeral_gib=rules.number("ephemeral", body.ephemeral),
        swap_mib=rules.number("swap", body.swap),
        rxtx_factor=rules.factor(body.rxtx_factor),
        is_public=body.is_public if isinstance(body.is_public, bool) else filters.boolean("is_public", body.is_public),
        disabled=False,
        description=body.description,
        extra_specs={},
    )
    call.tx.add(row)
    return view_of(call, row, specs=_specs_shown(call))


def update(call: Call[ComputeDeps], body: Change, flavor_id: str) -> FlavorView:
    if body.description is UNSET:
        raise BadRequest("Invalid input for field/attribute flavor: 'description' is a required property.")
    row = load_flavor(call, flavor_id)
    row.description = body.description
    row.updated_at = clock.utcnow()
    return view_of(call, row, specs=_specs_shown(call))


def delete(call: Call[ComputeDeps], flavor_id: str) -> None:
    """Servers keep their own copy of the flavor, so it may go while they stay."""
    call.tx.delete(load_flavor(call, flavor_id))


def _specs_shown(call: Call[ComputeDeps]) -> bool:
    return call.allows(extra_specs.INDEX, **call.own_target())


FIRST = (
    ("42", "m1.nano", 1, 128, 1),
    ("84", "m1.micro", 1, 192, 1),
    ("1", "m1.tiny", 1, 512, 1),
    ("2", "m1.small", 1, 2048, 20),
    ("3", "m1.medium", 2, 4096, 40),
    ("4", "m1.large", 4, 8192, 80),
)
"""id, name, vcpus, memory in MiB, root disk in GiB: the names and sizes that the field's guides use."""


def bootstrap_flavors(tx: Tx) -> None:
    """Make the first flavors; idempotent, and an operator's own flavor of that id or name is left alone."""
    taken = {value for row in tx.execute(select(Flavor.id, Flavor.name)) for value in row}
    for id_, name, vcpus, ram_mib, root_gib in FIRST:
        if id_ not in taken and name not in taken:
            tx.add(Flavor(id=id_, name=name, vcpus=vcpus, ram_mib=ram_mib, root_gib=root_gib, extra_specs={}))


_ALL = "/v2.1/flavors"
_ONE = _ALL + "/{flavor_id}"
_QUERY = (*PARAMETERS, "is_public", "minDisk", "minRam")
ROUTES = (
    Route("GET", _ALL, index, READ, envelope="flavors", query=_QUERY, closed=CLOSED),
    Route("GET", _ALL + "/detail", detail, READ, envelope="flavors", query=_QUERY, closed=CLOSED),
    Route("POST", _ALL, create, MANAGE + "create", body=NewFlavor, envelope="flavor"),
    Route("GET", _ONE, show, READ, envelope="flavor"),
    Route("PUT", _ONE, update, MANAGE + "update", body=Change, envelope="flavor", since=(2, 55)),
    Route("DELETE", _ONE, delete, MANAGE + "delete", 202),
    *extra_specs.ROUTES,
    *access.ROUTES,
)
