"""Servers as they are read to be shown: their columns, their host's state and their group, in one statement.

The rows are tuples: what the API shows is never written back. Verbs find theirs in `operations.py`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import row_type
from gureum.foundation.errors import NotFound
from gureum.foundation.http.collections import Own
from gureum.services.compute.hosts.model import Host
from gureum.services.compute.servers.groups import ServerGroupMember
from gureum.services.compute.servers.model import Server, Worded

_GROUP = select(ServerGroupMember.group_id).where(ServerGroupMember.server_id == Server.id).limit(1)

_NEVER_SHOWN = ("files",)
"""Columns that may be large and that only the server's guest reads."""

EVERY_SERVER: Select[Any] = select(
    *(column for column in Server.__table__.c if column.key not in _NEVER_SHOWN),
    Host.seen_at.label("host_seen_at"),
    Host.forced_down.label("host_forced_down"),
    _GROUP.scalar_subquery().label("group_id"),
).outerjoin_from(Server, Host, Host.name == Server.host)
"""Every server, deleted ones too, to be narrowed."""

SeenServer: Any = row_type(EVERY_SERVER, Worded)
"""A row of it."""


def _missing(server_id: str) -> NotFound:
    return NotFound(f"Instance {server_id} could not be found.")


EVER: Own[Server, Any] = Own(Server, lambda project_id: Server.project_id == project_id, _missing)
"""Servers within a caller's reach, deleted ones too."""
LIVING = Own(
    Server,
    lambda project_id: Server.project_id == project_id,
    _missing,
    within=(Server.deleted_at.is_(None),),
    source=EVERY_SERVER,
    record=SeenServer,
)


def find(tx: Tx, caller: Caller, server_id: str) -> Any:
    """A living server within the caller's reach. Raises NotFound."""
    return LIVING.find(tx, caller, server_id)
