"""The compute quotas that a request is checked against, and what a project uses of them.

Defaults are the field's own; `foundation/quota.py` says which limit wins. Sources: compute API reference, "Quota sets";
compute administration guide, "Manage unified limits quotas", for the names of unified limits.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, func, select

from gureum.foundation.db.engine import Tx
from gureum.foundation.db.prepared import Prepared, as_tuple
from gureum.foundation.errors import OverQuota
from gureum.foundation.quota import UNLIMITED, Overrun, UnifiedLimits, limits_with_user, overruns
from gureum.foundation.quota import limits_of as limits_in_force
from gureum.services.compute.class_quotas import class_overruns
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.servers.groups import ServerGroup, ServerGroupMember
from gureum.services.compute.servers.model import Server
from gureum.services.identity.facade import projects_inside

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

UNIFIED = {
    "instances": "servers",
    "cores": "class:VCPU",
    "ram": "class:MEMORY_MB",
    "metadata_items": "server_metadata_items",
    "key_pairs": "server_key_pairs",
    "server_groups": "server_groups",
    "server_group_members": "server_group_members",
    "injected_files": "server_injected_files",
    "injected_file_content_bytes": "server_injected_file_content_bytes",
    "injected_file_path_bytes": "server_injected_file_path_bytes",
}
"""A quota's name -> that of its unified limit."""
_COUNTED = ("instances", "cores", "ram")


def unified_limits(deps: ComputeDeps, project_id: str) -> UnifiedLimits:
    """What identity says of a project's quotas, under their names here."""
    return deps.identity.limits(SERVICE, project_id).named(UNIFIED)


def limits_of(deps: ComputeDeps, tx: Tx, project_id: str) -> dict[str, int]:
    """The limit of every quota of a project."""
    return limits_in_force(tx, SERVICE, project_id, DEFAULTS, unified_limits(deps, project_id))


def limits_of_user(deps: ComputeDeps, tx: Tx, project_id: str, user_id: str) -> dict[str, int]:
    """The limit of every quota of a user in a project: the user's own, else the project's."""
    limits, own = _limits(deps, tx, project_id, user_id)
    return limits | own


def users_own_limits(deps: ComputeDeps, tx: Tx, project_id: str, user_id: str) -> dict[str, int]:
    """The limits that are set for one user in a project, without those that are not."""
    return _limits(deps, tx, project_id, user_id)[1]


def _limits(deps: ComputeDeps, tx: Tx, project_id: str, user_id: str) -> tuple[dict[str, int], dict[str, int]]:
    return limits_with_user(tx, SERVICE, project_id, user_id, DEFAULTS, unified_limits(deps, project_id))


def _sum(value: Any) -> Any:
    return func.coalesce(func.sum(value), 0)


_AMOUNTS = {"instances": 1, "cores": Server.vcpus, "ram": Server.ram_mib}
_MINE = Server.project_id == bindparam("project")
_LIVING = Server.deleted_at.is_(None)
_OF_PROJECT = select(*(_sum(value).label(name) for name, value in _AMOUNTS.items())).where(_MINE, _LIVING)
_USAGE = Prepared(_OF_PROJECT)
_USAGE_OF_USER = Prepared(_OF_PROJECT.where(Server.user_id == bindparam("user")))
_USAGE_IN_TREE = Prepared(
    select(
        *(_sum(case((_MINE, value), else_=0)) for value in _AMOUNTS.values()),
        *(_sum(value) for value in _AMOUNTS.values()),
    ).where(Server.project_id.in_(projects_inside(bindparam("domain"))), _LIVING),
    as_tuple,
)


def usage(tx: Tx, project_id: str) -> dict[str, int]:
    """Instances, cores, ram (MiB) of a project."""
    (used,) = _USAGE.all(tx, project=project_id)
    return {name: int(amount) for name, amount in zip(_COUNTED, used, strict=True)}


def usage_of_user(tx: Tx, project_id: str, user_id: str) -> dict[str, int]:
    """The same of one user in the project."""
    (used,) = _USAGE_OF_USER.all(tx, project=project_id, user=user_id)
    return {name: int(amount) for name, amount in zip(_COUNTED, used, strict=True)}


def _usage_in_tree(tx: Tx, project_id: str, tree_id: str) -> tuple[dict[str, int], dict[str, int]]:
    """What a project uses, and what it and all others of its domain do. One statement."""
    (used,) = _USAGE_IN_TREE.all(tx, project=project_id, domain=tree_id)
    amounts = [int(amount) for amount in used]
    return dict(zip(_COUNTED, amounts[:3], strict=True)), dict(zip(_COUNTED, amounts[3:], strict=True))


def groups_used(tx: Tx, project_id: str, user_id: str | None = None) -> int:
    """How many server groups a project has, or one user in it."""
    whose = () if user_id is None else (ServerGroup.user_id == user_id,)
    return _count(tx, ServerGroup.project_id == project_id, *whose)


def _count(tx: Tx, *groups: ColumnElement[bool]) -> int:
    return tx.scalar(select(func.count()).select_from(ServerGroup).where(*groups)) or 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request for servers takes of the quotas."""

    resources: Mapping[str, int]
    """Of one server, by placement's classes."""
    vcpus: int
    ram_mib: int
    count: int
    metadata_items: int
    files: Sequence[Mapping[str, str]] = ()


