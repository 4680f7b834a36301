"""What compute holds of a project: counted and deleted for one that is no more."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, func, or_, select

from gureum.foundation import clock, log
from gureum.foundation.db.engine import Tx
from gureum.foundation.leftovers.projects import ProjectResources
from gureum.foundation.tasks.store import Tasks
from gureum.services.compute.servers.groups import ServerGroup
from gureum.services.compute.servers.lifecycle import ServerLifecycle
from gureum.services.compute.servers.model import TASK_KIND, Server, ServerAction

AT_ONCE = 100


def resources(tasks: Tasks) -> ProjectResources:
    """For compute's manifest."""
    return ProjectResources(count, lambda tx, project_id: clean(tasks, tx, project_id))


def count(tx: Tx, project_id: str) -> Mapping[str, int]:
    servers = select(func.count()).select_from(Server)
    groups = select(func.count()).select_from(ServerGroup).where(ServerGroup.project_id == project_id)
    found = {
        "servers": tx.scalar(servers.where(Server.project_id == project_id, Server.deleted_at.is_(None))) or 0,
        "server groups": tx.scalar(groups) or 0,
    }
    return {kind: number for kind, number in found.items() if number}


def clean(tasks: Tasks, tx: Tx, project_id: str) -> None:
    """Send servers to their destroy step, locked ones too; they go by their own tasks. The groups go at once."""
    theirs = (Server.project_id == project_id, Server.deleted_at.is_(None))
    waiting = or_(Server.task_state.is_(None), Server.task_state != "deleting")
    servers = tx.scalars(select(Server).where(*theirs, waiting).order_by(Server.id).limit(AT_ONCE)).all()
    for server in servers:
        server.task_state, server.updated_at = "deleting", clock.utcnow()
        who = {"user_id": "", "project_id": project_id, "request_id": log.request_id.get(), "host": server.host}
        tx.add(ServerAction(server_id=server.id, action="delete", **who))
    tx.flush()
    tasks.signal(tx, TASK_KIND, [server.id for server in servers], divert=ServerLifecycle.destroy)
    tx.execute(delete(ServerGroup).where(ServerGroup.project_id == project_id))
