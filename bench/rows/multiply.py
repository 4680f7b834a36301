"""Rows in numbers: copies of what the API made once, written straight into the tables through the models.

Copied servers run on no host and hold no claim, copied users have no role: lists and pages cannot tell.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from sqlalchemy import func, insert, select

from bench.cloud import Cloud
from gureum.foundation import ids
from gureum.foundation.db.engine import Database
from gureum.services.compute.servers.model import Server
from gureum.services.network.ports.model import IpAllocation, Port, PortGroup

AT_ONCE = 5_000
Values = dict[str, Any]


@contextmanager
def database_of(cloud: Cloud) -> Iterator[Database]:
    """The cloud's own database, opened beside it."""
    database = Database(f"sqlite:///{cloud.folder}/gureum.sqlite")
    try:
        yield database
    finally:
        database.close()


def row_of(database: Database, model: Any, **values: Any) -> Values:
    """The columns of one row. Raises LookupError when there is none."""
    table = model.__table__
    statement = select(table).where(*(table.c[name] == value for name, value in values.items()))
    with database.read() as tx:
        found = tx.execute(statement).mappings().first()
    if found is None:
        raise LookupError(f"{table.name} holds no row with {values}")
    return dict(found)


def count_of(database: Database, model: Any) -> int:
    """How many rows a table holds."""
    with database.read() as tx:
        return int(tx.scalar(select(func.count()).select_from(model)) or 0)


def add(database: Database, model: Any, rows: Iterator[Values]) -> None:
    """Write many rows, some thousands in a transaction."""
    while batch := list(islice(rows, AT_ONCE)):
        _write(database, [(model, batch)])


def _write(database: Database, batches: list[tuple[Any, list[Values]]]) -> None:
    def work(tx: Any) -> None:
        for model, rows in batches:
            tx.execute(insert(model.__table__), rows)

    database.write(work)


def multiply(cloud: Cloud, model: Any, original: Values, total: int, change: Callable[[int], Values]) -> None:
    """Copies of `original` with what `change(number)` says, until the table holds `total` rows."""
    with database_of(cloud) as database:
        numbers = range(count_of(database, model), total)
        add(database, model, (original | change(number) for number in numbers))


def multiply_servers(cloud: Cloud, server_id: str, total: int) -> None:
    """Until there are `total` servers with a port and an address each, every copy a second older than the one before."""
    with database_of(cloud) as database:
        port = row_of(database, Port, server_id=server_id)
        originals = (
            row_of(database, Server, id=server_id),
            port,
            row_of(database, IpAllocation, owner_id=port["id"]),
            row_of(database, PortGroup, port_id=port["id"]),
        )
        numbers = iter(range(count_of(database, Server), total))
        while batch := [_copy(originals, number) for number in islice(numbers, AT_ONCE)]:
            columns = [list(rows) for rows in zip(*batch, strict=True)]
            _write(database, list(zip((Server, Port, IpAllocation, PortGroup), columns, strict=True)))


def _copy(originals: tuple[Values, ...], number: int) -> tuple[Values, ...]:
    server, port, address, group = originals
    server_id, port_id = ids.new_uuid(), ids.new_uuid()
    created = server["created_at"] - datetime.timedelta(seconds=number)
    mac = "fa:16:" + ":".join(f"{number >> shift & 255:02x}" for shift in (24, 16, 8, 0))
    return (
        server | {"id": server_id, "name": f"copy-{number}", "created_at": created, "host": None},
        port | {"id": port_id, "mac": mac, "server_id": server_id, "device_id": server_id, "host": None},
        address | {"ip": str(ipaddress.ip_address("100.64.0.0") + number), "owner_id": port_id},
        group | {"port_id": port_id},
    )
