"""Quotas of the resource classes that flavors claim beside processors and memory: disk, and what extra specs name.

They exist as unified limits only, `class:DISK_GB` or `class:CUSTOM_GPU`; what nobody registered is not limited. Used is
what placement holds for the project, and what its servers without a place will take of it: a claim is made in the
transaction that gives a server its host, so none is counted twice or never.
Source: compute administration guide, "Manage unified limits quotas".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, select

from gureum.foundation.db.engine import Tx
from gureum.foundation.quota import Overrun, overruns
from gureum.services.compute.deps import ComputeDeps
from gureum.services.compute.servers.model import Server
from gureum.services.compute.servers.rules import resources_of
from gureum.services.identity.facade import projects_inside
from gureum.services.placement.facade import PROJECT

_PREFIX = "class:"
_COUNTED_ELSEWHERE = ("VCPU", "MEMORY_MB")
"""The quotas `cores` and `ram`, which have limits of their own and are counted from the servers."""


def class_overruns(deps: ComputeDeps, tx: Tx, project_id: str, resources: Mapping[str, int]) -> list[Overrun]:
    """What these amounts would exceed. Without such limits nothing is counted and no statement runs."""
    unified = deps.identity.limits("compute", project_id)
    if not unified.by_resource:
        return []
    wanted = {_PREFIX + name: amount for name, amount in resources.items() if name not in _COUNTED_ELSEWHERE}
    known = {name: limit for name, limit in unified.by_resource.items() if name in wanted}
    limits = {name: limit.default if limit.own is None else limit.own for name, limit in known.items()}
    over = _over(deps, tx, lambda column: column == project_id, limits, wanted)
    tree = {name: limit for name, limit in unified.tree().items() if name in wanted}
    if unified.tree_id is not None and tree:
        inside = projects_inside(unified.tree_id)
        over += _over(deps, tx, lambda column: column.in_(inside), tree, wanted, of_tree=True)
    return over


def _over(
    deps: ComputeDeps,
    tx: Tx,
    whose: Callable[[Any], ColumnElement[bool]],
    limits: dict[str, int],
    wanted: dict[str, int],
    *,
    of_tree: bool = False,
) -> list[Overrun]:
    limited = {name: limit for name, limit in limits.items() if limit >= 0}
    if not limited:
        return []
    classes = [name.removeprefix(_PREFIX) for name in limited]
    used = Counter(deps.placement.used(tx, whose(PROJECT), classes))
    waiting = select(Server.flavor, Server.image).where(
        whose(Server.project_id), Server.deleted_at.is_(None), Server.host.is_(None), Server.vm_state == "building"
    )
    for flavor, image in tx.execute(waiting):
        used.update(resources_of(flavor, image))
    return overruns(limited, {name: used[name.removeprefix(_PREFIX)] for name in limited}, wanted, of_tree=of_tree)
