"""Quotas of the resource classes that flavors claim beside processors and memory: disk, and what extra specs name.

They exist as unified limits only, `class:DISK_GB` or `class:CUSTOM_GPU`; what nobody registered is not limited. Used is
what placement holds for the project, and what its servers without a place will take of it: a claim is made in the
transaction that gives a server its host, so none is counted twice or never.
Source: compute administration guide, "Manage unified limits quotas".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from gureum.foundation.db.engine import Tx
from gureum.foundation.quota import Projects
from gureum.services.compute.servers.model import Server
from gureum.services.compute.servers.rules import resources_of
from gureum.services.placement.facade import PlacementFacade

PREFIX = "class:"
_COUNTED_ELSEWHERE = ("VCPU", "MEMORY_MB")
"""The quotas `cores` and `ram`, which have limits of their own and are counted from the servers."""


def class_amounts(resources: Mapping[str, int]) -> dict[str, int]:
    """Amounts of placement's classes under the names of their quotas."""
    return {PREFIX + name: amount for name, amount in resources.items() if name not in _COUNTED_ELSEWHERE}


@dataclass(frozen=True, slots=True)
class ClassQuotas:
    """The family of quotas `class:...`."""

    placement: PlacementFacade
    prefix: str = PREFIX

    def count(self, tx: Tx, projects: Projects, names: Sequence[str]) -> dict[str, int]:
        """What servers of these projects hold, or will, of each class."""
        used = Counter(self.placement.used(tx, projects, [name.removeprefix(PREFIX) for name in names]))
        waiting = select(Server.flavor, Server.image).where(
            projects.hold(Server.project_id),
            Server.deleted_at.is_(None),
            Server.host.is_(None),
            Server.vm_state == "building",
        )
        for flavor, image in tx.execute(waiting):
            used.update(resources_of(flavor, image))
        return {name: used[name.removeprefix(PREFIX)] for name in names}
