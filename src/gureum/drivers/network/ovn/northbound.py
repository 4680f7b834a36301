"""Writes pictures of things into the northbound database: one batch, one transaction.

It compares each picture with the rows held and writes the difference; it does not know what a row means. Invariants:
nothing of a batch is written unless all its references lead somewhere; the cost is that of the batch, whatever else the
database holds; a column that already has its value is not written, so an unchanged batch is no transaction.
Read next: `rows.py`, `index.py`, `replica.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, cast

from gureum.drivers.network.interface import NetworkDriverError
from gureum.drivers.network.ovn.index import HeldRow, Index, external_ids, groups_of
from gureum.drivers.network.ovn.rows import PARENT_COLUMN, Picture, RowKey, Value, WantedRow
from gureum.drivers.network.ovn.switches import DHCP_COLUMN, LABEL_DHCP
from gureum.drivers.network.things import CONTAINED, Key

DATABASE = "OVN_Northbound"
COLUMNS: Mapping[str, Sequence[str]] = {
    "NB_Global": ("nb_cfg",),
    "Logical_Switch": ("name", "ports", "other_config", "external_ids"),
    "Logical_Switch_Port": (
        *("name", "type", "options", "addresses", "port_security", "enabled", "tag"),
        *("dhcpv4_options", "dhcpv6_options", "external_ids"),
    ),
    "DHCP_Options": ("cidr", "options", "external_ids"),
    "Port_Group": ("name", "ports", "acls", "external_ids"),
    "ACL": ("priority", "direction", "match", "action", "external_ids"),
    "Logical_Router": ("name", "enabled", "options", "ports", "static_routes", "nat", "external_ids"),
    "Logical_Router_Port": (
        *("name", "mac", "networks", "options", "ipv6_ra_configs", "gateway_chassis", "external_ids"),
    ),
    "Logical_Router_Static_Route": ("ip_prefix", "nexthop", "output_port", "external_ids"),
    "NAT": ("type", "external_ip", "logical_ip", "logical_port", "external_mac", "external_ids"),
    "Gateway_Chassis": ("name", "chassis_name", "priority", "external_ids"),
}
"""The tables and columns that are replicated: no more, for memory's sake."""

_ROOT_TABLES = frozenset(COLUMNS) - frozenset(PARENT_COLUMN)


def with_contents(remove: Iterable[Key], wanted: Collection[Key], index: Index) -> set[Key]:
    """The keys of `remove` that exist, and those of what these contain unless it is wanted."""
    leaving: set[Key] = set()
    pending = [key for key in remove if index.rows_of(key)]
    while pending:
        key = pending.pop()
        leaving.add(key)
        inside = CONTAINED.get(key[0], ())
        pending.extend(
            other
            for other in index.referrers(key)
            if other[0] in inside and other not in wanted and other not in leaving
        )
    return leaving


