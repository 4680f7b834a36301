"""Flavors as the API shows them, and what is read of them for it. Source: compute API reference, "Flavors"."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from gureum.foundation.http.call import Call
from gureum.foundation.http.versioned import Since, Takes
from gureum.foundation.http.views import Link, View
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.flavors.model import Flavor
from gureum.services.compute.servers.views import links


class FlavorRow(Struct, frozen=True, gc=False):
    """What is read of a flavor to be shown."""

    id: str
    name: str
    description: str | None
    vcpus: int
    ram_mib: int
    root_gib: int
    swap_mib: int
    ephemeral_gib: int
    disabled: bool
    is_public: bool
    rxtx_factor: float
    extra_specs: dict[str, str]


class FlavorName(View):
    """A flavor in a list without details."""

    id: str
    name: str
    description: Annotated[str | None, Since(2, 55)]
    links: list[Link]


class FlavorView(FlavorName):
    """Before 2.75 no swap is an empty text."""

    vcpus: int
    ram: int
    disk: int
    swap: Annotated[int | Literal[""], Takes((2, 75), int)]
    ephemeral: int = msgspec.field(name="OS-FLV-EXT-DATA:ephemeral")
    disabled: bool = msgspec.field(name="OS-FLV-DISABLED:disabled")
    is_public: bool = msgspec.field(name="os-flavor-access:is_public")
    rxtx_factor: float
    extra_specs: Annotated[dict[str, str] | UnsetType, Since(2, 61)] = UNSET


def name_of(call: Call[ComputeDeps], row: FlavorRow) -> FlavorName:
    return FlavorName(row.id, row.name, row.description, links(call, "flavors", row.id))


def view_of(call: Call[ComputeDeps], row: FlavorRow | Flavor, *, specs: bool) -> FlavorView:
    return FlavorView(
        row.id,
        row.name,
        row.description,
        links(call, "flavors", row.id),
        row.vcpus,
        row.ram_mib,
        row.root_gib,
        row.swap_mib if call.at_least(2, 75) else row.swap_mib or "",
        row.ephemeral_gib,
        row.disabled,
        row.is_public,
        row.rxtx_factor,
        row.extra_specs if specs else UNSET,
    )
