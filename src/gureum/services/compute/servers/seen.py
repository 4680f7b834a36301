"""Servers as they are read to be shown: their columns, their host's state and their group, in one statement.

`model.ServerRecord` says what is read: a field for each column. Verbs find theirs in `operations.py`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, select

from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.errors import NotFound
from gureum.foundation.http.collections import Own
from gureum.services.compute.hosts.model import Host
from gureum.services.compute.servers.groups import ServerGroupMember
from gureum.services.compute.servers.model import Server, ServerRecord

_GROUP = select(ServerGroupMember.group_id).where(ServerGroupMember.server_id == Server.id).limit(1)
_NOT_ITS_OWN: dict[str, Any] = {
    "host_seen_at": Host.seen_at.label("host_seen_at"),
    "host_forced_down": Host.forced_down.label("host_forced_down"),
    "group_id": _GROUP.scalar_subquery().label("group_id"),
}
EVERY_SERVER: Select[Any] = select(
    *(_NOT_ITS_OWN[name] if name in _NOT_ITS_OWN else getattr(Server, name) for name in ServerRecord.__struct_fields__)
).outerjoin_from(Server, Host, Host.name == Server.host)
"""Every server, deleted ones too, to be narrowed."""


def _missing(server_id: str) -> NotFound:
    return NotFound(f"Instance {server_id} could not be found.")


EVER = Own(
    Server,
    lambda project_id: Server.project_id == project_id,
    _missing,
    source=EVERY_SERVER,
    record=ServerRecord,
)
"""Servers within a caller's reach, deleted ones too."""
LIVING = Own(
    Server,
    lambda project_id: Server.project_id == project_id,
    _missing,
    within=(Server.deleted_at.is_(None),),
    source=EVERY_SERVER,
    record=ServerRecord,
)


def find(tx: Tx, caller: Caller, server_id: str) -> ServerRecord:
    """A living server within the caller's reach. Raises NotFound."""
    return LIVING.find(tx, caller, server_id)