class BatchWriter:
    """One transaction in the making. Use it once, inside `Replica.transact`."""

    def __init__(self, owner: str, index: Index, txn: Any) -> None:
        self._owner = owner
        self._index = index
        self._txn = txn
        self._tables = txn.idl.tables
        self._placed: dict[RowKey, Any] = {}
        self._gone: set[RowKey] = set()

    def write(self, pictures: Sequence[Picture], leaving: Iterable[Key]) -> None:
        """Make the rows of `pictures` so and take away everything of the things in `leaving`."""
        superseded: list[HeldRow] = [held for key in leaving for held in self._index.rows_of(key).values()]
        inserted: list[WantedRow] = []
        for picture in pictures:
            inserted.extend(self._place(picture, superseded))
        self._gone.update(held.key for held in superseded if held.key not in self._placed)
        for picture in pictures:
            for wanted in picture.rows:
                self._fill(self._placed[wanted.key], wanted, external_ids(self._owner, picture, wanted))
        for wanted in inserted:
            if wanted.parent is not None:
                parent = self._find(wanted.parent)
                parent.addvalue(PARENT_COLUMN[wanted.table], self._placed[wanted.key].uuid)
        for held in superseded:
            self._take_away(held)
        self._join_groups(pictures)
        self._relink(inserted, {picture.key for picture in pictures})

    def _place(self, picture: Picture, superseded: list[HeldRow]) -> list[WantedRow]:
        held_rows = dict(self._index.rows_of(cast("Key", picture.key)))
        inserted = []
        for wanted in picture.rows:
            held = held_rows.get(wanted.key.role)
            if held is not None and held.table == wanted.table and held.parent == wanted.parent:
                del held_rows[wanted.key.role]
                self._placed[wanted.key] = held.row
            else:
                self._placed[wanted.key] = self._txn.insert(self._tables[wanted.table])
                inserted.append(wanted)
        superseded.extend(held_rows.values())
        return inserted

    def _find(self, key: RowKey) -> Any:
        row = self._placed.get(key)
        if row is None and key not in self._gone:
            held = self._index.row(key)
            row = None if held is None else held.row
        if row is None:
            raise NetworkDriverError(f"row {' '.join(key)} is missing")
        return row

    def _fill(self, row: Any, wanted: WantedRow, labels: Mapping[str, str]) -> None:
        for column, value in wanted.columns.items():
            self._set(row, column, value)
        self._set(row, "external_ids", labels)

    def _set(self, row: Any, column: str, value: Value) -> None:
        concrete: Any = value
        if isinstance(value, list):
            concrete = [self._find(one).uuid if isinstance(one, RowKey) else one for one in value]
        if _holds(row, column, concrete):
            return
        setattr(row, column, concrete)
        # The library logs a value that the schema does not allow, and drops it.
        if column not in vars(row)["_changes"]:
            raise NetworkDriverError(f"the database takes no {value!r} as {column}")

    def _take_away(self, held: HeldRow) -> None:
        if held.table in _ROOT_TABLES:
            held.row.delete()
            return
        if held.parent is None or held.parent in self._gone:
            return
        parent = self._placed.get(held.parent)
        if parent is None:
            parent_held = self._index.row(held.parent)
            parent = None if parent_held is None else parent_held.row
        if parent is not None:
            parent.delvalue(PARENT_COLUMN[held.table], held.row.uuid)

    def _join_groups(self, pictures: Sequence[Picture]) -> None:
        """Put ports into their groups. Adding a member twice is no change, so none has to be looked for."""
        for picture in pictures:
            if picture.key[0] == "port":
                row = self._placed[RowKey(*picture.key)]
                held = self._index.row(RowKey(*picture.key))
                before = groups_of(held.labels) if held is not None and held.row is row else set()
                for group in before.difference(picture.groups):
                    self._leave(group, row)
                for group in picture.groups:
                    self._find(group).addvalue("ports", row.uuid)

    def _leave(self, group: RowKey, row: Any) -> None:
        held = self._index.row(group)
        if held is not None and group not in self._gone:
            held.row.delvalue("ports", row.uuid)

    def _relink(self, inserted: Iterable[WantedRow], batch: Collection[tuple[str, str]]) -> None:
        """A group or subnet that comes (back) is given the ports that refer to it already."""
        for wanted in inserted:
            if wanted.table not in {"Port_Group", "DHCP_Options"}:
                continue
            for key in self._index.referrers(cast("Key", wanted.key[:2])):
                held = self._index.row(RowKey(*key))
                if key[0] != "port" or key in batch or held is None or held.key in self._gone:
                    continue
                if wanted.table == "Port_Group" and wanted.key in groups_of(held.labels):
                    self._placed[wanted.key].addvalue("ports", held.row.uuid)
                for version, column in DHCP_COLUMN.items():
                    if wanted.table == "DHCP_Options" and held.labels.get(LABEL_DHCP[version]) == wanted.key.id:
                        self._set(held.row, column, [wanted.key])


def _holds(row: Any, column: str, value: Any) -> bool:
    try:
        current = getattr(row, column)
    except AttributeError:  # a new row has no columns yet; empty is what the database fills in
        return value in ([], {}, "")
    if isinstance(value, list):
        return {_plain(one) for one in current} == {_plain(one) for one in value}
    return bool(current == value)


def _plain(value: Any) -> Any:
    return getattr(value, "uuid", value) if not isinstance(value, uuid.UUID) else value
