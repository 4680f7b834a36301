"""Recording which ports are up: the engine's word on a row's status, and nothing of the wanted state.

A port is ACTIVE when it is up on the very host that it is bound to: news from a host that it left is old news.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, select, update

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, only, table_of
from gureum.services.network.context import NetworkContext
from gureum.services.network.events import PortsChanged
from gureum.services.network.ports.model import Port

CHUNK = 2000


def differing(tx: Tx, latest: Mapping[str, tuple[bool, str | None]]) -> dict[str, tuple[bool, str | None]]:
    """Of the latest states, those that would change a row."""
    found = {}
    ids = list(latest)
    for start in range(0, len(ids), CHUNK):
        for port_id, status, host in _STATES.all(tx, ports=ids[start : start + CHUNK]):
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
        _tell(servers, _RAISE.all(tx, ports=ids, on=host))
    if down:
        _tell(servers, _LOWER.all(tx, ports=down))
    if servers:
        ctx.events.emit(tx, PortsChanged(tuple(servers)))


_THESE = Port.id.in_(bindparam("ports", expanding=True))
_STATES = Prepared(select(Port.id, Port.status, Port.host).where(_THESE))
_RAISE = Prepared(
    update(table_of(Port))
    .where(_THESE, Port.status != "ACTIVE", Port.host == bindparam("on"))
    .values(status="ACTIVE")
    .returning(Port.server_id),
    make=only,
)
_LOWER = Prepared(
    update(table_of(Port)).where(_THESE, Port.status != "DOWN").values(status="DOWN").returning(Port.server_id),
    make=only,
)


def _tell(servers: dict[str, None], changed: Sequence[str | None]) -> None:
    servers.update(dict.fromkeys(server_id for server_id in changed if server_id is not None))


def _status(state: tuple[bool, str | None], bound_to: str | None) -> str:
    up, host = state
    return "ACTIVE" if up and bound_to is not None and host == bound_to else "DOWN"
