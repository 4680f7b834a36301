"""Recording which ports are up: the engine's word on a row's status, and nothing of the wanted state.

A port is ACTIVE when it is up on the very host that it is bound to: news from a host that it left is old news.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, select, update

from gureum.foundation.db.engine import Tx
from gureum.services.network.context import NetworkContext
from gureum.services.network.ports.model import Port

CHUNK = 2000


def differing(tx: Tx, latest: Mapping[str, tuple[bool, str | None]]) -> dict[str, tuple[bool, str | None]]:
    """Of the latest states, those that would change a row."""
    found = {}
    ids = list(latest)
    for start in range(0, len(ids), CHUNK):
        columns = select(Port.id, Port.status, Port.host).where(Port.id.in_(ids[start : start + CHUNK]))
        for port_id, status, host in tx.execute(columns):
            if _status(latest[port_id], host) != status:
                found[port_id] = latest[port_id]
    return found


def record(tx: Tx, ctx: NetworkContext, changed: Mapping[str, tuple[bool, str | None]]) -> None:
    """Write the states in one transaction; the servers of ports that changed are told about in it."""
    up: defaultdict[str, list[str]] = defaultdict(list)
    down: list[str] = []
    for port_id, (is_up, host) in changed.items():
        if is_up and host:
            up[host].append(port_id)
        else:
            down.append(port_id)
    servers: dict[str, None] = {}
    for host, ids in up.items():
        _set(tx, "ACTIVE", ids, servers, Port.host == host)
    if down:
        _set(tx, "DOWN", down, servers)
    if servers:
        ctx.listener.call(tx, list(servers))


def _set(tx: Tx, status: str, ids: Sequence[str], servers: dict[str, None], *more: ColumnElement[bool]) -> None:
    statement = update(Port).where(Port.id.in_(ids), Port.status != status, *more).values(status=status)
    found = tx.execute(statement.returning(Port.server_id), execution_options={"synchronize_session": False})
    servers.update(dict.fromkeys(server_id for (server_id,) in found if server_id is not None))


def _status(state: tuple[bool, str | None], bound_to: str | None) -> str:
    up, host = state
    return "ACTIVE" if up and bound_to is not None and host == bound_to else "DOWN"
