"""The compute quotas that a request is checked against, and what a project uses of them.

Defaults are the field's own. Source: compute API reference, "Quota sets".
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, func, select

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared
from gureum.foundation.errors import OverQuota
from gureum.foundation.quota import UNLIMITED, limits_of, overruns
from gureum.services.compute.servers.groups import ServerGroup, ServerGroupMember
from gureum.services.compute.servers.model import Server

SERVICE = "compute"
DEFAULTS = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "metadata_items": 128,
    "key_pairs": 100,
    "server_groups": 10,
    "server_group_members": 10,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
    "fixed_ips": -1,
    "floating_ips": -1,
    "security_groups": -1,
    "security_group_rules": -1,
}


_USAGE = Prepared(
    select(
        func.count().label("instances"),
        func.coalesce(func.sum(Server.vcpus), 0).label("cores"),
        func.coalesce(func.sum(Server.ram_mib), 0).label("ram"),
    ).where(Server.project_id == bindparam("project"), Server.deleted_at.is_(None))
)


def usage(tx: Tx, project_id: str) -> dict[str, int]:
    """Instances, cores, ram (MiB) of a project."""
    (used,) = _USAGE.all(tx, project=project_id)
    return {"instances": int(used.instances), "cores": int(used.cores), "ram": int(used.ram)}


def groups_used(tx: Tx, project_id: str) -> int:
    return tx.scalar(select(func.count()).select_from(ServerGroup).where(ServerGroup.project_id == project_id)) or 0


def check_servers(tx: Tx, project_id: str, flavor: dict[str, Any], count: int, metadata_items: int) -> None:
    """Raises OverQuota that names the quota, its limit and its use."""
    limits = limits_of(tx, SERVICE, project_id, DEFAULTS)
    requested = {"instances": count, "cores": count * flavor["vcpus"], "ram": count * flavor["ram"]}
    limited = any(limits[name] != UNLIMITED for name in requested)  # summing reads every server of the project
    over = overruns(limits, usage(tx, project_id), requested) if limited else []
    if over:
        names = ", ".join(item.resource for item in over)
        detail = "; ".join(str(item) for item in over)
        raise OverQuota(f"Quota exceeded for {names}: {detail}")
    _check_metadata(limits, metadata_items)


def check_metadata(tx: Tx, project_id: str, items: int) -> None:
    """Raises OverQuota."""
    _check_metadata(limits_of(tx, SERVICE, project_id, DEFAULTS), items)


def _check_metadata(limits: dict[str, int], metadata_items: int) -> None:
    if 0 <= limits["metadata_items"] < metadata_items:
        limit = limits["metadata_items"]
        raise OverQuota(
            f"Maximum number of metadata items exceeds {limit} (metadata_items: {metadata_items} requested)"
        )


def check_members(tx: Tx, project_id: str, group_id: str, count: int) -> None:
    """Whether a server group takes so many more. Raises OverQuota."""
    limits = limits_of(tx, SERVICE, project_id, DEFAULTS)
    living = (
        select(func.count())
        .select_from(ServerGroupMember)
        .join(Server, Server.id == ServerGroupMember.server_id)
        .where(ServerGroupMember.group_id == group_id, Server.deleted_at.is_(None))
    )
    used = {"server_group_members": tx.scalar(living) or 0}
    for overrun in overruns(limits, used, {"server_group_members": count}):
        raise OverQuota(f"Quota exceeded, too many servers in group ({overrun}).")
