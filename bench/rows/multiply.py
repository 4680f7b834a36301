"""Many servers at once: copies of one server's rows, with its ports and addresses, written straight into the tables.

They run on no host and hold no claim; lists and pages cannot tell.
"""

from __future__ import annotations

import datetime
import ipaddress
from itertools import islice
from typing import Any

from sqlalchemy import func, insert, select

from bench.cloud import Cloud
from gureum.foundation import ids
from gureum.foundation.db.engine import Database
from gureum.services.compute.servers.model import Server
from gureum.services.network.ports.model import IpAllocation, Port, PortGroup

AT_ONCE = 5_000
TABLES: dict[str, Any] = {
    "server": Server.__table__,
    "port": Port.__table__,
    "address": IpAllocation.__table__,
    "group": PortGroup.__table__,
}


def multiply_servers(cloud: Cloud, server_id: str, total: int) -> None:
    """Until there are `total` servers, every copy a second older than the one before it."""
    database = Database(f"sqlite:///{cloud.folder}/gureum.sqlite")
    try:
        original = _original(database, server_id)
        with database.read() as tx:
            present = tx.scalar(select(func.count()).select_from(Server).where(Server.deleted_at.is_(None))) or 0
        copies = (_copy(original, number) for number in range(present, total))
        while batch := list(islice(copies, AT_ONCE)):
            database.write(
                lambda tx, batch=batch: [tx.execute(insert(TABLES[kind]), [c[kind] for c in batch]) for kind in TABLES]
            )  # type: ignore[misc]
    finally:
        database.close()


def _original(database: Database, server_id: str) -> dict[str, dict[str, Any]]:
    with database.read() as tx:

        def row(kind: str, condition: Any) -> dict[str, Any]:
            return dict(tx.execute(select(TABLES[kind]).where(condition)).mappings().first() or {})

        port = row("port", TABLES["port"].c.server_id == server_id)
        return {
            "server": row("server", TABLES["server"].c.id == server_id),
            "port": port,
            "address": row("address", TABLES["address"].c.owner_id == port["id"]),
            "group": row("group", TABLES["group"].c.port_id == port["id"]),
        }


def _copy(original: dict[str, dict[str, Any]], number: int) -> dict[str, dict[str, Any]]:
    server_id, port_id = ids.new_uuid(), ids.new_uuid()
    created = original["server"]["created_at"] - datetime.timedelta(seconds=number)
    address = str(ipaddress.ip_address("100.64.0.0") + number)
    mac = "fa:16:" + ":".join(f"{number >> shift & 255:02x}" for shift in (24, 16, 8, 0))
    return {
        "server": original["server"] | {"id": server_id, "name": f"copy-{number}", "created_at": created, "host": None},
        "port": original["port"]
        | {"id": port_id, "mac": mac, "server_id": server_id, "device_id": server_id, "host": None},
        "address": original["address"] | {"ip": address, "owner_id": port_id},
        "group": original["group"] | {"port_id": port_id},
    }