def check_servers(deps: ComputeDeps, tx: Tx, project_id: str, user_id: str, asked: Asked) -> None:
    """Raises OverQuota that names the quota, its limit and its use."""
    unified = unified_limits(deps, project_id)
    limits, own = limits_with_user(tx, SERVICE, project_id, user_id, DEFAULTS, unified)
    count = asked.count
    requested = {"instances": count, "cores": count * asked.vcpus, "ram": count * asked.ram_mib}
    over = _overruns(tx, project_id, limits, unified, requested)
    if not own.keys().isdisjoint(requested):
        over += overruns(own, usage_of_user(tx, project_id, user_id), requested, of_user=True)
    over += class_overruns(deps, tx, project_id, {name: n * count for name, n in asked.resources.items()})
    _refuse(over)
    _check_metadata(limits | own, asked.metadata_items)
    _check_files(limits | own, asked.files)


def check_files(deps: ComputeDeps, tx: Tx, project_id: str, user_id: str, files: Sequence[Mapping[str, str]]) -> None:
    """Whether a server may have these injected files, contents in base64. Raises OverQuota."""
    _check_files(limits_of_user(deps, tx, project_id, user_id), files)


def _check_files(limits: dict[str, int], files: Sequence[Mapping[str, str]]) -> None:
    if not files:
        return
    asked = {
        "injected_files": len(files),
        "injected_file_path_bytes": max(len(file["path"].encode()) for file in files),
        "injected_file_content_bytes": max(len(base64.b64decode(file["contents"])) for file in files),
    }
    for overrun in overruns(limits, {}, asked):
        raise OverQuota(f"Quota exceeded for injected files ({overrun}).")


def check_classes(deps: ComputeDeps, tx: Tx, project_id: str, resources: Mapping[str, int]) -> None:
    """Whether a project may have these amounts more of placement's classes. Raises OverQuota."""
    _refuse(class_overruns(deps, tx, project_id, resources))


def _refuse(over: list[Overrun]) -> None:
    if over:
        names = ", ".join(dict.fromkeys(item.resource for item in over))
        detail = "; ".join(str(item) for item in over)
        raise OverQuota(f"Quota exceeded for {names}: {detail}")


def check_metadata(deps: ComputeDeps, tx: Tx, project_id: str, user_id: str, items: int) -> None:
    """Raises OverQuota."""
    _check_metadata(limits_of_user(deps, tx, project_id, user_id), items)


def _check_metadata(limits: dict[str, int], metadata_items: int) -> None:
    if 0 <= limits["metadata_items"] < metadata_items:
        limit = limits["metadata_items"]
        raise OverQuota(
            f"Maximum number of metadata items exceeds {limit} (metadata_items: {metadata_items} requested)"
        )


def _overruns(
    tx: Tx, project_id: str, limits: dict[str, int], unified: UnifiedLimits, requested: dict[str, int]
) -> list[Overrun]:
    """One statement at most, and none where nothing is limited: summing reads every server."""
    tree = unified.tree()
    if unified.tree_id is not None and not tree.keys().isdisjoint(requested):
        used, together = _usage_in_tree(tx, project_id, unified.tree_id)
        return overruns(limits, used, requested) + overruns(tree, together, requested, of_tree=True)
    if all(limits[name] == UNLIMITED for name in requested):
        return []
    return overruns(limits, usage(tx, project_id), requested)


def check_group(deps: ComputeDeps, tx: Tx, project_id: str, user_id: str) -> None:
    """Whether a user may make one more server group in a project. Raises OverQuota."""
    unified = unified_limits(deps, project_id)
    limits, own = limits_with_user(tx, SERVICE, project_id, user_id, DEFAULTS, unified)
    wanted, tree = {"server_groups": 1}, unified.tree()
    over = overruns(limits, {"server_groups": groups_used(tx, project_id)}, wanted)
    if "server_groups" in own:
        over += overruns(own, {"server_groups": groups_used(tx, project_id, user_id)}, wanted, of_user=True)
    if unified.tree_id is not None and "server_groups" in tree:
        together = _count(tx, ServerGroup.project_id.in_(projects_inside(unified.tree_id)))
        over += overruns(tree, {"server_groups": together}, wanted, of_tree=True)
    for overrun in over:
        raise OverQuota(f"Quota exceeded, too many server groups ({overrun}).")


def check_members(  # noqa: PLR0917 who adds how many to which group
    deps: ComputeDeps, tx: Tx, project_id: str, user_id: str, group_id: str, count: int
) -> None:
    """Whether a server group takes so many more. Raises OverQuota."""
    limits = limits_of_user(deps, tx, project_id, user_id)
    living = (
        select(func.count())
        .select_from(ServerGroupMember)
        .join(Server, Server.id == ServerGroupMember.server_id)
        .where(ServerGroupMember.group_id == group_id, Server.deleted_at.is_(None))
    )
    used = {"server_group_members": tx.scalar(living) or 0}
    for overrun in overruns(limits, used, {"server_group_members": count}):
        raise OverQuota(f"Quota exceeded, too many servers in group ({overrun}).")
