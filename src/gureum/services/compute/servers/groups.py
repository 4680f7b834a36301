"""Server groups and their members, and what a group's policy means for placing one more member.

Source: compute API reference, "Server groups (os-server-groups)".
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.types import Id, Json, Name, Row
from gureum.services.compute.servers.model import Server
from gureum.services.compute.servers.rules import Wish


class ServerGroup(Row):
    """`policy` is affinity, anti-affinity, soft-affinity or soft-anti-affinity; `rules` holds max_server_per_host."""

    __tablename__ = "server_groups"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    project_id: Mapped[str] = mapped_column(Id, index=True)
    user_id: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(Name)
    policy: Mapped[str] = mapped_column(String(32))
    rules: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    created_at: Mapped[datetime] = mapped_column(default=clock.utcnow)


class ServerGroupMember(Row):
    __tablename__ = "server_group_members"

    group_id: Mapped[str] = mapped_column(ForeignKey("server_groups.id", ondelete="CASCADE"), primary_key=True)
    server_id: Mapped[str] = mapped_column(Id, primary_key=True, index=True)


def wish_of(tx: Tx, server: Any, tried: frozenset[str]) -> Wish:
    """Where the server may go, by its request and by its group."""
    asked = server.scheduling
    zone, host = asked.get("zone"), asked.get("host")
    group_id = asked.get("group")
    if not group_id:
        return Wish(zone, host, tried)
    group = tx.get(ServerGroup, group_id)
    if group is None:
        return Wish(zone, host, tried)
    found = tx.scalars(
        select(Server.host)
        .join(ServerGroupMember, ServerGroupMember.server_id == Server.id)
        .where(
            ServerGroupMember.group_id == group_id,
            Server.id != server.id,
            Server.deleted_at.is_(None),
            Server.host.isnot(None),
        )
    ).all()
    most = int(group.rules.get("max_server_per_host", 1))
    hosts = frozenset(name for name in found if name)
    crowded = frozenset(name for name in hosts if found.count(name) >= most)
    return {
        "affinity": Wish(zone, host, tried, near=hosts),
        "anti-affinity": Wish(zone, host, tried, apart=crowded),
        "soft-affinity": Wish(zone, host, tried, prefer_near=hosts),
        "soft-anti-affinity": Wish(zone, host, tried, prefer_apart=hosts),
    }[group.policy]
