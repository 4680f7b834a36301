"""Servers as they are read to be shown: their columns, their host's state and their group, in one statement.

The rows are tuples: what the API shows is never written back. Verbs find theirs in `operations.py`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, bindparam, select

from gureum.foundation.caller import Caller
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, row_type
from gureum.foundation.errors import NotFound
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

_LIVING = EVERY_SERVER.where(Server.id == bindparam("server_id"), Server.deleted_at.is_(None))
_ANY = Prepared(_LIVING, SeenServer)
_OWN = Prepared(_LIVING.where(Server.project_id == bindparam("project_id")), SeenServer)


def find(tx: Tx, caller: Caller, server_id: str) -> Any:
    """A living server within the caller's reach. Raises NotFound."""
    if caller.is_admin:
        found = _ANY.first(tx, server_id=server_id)
    else:
        found = _OWN.first(tx, server_id=server_id, project_id=caller.project_id)
    if found is None:
        raise NotFound(f"Instance {server_id} could not be found.")
    return found
