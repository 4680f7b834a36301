"""Server groups and their members, and what a group's policy means for placing one more member.

Source: compute API reference, "Server groups (os-server-groups)".
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from gureum.foundation import clock
from gureum.foundation.db.engine import Tx
from gureum.foundation.db.types import Id, Json, Name, Row
from gureum.services.compute.servers.hints import hosts_by_hints
from gureum.services.compute.servers.model import Server, WantedServer
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


def living_members(tx: Tx, group_id: str) -> int:
    """How many servers of a group are not deleted."""
    living = (
        select(func.count())
        .select_from(ServerGroupMember)
        .join(Server, Server.id == ServerGroupMember.server_id)
        .where(ServerGroupMember.group_id == group_id, Server.deleted_at.is_(None))
    )
    return tx.scalar(living) or 0


def wish_of(tx: Tx, server: WantedServer, tried: frozenset[str]) -> Wish:
    """Where the server may go, by its request and by its group."""
    scheduling = server.scheduling
    wish = Wish(scheduling.get("zone"), scheduling.get("host"), tried, **hosts_by_hints(tx, scheduling))
    group = tx.get(ServerGroup, scheduling["group"]) if scheduling.get("group") else None
    return wish if group is None else _with_group(tx, server, group, wish)


def _with_group(tx: Tx, server: WantedServer, group: ServerGroup, wish: Wish) -> Wish:
    names = tx.scalars(
        select(Server.host)
        .join(ServerGroupMember, ServerGroupMember.server_id == Server.id)
        .where(
            ServerGroupMember.group_id == group.id,
            Server.id != server.id,
            Server.deleted_at.is_(None),
            Server.host.isnot(None),
        )
    ).all()
    most = int(group.rules.get("max_server_per_host", 1))
    hosts = frozenset(name for name in names if name)
    crowded = frozenset(name for name in hosts if names.count(name) >= most)
    match group.policy:
        case "affinity":
            return replace(wish, near=hosts)
        case "anti-affinity":
            return replace(wish, apart=crowded)
        case "soft-affinity":
            return replace(wish, prefer_near=hosts)
        case _:
            return replace(wish, prefer_apart=hosts)


def groups_of(tx: Tx, server_id: str) -> list[str]:
    """The ids of the groups that a server is a member of: one at most."""
    statement = select(ServerGroupMember.group_id).where(ServerGroupMember.server_id == server_id)
    return list(tx.scalars(statement))
