"""Wanted rows of the northbound database: what the mapping says and what `northbound.py` writes.

Not connected to anything: plain values, so that the mapping is a pure function. Each row is named by the thing that it
belongs to and by its role in it. Invariant: one role names at most one row of a thing; the thing's main row has
the role "" and says how many rows there are, so that a missing one is seen.
Read next: `switches.py`, `routers.py`, `groups.py` (the mapping), `northbound.py` (the writing).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gureum.drivers.network.things import Key

PARENT_COLUMN = {
    "Logical_Switch_Port": "ports",
    "Logical_Router_Port": "ports",
    "Logical_Router_Static_Route": "static_routes",
    "NAT": "nat",
    "ACL": "acls",
    "Gateway_Chassis": "gateway_chassis",
}
"""Tables whose rows live only while the column of another row holds them (ovn-nb(5): not root tables)."""


class RowKey(NamedTuple):
    """Names one row: the thing's kind and id, and the row's role in the thing ("" is its main row)."""

    kind: str
    id: str
    role: str = ""


Value = str | int | list[str] | list[int] | list[bool] | list[RowKey] | Mapping[str, str]
"""A column: sets and optional values are lists, a RowKey stands for a reference to that row."""


@dataclass(frozen=True, slots=True)
class WantedRow:
    """One row: exactly these columns, and `labels` beside the driver's own in external_ids."""

    key: RowKey
    table: str
    columns: Mapping[str, Value]
    parent: RowKey | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that one thing is in the northbound database; its port belongs to `groups` (port group rows)."""

    key: Key | tuple[str, str]
    revision: int
    references: tuple[Key, ...]
    rows: tuple[WantedRow, ...]
    groups: tuple[RowKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the mapping of one thing must know of others."""

    chassis_of: Callable[[str], str]  # host name -> chassis name
    ra_mode_of: Callable[[str], str | None]  # network id -> the router advertisement mode of its IPv6 subnets
